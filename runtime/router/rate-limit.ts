/** Hot path. */

/** A token bucket: so many messages a second, with a burst of one second's worth. Time is monotonic. */
export class RateLimit {
  private readonly perSecond: number
  private tokens: number
  private filledAt: number
  /** When the sender was last told; it is told once a second at most (a reply to each would double a flood). */
  private toldAt = -Infinity

  constructor(perSecond: number, now: number) {
    this.perSecond = perSecond
    this.tokens = perSecond
    this.filledAt = now
  }

  /** Takes `count` messages out of the bucket; false when there are not enough. */
  take(count: number, now: number): boolean {
    if (now !== this.filledAt) {
      this.tokens = Math.min(this.perSecond, this.tokens + ((now - this.filledAt) / 1000) * this.perSecond)
      this.filledAt = now
    }
    if (this.tokens < count) return false
    this.tokens -= count
    return true
  }

  shouldTell(now: number): boolean {
    if (now - this.toldAt < 1000) return false
    this.toldAt = now
    return true
  }
}
