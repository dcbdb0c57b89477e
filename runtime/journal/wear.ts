const DAY_MS = 86_400_000
/** What may be written at once after a quiet time, of a day's budget. The rest of the budget flows in evenly. */
const BURST = 0.25
/** Sparing ends when so much of the burst has come together again. */
const RECOVERED = 0.1
/** Explicit promises are kept without credit; beyond this part of the burst nobody pays for them later. */
const DEEPEST_DEBT = 0.25
/** Commits with credit are at least so far apart; the rest of the second is for gathering and for the medium. */
export const SHORTEST_INTERVAL_MS = 900
export const LONGEST_INTERVAL_MS = 300_000

/**
 * Bytes that may be written to the medium: a bucket that holds a quarter of the day's budget and is filled with the other
 * three quarters in the course of a day, so that no 24 hours see more than the budget. Times are monotonic ms.
 */
export class WearBudget {
  private readonly capacity: number
  private readonly bytesPerMs: number
  private credit: number
  private filledAt: number
  private commitBytes = 8192
  private isSparing = false

  /** `bytesPerDay` 0 = no limit. */
  constructor(bytesPerDay: number, now: number) {
    this.capacity = bytesPerDay === 0 ? Infinity : bytesPerDay * BURST
    this.bytesPerMs = bytesPerDay === 0 ? 0 : (bytesPerDay * (1 - BURST)) / DAY_MS
    this.credit = this.capacity
    this.filledAt = now
  }

  /** Without credit: what nobody has promised waits. */
  get spares(): boolean {
    return this.isSparing
  }

  spend(bytes: number, now: number): void {
    this.fill(now)
    this.commitBytes += (bytes - this.commitBytes) / 8
    this.credit = Math.max(-this.capacity * DEEPEST_DEBT, this.credit - bytes)
    if (this.credit <= 0) this.isSparing = true
  }

  /** How long after the start of one commit the next one of unpromised changes may start. */
  intervalMs(now: number): number {
    this.fill(now)
    if (!this.isSparing) return SHORTEST_INTERVAL_MS
    const refillMs = (this.commitBytes - Math.min(0, this.credit)) / this.bytesPerMs
    return Math.min(LONGEST_INTERVAL_MS, Math.max(SHORTEST_INTERVAL_MS, refillMs))
  }

  /** What is left, to be remembered over a restart. */
  creditBytes(now: number): number {
    this.fill(now)
    return Number.isFinite(this.credit) ? Math.round(this.credit) : 0
  }

  /** Goes on with what was left when the router stopped; the time between counts. */
  resume(creditBytes: number, agoMs: number): void {
    if (!Number.isFinite(this.capacity) || !Number.isFinite(creditBytes)) return
    this.credit = Math.min(this.capacity, creditBytes + Math.max(0, agoMs) * this.bytesPerMs)
    this.isSparing = this.credit <= 0
  }

  private fill(now: number): void {
    if (!Number.isFinite(this.capacity)) return
    this.credit = Math.min(this.capacity, this.credit + Math.max(0, now - this.filledAt) * this.bytesPerMs)
    this.filledAt = now
    if (this.credit >= this.capacity * RECOVERED) this.isSparing = false
  }
}
