/** Part of a new sample that goes into the estimate. */
const WEIGHT = 0.3
const HISTORY = 10

/**
 * Estimates a router's clock from SYNC exchanges. All times are microseconds: t1 request sent, t2 received by the router,
 * t3 reply sent by it, t4 received here. Source: wire reference §13.2.
 */
export class ClockSync {
  /** Router time − local time. */
  offset = 0
  roundTrip = 0
  jitter = 0
  samples = 0
  private readonly history: number[] = []

  /** Takes a sample; one with a negative round trip (a clock was set meanwhile) is discarded and false returned. */
  add(t1: number, t2: number, t3: number, t4: number): boolean {
    const roundTrip = t4 - t1 - (t3 - t2)
    if (roundTrip < 0) return false
    const offset = Math.trunc((t2 - t1 + (t3 - t4)) / 2)
    this.history.push(roundTrip)
    if (this.history.length > HISTORY) this.history.shift()
    if (this.history.length >= 2) this.jitter = deviation(this.history)
    if (this.samples === 0) {
      this.offset = offset
      this.roundTrip = roundTrip
    } else {
      this.offset = Math.trunc((1 - WEIGHT) * this.offset + WEIGHT * offset)
      this.roundTrip = Math.trunc((1 - WEIGHT) * this.roundTrip + WEIGHT * roundTrip)
    }
    this.samples++
    return true
  }

  routerTime(localUs: number): number {
    return localUs + this.offset
  }

  /** 0 without a sample, up to 1 for many quick and steady ones. */
  get quality(): number {
    if (this.samples === 0) return 0
    const quickness = (0.4 * (10_000 - Math.min(this.roundTrip, 10_000))) / 10_000
    const steadiness = (0.4 * (1000 - Math.min(this.jitter, 1000))) / 1000
    const experience = (0.2 * Math.min(this.samples, 10)) / 10
    return Math.min(1, Math.max(0, quickness + steadiness + experience))
  }
}

function deviation(values: readonly number[]): number {
  const mean = Math.floor(values.reduce((sum, value) => sum + value, 0) / values.length)
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0)
  return Math.floor(Math.sqrt(Math.floor(squares / values.length)))
}
