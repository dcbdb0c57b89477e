/** Hot path. */
import { randomInt } from 'node:crypto'
import { ALL_RIGHTS, type Rights } from './access-list.ts'
import { type Delivery, DeliveryQueue, deliveryOf } from './delivery.ts'
import { encodeAck, type Outgoing, type Qos } from './outgoing.ts'
import type { SessionConnection, SessionKeeping, SessionParts } from './session-parts.ts'
import type { SessionFacts } from './stored-session.ts'
import type { Subscription } from './subscription-tree.ts'

export type ClientAck = 'puback' | 'pubrec' | 'pubcomp'

const MAX_PACKET_ID = 65_535
/** At a time; what the client says it takes may be more. */
const MAX_INFLIGHT = 256
/** Of payloads that are on their way; one more is always allowed. */
const MAX_BYTES = 1024 * 1024

/** What the broker knows of a client, connected or not. Source: MQTT 5.0 §4.1, §4.3, §4.4. */
export class BrokerSession {
  readonly clientId: string
  readonly owner: string | undefined
  /** By filter as it was given, `$share/…` included. */
  readonly subscriptions = new Map<string, Subscription>()
  /** Seconds after the end of its connection; 0xffffffff: for ever. */
  expirySeconds = 0
  /** What is the same for all deliveries has changed since it was stored. */
  areFactsTouched = false
  rights: Rights = ALL_RIGHTS
  /** When the connection ended, monotonic ms. */
  leftAtMs = 0
  private readonly parts: SessionParts
  /** Packet ids of QoS 2 messages of the client, from PUBLISH to PUBREL. */
  private readonly received = new Set<number>()
  private keeping: SessionKeeping | null = null
  private isTouched = false
  private connection: SessionConnection | null = null
  private readonly inflight = new Map<number, Delivery>()
  private readonly queue: DeliveryQueue
  private inflightBytes = 0
  private lastPacketId = 0
  /** Packet ids of `inflight` that the connection has not seen yet: it is a new one. */
  private unseen: number[] = []
  private readyWaiters: ((isReady: boolean) => void)[] = []

  constructor(parts: SessionParts) {
    this.parts = parts
    this.clientId = parts.clientId
    this.owner = parts.owner
    this.queue = new DeliveryQueue(parts.maxQueued, (delivery) => this.drop(delivery))
  }

  get isConnected(): boolean {
    return this.connection !== null
  }

  get receivedCount(): number {
    return this.received.size
  }

  hasReceived(messageId: number): boolean {
    return this.received.has(messageId)
  }

  /** A QoS 2 message of the client was taken in. */
  receive(messageId: number): void {
    this.received.add(messageId)
    this.touchFacts()
  }

  /** PUBREL; false when there was no such message. */
  release(messageId: number): boolean {
    this.touchFacts()
    return this.received.delete(messageId)
  }

  /** Null: it ends with its connection. */
  keepWith(keeping: SessionKeeping | null): void {
    this.keeping = keeping
    this.isTouched = false
    this.touchFacts()
  }

  touchFacts(): void {
    this.areFactsTouched = true
    this.touch()
  }

  /** Something is to be stored. */
  touch(): void {
    if (this.keeping === null || this.isTouched) return
    this.isTouched = true
    this.keeping.touch(this)
  }

  /** It is being stored. */
  settleTouch(): void {
    this.isTouched = false
    this.areFactsTouched = false
  }

  facts(leftAtMs: number): SessionFacts {
    const { clientId, owner, expirySeconds, received, subscriptions } = this
    return {
      clientId,
      owner,
      expirySeconds,
      leftAtMs: this.isConnected ? null : leftAtMs,
      received: [...received],
      subscriptions: [...subscriptions].map(([name, { qos, isNoLocal, keepsRetainFlag, identifier }]) => ({
        ...{ name, qos, isNoLocal, keepsRetainFlag, identifier },
      })),
    }
  }

  /** With QoS 1 and 2, in their order, with their packet ids; 0: it waits. */
  *deliveries(): Generator<[number, Delivery]> {
    yield* this.inflight
    for (const [, delivery] of this.queue) if (delivery.qos > 0) yield [0, delivery]
  }

  /** As `deliveries` gave it, in the same order. */
  restore(messageId: number, delivery: Delivery): void {
    if (messageId === 0) {
      this.queue.add(delivery)
      return
    }
    this.inflight.set(messageId, delivery)
    this.inflightBytes += delivery.message.parts.payload.length
    this.lastPacketId = messageId
  }

  /** Its last packet ids are not known; its client may wait for PUBREL with some, and takes no other message with those. */
  skipPacketIds(): void {
    this.lastPacketId = (this.lastPacketId + randomInt(MAX_INFLIGHT, MAX_PACKET_ID - MAX_INFLIGHT)) % MAX_PACKET_ID
  }

  restoreReceived(messageIds: readonly number[]): void {
    for (const messageId of messageIds) this.received.add(messageId)
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
    this.touchFacts()
    this.drain()
  }

  detach(): void {
    this.connection = null
    this.leftAtMs = this.parts.now()
    this.touchFacts()
    for (const [key, { qos }] of this.queue) if (qos === 0) this.queue.delete(key)
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
          this.write(deliveryOf(message, qos, isRetained, subscriptionIds), 0, false)
        }
        return
      }
    }
    const delivery = deliveryOf(message, qos, isRetained, subscriptionIds)
    if (qos > 0 && this.queue.size === 0 && this.hasRoom()) {
      this.launch(delivery)
    } else {
      this.queue.add(delivery)
      this.touch()
    }
  }

  /** PUBACK, PUBREC or PUBCOMP; false when no such message is on its way. */
  acknowledge(cmd: ClientAck, messageId: number, reasonCode: number): boolean {
    const delivery = this.inflight.get(messageId)
    if (delivery === undefined) return false
    if (cmd === 'pubrec' && reasonCode < 0x80) {
      delivery.isReceived = true
      this.touch()
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
      this.queue.delete(key)
      if (delivery.message.parts.expiresAtMs <= this.parts.now()) this.drop(delivery)
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
    this.touch()
    // What is too long for this client counts as delivered.
    if (!this.write(delivery, messageId, false)) this.land(messageId, delivery)
  }

  private land(messageId: number, delivery: Delivery): void {
    this.inflight.delete(messageId)
    const unseenAt = this.unseen.indexOf(messageId)
    if (unseenAt >= 0) this.unseen.splice(unseenAt, 1)
    this.inflightBytes -= delivery.message.parts.payload.length
    this.over(delivery)
  }

  private drop(delivery: Delivery): void {
    this.parts.onDropped()
    this.over(delivery)
  }

  private over({ stored }: Delivery): void {
    if (stored !== null) this.keeping?.deliveryOver(this, stored.record)
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
