import type { Plain } from '../../devices/device.ts'
import type { Clock, Timer } from '../router/clock.ts'

/** So many failed readings in a row mean that it does not work (bridges.md §20.5). */
const FAILURES = 3
const LONGEST_PAUSE_MS = 60_000
/**
 * Readings are taken at multiples of so many milliseconds, or of a tenth of the interval: to wake up costs more than most of
 * them. 50 sensors at 10 Hz wake the process 100 times a second instead of 500.
 */
const GRID_MS = 10
const GRID_SHARE = 0.1

export interface SamplingOwner {
  onReadings(readings: Readonly<Record<string, Plain>>): void
  /** Told once when readings fail, and once when they work again. */
  onHealth(isOk: boolean, reason: string): void
}

/** Takes readings at an interval, one at a time; less often while they fail. */
export class Sampling {
  private readonly read: () => Promise<Readonly<Record<string, Plain>>>
  private readonly everyMs: number
  private readonly clock: Clock
  private readonly owner: SamplingOwner
  private timer: Timer | null = null
  private dueAt: number
  private failures = 0
  private isStopped = false

  /** `phase`, 0…1, spreads the devices over the interval, so that those of a bus are not read in one burst. */
  constructor(
    read: () => Promise<Readonly<Record<string, Plain>>>,
    everyMs: number,
    phase: number,
    clock: Clock,
    owner: SamplingOwner,
  ) {
    this.read = read
    this.everyMs = everyMs
    this.clock = clock
    this.owner = owner
    this.dueAt = clock.now() + everyMs * (phase / 2 - 0.5)
    void this.take()
  }

  stop(): void {
    this.isStopped = true
    this.timer?.cancel()
  }

  private async take(): Promise<void> {
    try {
      const readings = await this.read()
      if (this.isStopped) return
      if (this.failures >= FAILURES) this.owner.onHealth(true, '')
      this.failures = 0
      this.owner.onReadings(readings)
    } catch (error) {
      if (this.isStopped) return
      if (++this.failures === FAILURES) this.owner.onHealth(false, (error as Error).message)
    }
    // By the schedule, not from now on: timers are late, and the rate would drift.
    const now = this.clock.now()
    this.dueAt = Math.max(now, this.dueAt + this.everyMs * this.slowness)
    const gridMs = Math.min(GRID_MS, this.everyMs * GRID_SHARE)
    const takenAt = Math.ceil(this.dueAt / gridMs) * gridMs
    this.timer = this.clock.timer(takenAt - now, () => void this.take())
  }

  /** Twice as long after each failure beyond those that count, up to a minute. */
  private get slowness(): number {
    const factor = 2 ** Math.min(16, Math.max(0, this.failures - FAILURES))
    return Math.max(1, Math.min(factor, LONGEST_PAUSE_MS / this.everyMs))
  }
}
