import { connect, type IClientOptions, type IConnackPacket, type IPublishPacket, type MqttClient } from 'mqtt'
import { BackOff } from '../../client/back-off.ts'
import type { Clock, Timer } from '../../router/clock.ts'
import type { OutgoingMessage } from './outbox.ts'

const FIRST_RETRY_MS = 1000
const LAST_RETRY_MS = 30_000
const STABLE_MS = 30_000
/** Time for the goodbye. */
const END_MS = 1000
/** CONNACK of version 3.1.1 and of 5: the version is not known. */
const UNKNOWN_VERSION = [1, 0x84]
const CHUNK = 50

export interface LinkHandlers {
  /** Again, after it was lost; whether the broker still knows our subscriptions. */
  onConnected(isSessionPresent: boolean): void
  onDisconnected(error: Error): void
  /** `done` acknowledges it, where its QoS wants that. */
  onMessage(topic: string, payload: Buffer, packet: IPublishPacket): void
  /** Calls back when what came before is with the router. */
  whenTaken(done: () => void): void
}

export interface LinkOptions {
  readonly url: string
  readonly version: 'auto' | '5' | '3.1.1'
  readonly client: IClientOptions
  readonly clock: Clock
  readonly random: () => number
  readonly handlers: LinkHandlers
}

export interface WantedTopic {
  readonly topic: string
  readonly qos: 0 | 1 | 2
  readonly isNoLocal: boolean
  /** 0: what is retained comes; 1: only where the subscription is new. */
  readonly retainHandling: 0 | 1
}

/** The connection with the broker: made again, later and later, when it is lost; nothing that was sent is forgotten. */
export class BrokerLink {
  readonly version: 4 | 5
  private readonly options: LinkOptions
  private readonly client: MqttClient
  private readonly backOff: BackOff
  private retry: Timer | null = null
  private connectedAtMs = 0
  private lastError = ''
  /** Whether the broker still knew our session, the last time. */
  isSessionPresent = false
  private isStopped = false
  /** Of QoS 0; the library forgets those that a slow connection had not taken when it ended. */
  private readonly unwritten = new Set<(error?: Error) => void>()

  private constructor(client: MqttClient, version: 4 | 5, options: LinkOptions) {
    this.client = client
    this.version = version
    this.options = options
    this.backOff = new BackOff({ baseMs: FIRST_RETRY_MS, capMs: LAST_RETRY_MS, random: options.random })
  }

  /** Rejects with what is wrong and what to do. */
  static async open(options: LinkOptions): Promise<BrokerLink> {
    const { version } = options
    if (version !== 'auto') return BrokerLink.try(options, version === '5' ? 5 : 4)
    try {
      return await BrokerLink.try(options, 5)
    } catch (error) {
      if (!(error instanceof VersionError)) throw error
      return BrokerLink.try(options, 4)
    }
  }

  private static try(options: LinkOptions, version: 4 | 5): Promise<BrokerLink> {
    const { handlers, url } = options
    const client = connect(url, { ...clientOptions(options.client, version), manualConnect: true })
    const link = new BrokerLink(client, version, options)
    client.handleMessage = (packet, done) => {
      if ('qos' in packet && packet.qos > 0) handlers.whenTaken(() => done())
      else done()
    }
    client.on('message', (topic, payload, packet) => handlers.onMessage(topic, payload, packet))
    return new Promise((resolve, reject) => {
      let isOpen = false
      let hasFailed = false
      let problem: (Error & { code?: string | number }) | undefined
      const fail = (error: Error) => {
        if (hasFailed) return
        hasFailed = true
        client.end(true)
        reject(error)
      }
      client.on('error', (error) => {
        problem = error
        link.lastError = error.message
        if (!isOpen) fail(explain(error, url))
      })
      client.on('disconnect', ({ reasonCode = 0 }) => {
        link.lastError = `the broker ends the connection (reason ${hex(reasonCode)})`
      })
      client.on('connect', (packet: IConnackPacket) => {
        if (hasFailed) return
        link.connectedAtMs = options.clock.now()
        link.lastError = ''
        link.isSessionPresent = packet.sessionPresent
        if (isOpen) handlers.onConnected(packet.sessionPresent)
        isOpen = true
        resolve(link)
      })
      client.on('close', () => {
        if (isOpen) link.onClosed()
        // Some old brokers answer a version that they do not know by closing.
        else fail(problem ?? new VersionError(`${url} closes the connection without an answer: is it an MQTT broker?`))
      })
      client.connect()
    })
  }

  get isConnected(): boolean {
    return this.client.connected
  }

  publish({ topic, payload, qos, isRetained, properties }: OutgoingMessage, done: (error?: Error) => void): void {
    const wanted = this.version === 5 ? properties : undefined
    let tell = done
    if (qos === 0) {
      tell = (error) => {
        if (this.unwritten.delete(tell)) done(error)
      }
      this.unwritten.add(tell)
    }
    this.client.publish(topic, payload, { qos, retain: isRetained, properties: wanted }, (error) =>
      tell(error ?? undefined),
    )
  }

  /** Resolves with what the broker refuses, and why; with nothing when the connection ended before it had answered. */
  async subscribe(topics: readonly WantedTopic[]): Promise<{ topic: string; reason: string }[] | undefined> {
    const refused: { topic: string; reason: string }[] = []
    for (let at = 0; at < topics.length; at += CHUNK) {
      const chunk = topics.slice(at, at + CHUNK)
      const request = Object.fromEntries(
        chunk.map(({ topic, qos, isNoLocal, retainHandling }) => [
          topic,
          this.version === 5 ? { qos, nl: isNoLocal, rap: true, rh: retainHandling } : { qos },
        ]),
      )
      if (!this.isConnected) return undefined
      const granted = await new Promise<readonly number[]>((resolve) => {
        this.client.subscribe(request, (_error, _subscriptions, packet) => {
          resolve((packet?.granted ?? []).map(Number))
        })
      })
      if (granted.length === 0 && !this.isConnected) return undefined
      for (const [index, { topic }] of chunk.entries()) {
        const code = granted[index]
        if (code === undefined) refused.push({ topic, reason: 'no answer' })
        else if (code >= 0x80) refused.push({ topic, reason: `reason ${hex(code)}` })
      }
    }
    return refused
  }

  /** Resolves when the connection is down; what was published before has left by then, if the broker takes it in time. */
  async stop(): Promise<void> {
    this.isStopped = true
    this.retry?.cancel()
    const { client } = this
    if (!client.connected) {
      client.end(true)
      return
    }
    await new Promise<void>((resolve) => {
      const late = this.options.clock.timer(END_MS, () => client.stream.destroy())
      // Also where the broker goes first, of which the library does not tell who waits for the end.
      client.once('close', () => {
        late.cancel()
        resolve()
      })
      client.end()
    })
  }

  private onClosed(): void {
    for (const tell of this.unwritten) tell(new Error('the connection was lost'))
    if (this.isStopped) return
    const { clock, handlers, url } = this.options
    const reason = this.lastError === '' ? 'the connection was closed' : this.lastError
    handlers.onDisconnected(new Error(`${url}: ${reason}; trying again: is the broker running?`))
    if (clock.now() - this.connectedAtMs >= STABLE_MS) this.backOff.reset()
    this.retry?.cancel()
    this.retry = clock.timer(this.backOff.next(), () => {
      // With the stores it had: what was not acknowledged is sent again.
      const { incomingStore, outgoingStore } = this.client
      this.client.reconnect({ incomingStore, outgoingStore } as Parameters<MqttClient['reconnect']>[0])
    })
  }
}

/** The broker does not speak this version. */
class VersionError extends Error {}

function clientOptions(options: IClientOptions, version: 4 | 5): IClientOptions {
  if (version === 5) return { ...options, protocolVersion: 5 }
  const { properties: _, will, ...rest } = options
  return { ...rest, protocolVersion: 4, will: will === undefined ? undefined : { ...will, properties: undefined } }
}

function explain(error: Error & { code?: string | number }, url: string): Error {
  const { code, message } = error
  if (typeof code === 'number') {
    if (UNKNOWN_VERSION.includes(code)) return new VersionError(`${url} does not speak this version of MQTT`)
    const remedy = [4, 5, 0x86, 0x87].includes(code) ? 'check username and password' : 'see the log of the broker'
    return new Error(`${url} refuses the connection: ${message}: ${remedy}`)
  }
  if (code === 'ECONNREFUSED') return new Error(`nobody listens at ${url}: is the broker running, is the port right?`)
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return new Error(`${url}: there is no such host: check the name`)
  const isTls = /certificate|self.signed|SSL|TLS|altnames/i.test(`${code} ${message}`)
  const remedy = isTls ? 'check tlsCa, and the name in the certificate' : 'check url and network'
  return new Error(`${url} cannot be reached: ${message}: ${remedy}`)
}

function hex(code: number): string {
  return `0x${code.toString(16).padStart(2, '0')}`
}
