/** Hot path. */
import { ALL_RIGHTS, type Rights } from './access-list.ts'
import { encodeAck, type Outgoing, type Qos } from './outgoing.ts'
import type { ProtocolVersion } from './packet-decoder.ts'
import type { Subscription } from './subscription-tree.ts'

/** What a session needs of its connection. */
export interface SessionConnection {
  readonly version: ProtocolVersion
  /** Messages with QoS 1 and 2 that the client takes at a time. */
  readonly receiveMaximum: number
  /** Longer packets are not for this client. */
  readonly maxPacketBytes: number
  /** More bytes wait than it should. */
  readonly isCongested: boolean
  write(bytes: Buffer): void
}

export interface SessionParts {
  readonly clientId: string
  readonly username: string | undefined
  /** Messages that wait for a client that is away or slow. */
  readonly maxQueued: number
  now(): number
  onSent(): void
  onDropped(): void
}

export type ClientAck = 'puback' | 'pubrec' | 'pubcomp'

interface Delivery {
  readonly message: Outgoing
  readonly qos: Qos
  readonly isRetained: boolean
  readonly subscriptionIds: readonly number[]
  /** QoS 2, and PUBREC has come. */
  isReceived: boolean
}

const MAX_PACKET_ID = 65_535
/** At a time; what the client says it takes may be more. */
const MAX_INFLIGHT = 256
/** Of payloads that are on their way, and as many of those that wait; one more is always allowed. */
const MAX_BYTES = 1024 * 1024

/** What the broker knows of a client, connected or not. Source: MQTT 5.0 §4.1, §4.3, §4.4. */
export class BrokerSession {
  readonly clientId: string
  readonly username: string | undefined
  /** By filter as it was given, `$share/…` included. */
  readonly subscriptions = new Map<string, Subscription>()
  /** Packet ids of QoS 2 messages of the client, from PUBLISH to PUBREL. */
  readonly received = new Set<number>()
  /** Seconds after the end of its connection; 0xffffffff: for ever. */
  expirySeconds = 0
  rights: Rights = ALL_RIGHTS
  /** When the connection ended, monotonic ms. */
  leftAtMs = 0
  private readonly parts: SessionParts
  private connection: SessionConnection | null = null
  private readonly inflight = new Map<number, Delivery>()
  /** By topic where a newer message replaces an older one, else by a number. */
  private readonly queue = new Map<string | number, Delivery>()
  private inflightBytes = 0
  private queuedBytes = 0
  private nextKey = 0
  private lastPacketId = 0
  /** Packet ids of `inflight` that the connection has not seen yet: it is a new one. */
  private unseen: number[] = []
  private readyWaiters: ((isReady: boolean) => void)[] = []

  constructor(parts: SessionParts) {
    this.parts = parts
    this.clientId = parts.clientId
    this.username = parts.username
  }

  get isConnected(): boolean {
    return this.connection !== null
  }

  /** Nothing waits, and there is room for more. */
  get isReady(): boolean {
    return this.queue.size === 0 && this.hasRoom()
  }

  /** Resolves with true when it is ready, with false when its connection has ended. */
  whenReady(): Promise<boolean> {
    if (this.connection === null || this.isReady) return Promise.resolve(this.isReady)
    return new Promise((resolve) => this.readyWaiters.push(resolve))
  }

  /** Messages that were not acknowledged are sent again, then those that waited. */
  attach(connection: SessionConnection): void {
    this.connection = connection
    this.unseen = [...this.inflight.keys()]
    this.drain()
  }

  detach(): void {
    this.connection = null
    this.leftAtMs = this.parts.now()
    for (const [key, { qos }] of this.queue) if (qos === 0) this.dequeue(key)
    for (const resolve of this.readyWaiters.splice(0)) resolve(false)
  }

  deliver(message: Outgoing, qos: Qos, isRetained: boolean, subscriptionIds: readonly number[]): void {
    const { connection } = this
    if (qos === 0) {
      if (connection === null) return
      if (this.queue.size === 0 && !connection.isCongested) {
        if (subscriptionIds.length === 0) {
          const bytes = message.bytes(connection.version, isRetained, this.parts.now())
          if (this.fits(bytes)) connection.write(bytes)
        } else {
          this.write({ message, qos, isRetained, subscriptionIds, isReceived: false }, 0, false)
        }
        return
      }
    }
    const delivery = { message, qos, isRetained, subscriptionIds, isReceived: false }
    if (qos > 0 && this.queue.size === 0 && this.hasRoom()) this.launch(delivery)
    else this.enqueue(delivery)
  }

  /** PUBACK, PUBREC or PUBCOMP; false when no such message is on its way. */
  acknowledge(cmd: ClientAck, messageId: number, reasonCode: number): boolean {
    const delivery = this.inflight.get(messageId)
    if (delivery === undefined) return false
    if (cmd === 'pubrec' && reasonCode < 0x80) {
      delivery.isReceived = true
      return true
    }
    this.land(messageId, delivery)
    this.drain()
    return true
  }

  /** Sends what waited, as far as the client takes it. */
  drain(): void {
    this.sendUnseen()
    for (const [key, delivery] of this.queue) {
      if (this.connection === null || this.connection.isCongested) return
      if (delivery.qos > 0 && !this.hasRoom()) return
      this.dequeue(key)
      if (delivery.message.parts.expiresAtMs <= this.parts.now()) this.parts.onDropped()
      else if (delivery.qos > 0) this.launch(delivery)
      else this.write(delivery, 0, false)
    }
    if (this.readyWaiters.length > 0 && this.isReady) {
      for (const resolve of this.readyWaiters.splice(0)) resolve(true)
    }
  }

  private sendUnseen(): void {
    while (this.unseen.length > 0) {
      const { connection } = this
      if (connection === null || connection.isCongested) return
      if (this.inflight.size - this.unseen.length >= Math.min(MAX_INFLIGHT, connection.receiveMaximum)) return
      const messageId = this.unseen.shift() as number
      const delivery = this.inflight.get(messageId) as Delivery
      if (delivery.isReceived) connection.write(encodeAck('pubrel', messageId, connection.version))
      else if (!this.write(delivery, messageId, true)) this.land(messageId, delivery)
    }
  }

  private hasRoom(): boolean {
    const { connection, inflight } = this
    return (
      connection !== null &&
      !connection.isCongested &&
      this.unseen.length === 0 &&
      this.inflightBytes < MAX_BYTES &&
      inflight.size < Math.min(MAX_INFLIGHT, connection.receiveMaximum)
    )
  }

  private launch(delivery: Delivery): void {
    do this.lastPacketId = (this.lastPacketId % MAX_PACKET_ID) + 1
    while (this.inflight.has(this.lastPacketId))
    const messageId = this.lastPacketId
    this.inflight.set(messageId, delivery)
    this.inflightBytes += delivery.message.parts.payload.length
    // What is too long for this client counts as delivered.
    if (!this.write(delivery, messageId, false)) this.land(messageId, delivery)
  }

  private land(messageId: number, { message }: Delivery): void {
    this.inflight.delete(messageId)
    const unseenAt = this.unseen.indexOf(messageId)
    if (unseenAt >= 0) this.unseen.splice(unseenAt, 1)
    this.inflightBytes -= message.parts.payload.length
  }

  private enqueue(delivery: Delivery): void {
    const { isState, topic } = delivery.message.parts
    const key = delivery.qos === 0 && isState ? topic : this.nextKey++
    // A newer one goes to the end.
    this.dequeue(key)
    const bytes = delivery.message.parts.payload.length
    while (this.queue.size >= this.parts.maxQueued || (this.queue.size > 0 && this.queuedBytes + bytes > MAX_BYTES)) {
      this.dequeue(this.queue.keys().next().value as string | number)
      this.parts.onDropped()
    }
    this.queue.set(key, delivery)
    this.queuedBytes += bytes
  }

  private dequeue(key: string | number): void {
    const delivery = this.queue.get(key)
    if (delivery === undefined) return
    this.queue.delete(key)
    this.queuedBytes -= delivery.message.parts.payload.length
  }

  private write(delivery: Delivery, messageId: number, isDuplicate: boolean): boolean {
    const { connection } = this
    if (connection === null) return false
    const { message, qos, isRetained, subscriptionIds } = delivery
    const { version } = connection
    const nowMs = this.parts.now()
    const bytes = message.encode({ version, qos, isRetained, isDuplicate, messageId, subscriptionIds, nowMs })
    if (!this.fits(bytes)) return false
    connection.write(bytes)
    return true
  }

  private fits(bytes: Buffer): boolean {
    const isFit = this.connection !== null && bytes.length <= this.connection.maxPacketBytes
    if (isFit) this.parts.onSent()
    else this.parts.onDropped()
    return isFit
  }
}
