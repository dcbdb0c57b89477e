const WINDOW_MS = 10_000
const DROPS_BEFORE_NOTICE = 100

/**
 * When to tell a slow peer that it misses messages: at the 100th drop within 10 s, and then not again for 10 s.
 * Source: router reference §12.
 */
export class SlowNotice {
  private windowStart = -Infinity
  private drops = 0
  private toldAt = -Infinity

  isDue(count: number, now: number): boolean {
    if (now >= this.windowStart + WINDOW_MS) {
      this.windowStart = now
      this.drops = count
    } else {
      this.drops += count
    }
    if (this.drops < DROPS_BEFORE_NOTICE || now < this.toldAt + WINDOW_MS) return false
    this.toldAt = now
    return true
  }

  get text(): string {
    return `Buffer overflow: messages being dropped (${this.drops} drops in last 10 seconds)`
  }
}
