import type { Clock } from '../router/clock.ts'
import type { BridgeCounters } from './bridge.ts'

/** What went through a bridge, and when for the last time. */
export class BridgeTraffic implements BridgeCounters {
  inDropped = 0
  outDropped = 0
  errors = 0
  private readonly clock: Clock
  private received = 0
  private sent = 0
  /** Monotonic; undefined: nothing yet. */
  private receivedMs: number | undefined
  private sentMs: number | undefined

  constructor(clock: Clock) {
    this.clock = clock
  }

  get in(): number {
    return this.received
  }

  set in(count: number) {
    this.received = count
    this.receivedMs = this.clock.now()
  }

  get out(): number {
    return this.sent
  }

  set out(count: number) {
    this.sent = count
    this.sentMs = this.clock.now()
  }

  /** µs of the wall clock as it goes now; 0: never. */
  get lastInUs(): number {
    return this.wallUsOf(this.receivedMs)
  }

  get lastOutUs(): number {
    return this.wallUsOf(this.sentMs)
  }

  private wallUsOf(atMs: number | undefined): number {
    if (atMs === undefined) return 0
    return Math.round(this.clock.wallUs() - (this.clock.now() - atMs) * 1000)
  }
}
