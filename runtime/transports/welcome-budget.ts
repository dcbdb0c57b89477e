/**
 * How many WELCOMEs may go to sources that have not proved their address: without a bound, anybody could have the router
 * throw datagrams at a third party. Counted in windows of one second. Source: transport reference §5.1.
 */
export class WelcomeBudget {
  private readonly perSource: number
  private readonly total: number
  private windowStart = Number.NEGATIVE_INFINITY
  private spent = 0
  /** Never more entries than `total`. */
  private readonly spentBySource = new Map<string, number>()

  constructor(perSource: number, total: number) {
    this.perSource = perSource
    this.total = total
  }

  /** True when one more WELCOME may go to this IP address at `now` (monotonic ms). */
  take(address: string, now: number): boolean {
    if (now - this.windowStart >= 1000) {
      this.windowStart = now
      this.spent = 0
      this.spentBySource.clear()
    }
    const bySource = this.spentBySource.get(address) ?? 0
    if (this.spent >= this.total || bySource >= this.perSource) return false
    this.spent++
    this.spentBySource.set(address, bySource + 1)
    return true
  }
}
