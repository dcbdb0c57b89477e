/** Hot path. */
import type { Outgoing, Qos } from './outgoing.ts'

/** A message on its way to one client. */
export interface Delivery {
  readonly message: Outgoing
  readonly qos: Qos
  readonly isRetained: boolean
  readonly subscriptionIds: readonly number[]
  /** QoS 2, and PUBREC has come. */
  isReceived: boolean
  /** As it is on the disk. */
  stored: { readonly record: number; readonly messageId: number; readonly isReceived: boolean } | null
  /** It was there already when its session was stored before. */
  isDue: boolean
}

export function deliveryOf(
  message: Outgoing,
  qos: Qos,
  isRetained: boolean,
  subscriptionIds: readonly number[],
): Delivery {
  return { message, qos, isRetained, subscriptionIds, isReceived: false, stored: null, isDue: false }
}

/** Of payloads; one more is always allowed. */
const MAX_BYTES = 1024 * 1024

/** What waits for one client; beyond its limits, the oldest go. */
export class DeliveryQueue {
  private readonly maxQueued: number
  private readonly onDropped: (delivery: Delivery) => void
  /** By topic where a newer message replaces an older one, else by a number. */
  private readonly waiting = new Map<string | number, Delivery>()
  private bytes = 0
  private nextKey = 0

  constructor(maxQueued: number, onDropped: (delivery: Delivery) => void) {
    this.maxQueued = maxQueued
    this.onDropped = onDropped
  }

  get size(): number {
    return this.waiting.size
  }

  [Symbol.iterator](): IterableIterator<[string | number, Delivery]> {
    return this.waiting.entries()
  }

  add(delivery: Delivery): void {
    const { payload, isState, topic } = delivery.message.parts
    const key = delivery.qos === 0 && isState ? topic : this.nextKey++
    // A newer one goes to the end.
    this.delete(key)
    while (this.size >= this.maxQueued || (this.size > 0 && this.bytes + payload.length > MAX_BYTES)) {
      const [[oldestKey, oldest]] = this.waiting
      this.delete(oldestKey)
      this.onDropped(oldest)
    }
    this.waiting.set(key, delivery)
    this.bytes += payload.length
  }

  delete(key: string | number): void {
    const delivery = this.waiting.get(key)
    if (delivery === undefined) return
    this.waiting.delete(key)
    this.bytes -= delivery.message.parts.payload.length
  }
}
