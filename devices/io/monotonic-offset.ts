import type { DeviceClock } from '../device.ts'

const WINDOW_MS = 60_000

/**
 * Turns the kernel's monotonic time into that of the runtime. Each message that says when it was sent arrives a little
 * later: the smallest difference of the last one to two minutes is the truest.
 */
export class MonotonicOffset {
  private readonly clock: DeviceClock
  private best = Number.POSITIVE_INFINITY
  private previous = Number.POSITIVE_INFINITY
  private since: number

  constructor(clock: DeviceClock) {
    this.clock = clock
    this.since = clock.now()
  }

  /** A message that was sent at this time has just come. */
  learn(sentMs: number): void {
    const now = this.clock.now()
    if (now - this.since > WINDOW_MS) {
      this.previous = this.best
      this.best = Number.POSITIVE_INFINITY
      this.since = now
    }
    this.best = Math.min(this.best, now - sentMs)
  }

  /** On the clock of the runtime; never in the future. */
  local(kernelMs: number): number {
    const offset = Math.min(this.best, this.previous)
    const now = this.clock.now()
    return Number.isFinite(offset) ? Math.min(now, kernelMs + offset) : now
  }

  remote(localMs: number): number {
    const offset = Math.min(this.best, this.previous)
    return Number.isFinite(offset) ? localMs - offset : localMs
  }
}
