/** After ERROR 429 nothing is sent for so long: hubs count by the second. */
const PAUSE_MS = 1000
const FLOOR_PER_S = 5
const RAISE_EVERY_MS = 10_000
/** Below the 30 that an upstream hub allows where tokens are needed. */
const FIRST_LIMIT_PER_S = 25
/** Burst, as a part of a second's worth: with 25 a second no second ever sees more than 30. */
const BURST_S = 0.2

/**
 * How many frames may leave: a token bucket whose rate follows the hub's ERROR 429. Each burst of them pauses for a second
 * and halves the rate, down to 5 a second; every 10 s without one raise it by 1, up to where it began. Times are
 * monotonic, ms. Source: federation.md §13.5.5.
 */
export class FrameRate {
  private readonly limit: number
  private perSecond: number
  private tokens: number
  private filledAt: number
  private pausedUntil = Number.NEGATIVE_INFINITY
  private raisedAt = 0

  /** `perSecond` 0 = unlimited until the first 429. */
  constructor(perSecond: number, now: number) {
    this.limit = perSecond > 0 ? perSecond : Number.POSITIVE_INFINITY
    this.perSecond = this.limit
    this.tokens = this.burst
    this.filledAt = now
  }

  /** Frames per second; Infinity = unlimited. */
  get current(): number {
    return this.perSecond
  }

  /** Whether one frame may leave now; it is counted. */
  take(now: number): boolean {
    if (this.waitMs(now) > 0) return false
    this.tokens -= 1
    return true
  }

  /** Until one frame may leave, ms; 0 = now. */
  waitMs(now: number): number {
    if (now < this.pausedUntil) return this.pausedUntil - now
    this.raise(now)
    if (this.perSecond === Number.POSITIVE_INFINITY) return 0
    this.tokens = Math.min(this.burst, this.tokens + ((now - this.filledAt) / 1000) * this.perSecond)
    this.filledAt = now
    // A timer that fires a rounding error early must not find a frame missing.
    return this.tokens > 1 - 1e-6 ? 0 : ((1 - this.tokens) / this.perSecond) * 1000
  }

  /** ERROR 429. Those that come during the pause tell of the same burst. */
  throttle(now: number): void {
    this.raisedAt = now
    if (now < this.pausedUntil) return
    const isFirst = this.perSecond === Number.POSITIVE_INFINITY
    this.perSecond = isFirst ? FIRST_LIMIT_PER_S : Math.max(Math.min(FLOOR_PER_S, this.limit), this.perSecond / 2)
    this.pausedUntil = now + PAUSE_MS
    this.filledAt = this.pausedUntil
    this.tokens = 1
  }

  private get burst(): number {
    return Math.max(1, this.perSecond * BURST_S)
  }

  private raise(now: number): void {
    if (this.perSecond >= this.limit || this.perSecond === Number.POSITIVE_INFINITY) return
    const steps = Math.floor((now - this.raisedAt) / RAISE_EVERY_MS)
    if (steps <= 0) return
    this.perSecond = Math.min(this.limit, this.perSecond + steps)
    this.raisedAt += steps * RAISE_EVERY_MS
  }
}
