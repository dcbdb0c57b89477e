import type { IClientPublishOptions } from 'mqtt'
import type { Clock } from '../../router/clock.ts'

export interface OutgoingMessage {
  readonly topic: string
  readonly payload: Buffer
  readonly qos: 0 | 1 | 2
  readonly isRetained: boolean
  /** Of a param: a newer one takes its place while it waits. */
  readonly isState: boolean
  readonly properties: IClientPublishOptions['properties']
}

export interface OutboxOptions {
  readonly clock: Clock
  readonly maxEntries: number
  /** Events that waited longer are dropped. */
  readonly eventAgeMs: number
  onDropped(): void
}

/** What waits for the broker: the last value of each param, and events for a while. Source: bridges.md §9.7. */
export class Outbox {
  private readonly options: OutboxOptions
  private readonly waiting = new Map<string | number, { message: OutgoingMessage; sinceMs: number }>()
  private nextKey = 0

  constructor(options: OutboxOptions) {
    this.options = options
  }

  get size(): number {
    return this.waiting.size
  }

  push(message: OutgoingMessage): void {
    const key = message.isState ? message.topic : this.nextKey++
    if (!this.waiting.delete(key) && this.waiting.size >= this.options.maxEntries) this.drop()
    this.waiting.set(key, { message, sinceMs: this.options.clock.now() })
  }

  /** A param that did not get away; a newer one may wait already. */
  restore(message: OutgoingMessage): void {
    if (!this.waiting.has(message.topic)) this.push(message)
  }

  /** The next one; undefined: nothing waits. */
  shift(): OutgoingMessage | undefined {
    const oldestMs = this.options.clock.now() - this.options.eventAgeMs
    for (const [key, { message, sinceMs }] of this.waiting) {
      this.waiting.delete(key)
      if (message.isState || sinceMs >= oldestMs) return message
      this.options.onDropped()
    }
    return undefined
  }

  /** The oldest event, or where there is none, the oldest param. */
  private drop(): void {
    let oldest: string | number | undefined
    for (const [key, { message }] of this.waiting) {
      oldest ??= key
      if (message.isState) continue
      oldest = key
      break
    }
    if (oldest !== undefined) this.waiting.delete(oldest)
    this.options.onDropped()
  }
}
