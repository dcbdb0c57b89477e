import { PROTOCOL_VERSION } from '../../firmware-protocol/wire/constants.ts'
import { DecodeError, EncodeError } from '../../firmware-protocol/wire/errors.ts'
import { decodeFrame, encodeFrame, frameLength } from '../../firmware-protocol/wire/frame.ts'
import type {
  Ack,
  Feature,
  Message,
  Publish,
  SetParam,
  Signal,
  SignalDefinition,
  SnapshotParam,
  SubscribeOptions,
  U64,
  Welcome,
} from '../../firmware-protocol/wire/message.ts'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import type { Channel, ChannelHandler } from './channel.ts'
import { ClientError } from './client-error.ts'
import { type Exchange, Exchanges } from './exchanges.ts'
import { type Delivery, parsePattern, SubscriptionFilter } from './subscription.ts'

export const FEATURES: Feature[] = ['param', 'event', 'stream', 'gesture', 'timeline']
const DEFAULT_TIMEOUT_MS = 5000

export interface Subscription {
  unsubscribe(): void
}

export interface SubscribeRequest {
  /** Default: all. */
  types?: Signal[]
  options?: SubscribeOptions
}

/**
 * A session with any CLASP router. Requests resolve with the answer and reject with a ClientError; they rely on nothing
 * but the order of answers. Client reference §1.
 */
export class Client implements ChannelHandler {
  readonly url: URL
  /** Resolves when the connection has ended, with the reason. */
  readonly closed: Promise<ClientError>
  /** For every request unless it says otherwise. */
  timeoutMs = DEFAULT_TIMEOUT_MS
  private welcomed: Welcome | undefined
  private channel: Channel | undefined
  private readonly exchanges = new Exchanges()
  private readonly handlers = new Set<(message: Message) => void>()
  private readonly subscriptions = new Set<SubscriptionFilter>()
  private nextSubscription = 1
  private end: ClientError | undefined
  private resolveClosed: (error: ClientError) => void = () => {}

  constructor(url: URL) {
    this.url = url
    this.closed = new Promise((resolve) => {
      this.resolveClosed = resolve
    })
  }

  /** What the router said of itself. */
  get router(): Welcome {
    if (this.welcomed === undefined) throw new Error('the client is not connected')
    return this.welcomed
  }

  /** Until the connection ends, for whatever reason. */
  get isOpen(): boolean {
    return this.channel !== undefined && this.end === undefined
  }

  get unsentBytes(): number {
    return this.channel?.unsentBytes ?? 0
  }

  /** Says HELLO on a fresh channel; resolves when the router has sent WELCOME and its initial SNAPSHOTs. */
  async greet(channel: Channel, { name, token, timeoutMs }: { name: string; token?: string; timeoutMs: number }) {
    this.channel = channel
    const hello: Message = { type: 'HELLO', version: PROTOCOL_VERSION, features: FEATURES, name, token }
    this.welcomed = await this.exchange<Welcome>([hello], {
      what: `HELLO to ${this.url.host}`,
      timeoutMs,
      take: (message) => (message.type === 'WELCOME' ? message : undefined),
    })
    await this.ping(timeoutMs)
  }

  /** Sends as it is, without waiting for an answer. Throws a ClientError when it is too large. */
  send(message: Message, qos?: number): void {
    if (!this.isOpen) return
    try {
      this.channel?.send(encodeFrame(message, { qos }))
    } catch (error) {
      if (!(error instanceof EncodeError)) throw error
      throw new ClientError('rejected', `${describe(message)} cannot be sent (${error.message})`, 'send less at a time')
    }
  }

  /** Every message that arrives, answers included. Returns a function that ends it. */
  onMessage(handler: (message: Message) => void): () => void {
    this.handlers.add(handler)
    return () => this.handlers.delete(handler)
  }

  /** The param at an address; undefined when there is none. */
  get(address: string, timeoutMs = this.timeoutMs): Promise<SnapshotParam | undefined> {
    let found: SnapshotParam | undefined
    const search = this.exchange([{ type: 'GET', address }, { type: 'PING' }], {
      what: `GET ${address}`,
      timeoutMs,
      concerns: (about) => about === address,
      isMarked: true,
      take(message) {
        if (message.type === 'SNAPSHOT') found ??= message.params.find((param) => param.address === address)
        return undefined
      },
    })
    return search.then(
      () => found,
      (error) => {
        // Upstream routers keep silent about an unknown address, others answer with one of these codes.
        if (error instanceof ClientError && (error.code === 201 || error.code === 404)) return undefined
        throw error
      },
    )
  }

  /** Resolves with the ACK, which has the new revision. */
  set(address: string, value: Value, options: Omit<SetParam, 'type' | 'address' | 'value'> = {}): Promise<Ack> {
    return this.exchange<Ack>([{ type: 'SET', address, value, ...options }], {
      what: `SET ${address}`,
      timeoutMs: this.timeoutMs,
      concerns: (about) => about === address,
      take: (message) => (message.type === 'ACK' && message.address === address ? message : undefined),
    })
  }

  /** Resolves when the router has taken it. PUBLISH has no acknowledgement, so a PING follows. */
  async publish(message: Omit<Publish, 'type'>): Promise<void> {
    await this.exchange([{ type: 'PUBLISH', ...message }, { type: 'PING' }], {
      what: `PUBLISH ${message.address}`,
      timeoutMs: this.timeoutMs,
      concerns: (about) => about === message.address,
      isMarked: true,
      take: () => undefined,
    })
  }

  /** Several messages as one; `timestamp` is the router's time in microseconds at which they take effect. */
  bundle(messages: Message[], timestamp?: U64): Promise<Ack> {
    const addresses = new Set(messages.map((message) => ('address' in message ? message.address : undefined)))
    return this.exchange<Ack>([{ type: 'BUNDLE', messages, timestamp }], {
      what: 'BUNDLE',
      timeoutMs: this.timeoutMs,
      concerns: (about) => addresses.has(about),
      take: (message) => (message.type === 'ACK' && message.address === undefined ? message : undefined),
    })
  }

  /** The announced signals below a pattern; many come in several parts. */
  async query(pattern: string): Promise<SignalDefinition[]> {
    const signals: SignalDefinition[] = []
    await this.exchange([{ type: 'QUERY', pattern }, { type: 'PING' }], {
      what: `QUERY ${pattern}`,
      timeoutMs: this.timeoutMs,
      concerns: (about) => about === pattern,
      isMarked: true,
      take(message) {
        if (message.type === 'RESULT') signals.push(...message.signals)
        return undefined
      },
    })
    return signals
  }

  /** Round trip in milliseconds. */
  async ping(timeoutMs = this.timeoutMs): Promise<number> {
    const start = performance.now()
    await this.exchange([{ type: 'PING' }], { what: 'PING', timeoutMs, isMarked: true, take: () => undefined })
    return performance.now() - start
  }

  /** How far the router's clock is ahead of this one, and the round trip, both in microseconds. Wire reference §13. */
  async sync(): Promise<{ offsetUs: number; roundTripUs: number }> {
    const t1 = nowUs()
    const [t2, t3, t4] = await this.exchange<[number, number, number]>([{ type: 'SYNC', t1 }], {
      what: 'SYNC',
      timeoutMs: this.timeoutMs,
      take: (message) =>
        message.type === 'SYNC' && message.t1 === t1 && message.t2 !== undefined && message.t3 !== undefined
          ? [Number(message.t2), Number(message.t3), nowUs()]
          : undefined,
    })
    return { offsetUs: Math.round((t2 - t1 + (t3 - t4)) / 2), roundTripUs: t4 - t1 - (t3 - t2) }
  }

  /**
   * Calls the handler for everything that matches one of the patterns, once even if several do. Resolves when the router
   * has taken the subscriptions and the initial values have been handed over; rejects when it refuses one.
   */
  async subscribe(
    patterns: readonly string[],
    handler: (delivery: Delivery) => void,
    { types = [], options }: SubscribeRequest = {},
  ): Promise<Subscription> {
    const filter = new SubscriptionFilter(patterns, types, handler)
    const ids = patterns.map(() => this.nextSubscription++)
    const requests = patterns.map((pattern, i): Message => ({ type: 'SUBSCRIBE', id: ids[i], pattern, types, options }))
    const unsubscribe = () => {
      this.subscriptions.delete(filter)
      for (const id of ids) this.send({ type: 'UNSUBSCRIBE', id })
    }
    this.subscriptions.add(filter)
    try {
      await this.exchange([...requests, { type: 'PING' }], {
        what: `SUBSCRIBE ${patterns.join(' ')}`,
        timeoutMs: this.timeoutMs,
        concerns: (about) => patterns.includes(about),
        isMarked: true,
        take(message) {
          // In the very message, not when the promise comes to it: what follows is no longer initial.
          if (message.type === 'PONG') filter.endInitial()
          return undefined
        },
      })
    } catch (error) {
      unsubscribe()
      throw error
    }
    return { unsubscribe }
  }

  /** All params that match, by address. */
  async snapshot(pattern: string): Promise<SnapshotParam[]> {
    const { matches } = boundPattern(pattern)
    const params = new Map<string, SnapshotParam>()
    const id = this.nextSubscription++
    const request: Message = { type: 'SUBSCRIBE', id, pattern, types: ['param'] }
    try {
      await this.exchange([request, { type: 'PING' }], {
        what: `SUBSCRIBE ${pattern}`,
        timeoutMs: this.timeoutMs,
        concerns: (about) => about === pattern,
        isMarked: true,
        take(message) {
          if (message.type === 'SNAPSHOT') {
            for (const param of message.params) if (matches(param.address)) params.set(param.address, param)
          } else if (message.type === 'SET' && message.revision !== undefined && matches(message.address)) {
            const { address, value, revision } = message
            params.set(address, { address, value, revision })
          }
          return undefined
        },
      })
    } finally {
      this.send({ type: 'UNSUBSCRIBE', id })
    }
    return [...params.values()].sort((a, b) => (a.address < b.address ? -1 : 1))
  }

  /** Resolves when the connection is down; what was sent before has left by then. */
  async close(): Promise<void> {
    this.channel?.close()
    await this.closed
  }

  onFrames(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const length = frameLength(bytes, at, bytes.length)
      const frame = length <= 0 ? undefined : decodeFrame(bytes, at)
      // What cannot be read is skipped: newer routers may say things that this client does not know.
      if (frame === undefined || frame instanceof DecodeError) return
      at += length
      this.receive(frame.message)
    }
  }

  onClose(reason: string): void {
    this.channel = undefined
    const isGreeted = this.welcomed !== undefined
    const what = `the router at ${this.url.host} closed the connection${reason === '' ? '' : ` (${reason})`}`
    this.fail(new ClientError('closed', what, isGreeted ? 'is it still running?' : 'does a CLASP router listen there?'))
  }

  /** Ends the session with a reason. */
  fail(error: ClientError): void {
    if (this.end !== undefined) return
    this.end = error
    this.exchanges.close(error)
    this.handlers.clear()
    this.subscriptions.clear()
    this.channel?.close()
    this.resolveClosed(error)
  }

  private receive(message: Message): void {
    if (message.type === 'PING') this.send({ type: 'PONG' })
    // A router does not send bundles, but may.
    if (message.type === 'BUNDLE') for (const inner of message.messages) this.receive(inner)
    for (const subscription of this.subscriptions) subscription.onMessage(message)
    this.exchanges.onMessage(message)
    for (const handler of this.handlers) handler(message)
  }

  private exchange<T>(requests: readonly Message[], exchange: Exchange<T>): Promise<T> {
    if (this.end !== undefined) return Promise.reject(this.end)
    try {
      for (const request of requests) this.send(request)
    } catch (error) {
      return Promise.reject(error)
    }
    return this.exchanges.start(exchange)
  }
}

function boundPattern(text: string): { matches(address: string): boolean } {
  const pattern = parsePattern(text)
  return { matches: (address) => pattern.matches(address) }
}

function describe(message: Message): string {
  return 'address' in message && message.address !== undefined ? `${message.type} ${message.address}` : message.type
}

/** Microseconds since the Unix epoch. */
export function nowUs(): number {
  return Math.floor((performance.timeOrigin + performance.now()) * 1000)
}
