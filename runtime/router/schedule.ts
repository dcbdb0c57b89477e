import type { Clock, Timer } from './clock.ts'

/** Timers of the platform come up to this late: the last stretch is waited for turn by turn. */
const TIMER_SLACK_MS = 2

interface Job {
  dueAt: number
  run: () => void
}

/** Jobs at a monotonic time, run within a fraction of a millisecond of it on an idle event loop. Order is kept for equal times. */
export class Schedule {
  private readonly clock: Clock
  private jobs: Job[] = []
  private timer: Timer | null = null
  private isWatching = false

  constructor(clock: Clock) {
    this.clock = clock
  }

  get size(): number {
    return this.jobs.length
  }

  add(dueAt: number, run: () => void): void {
    let at = this.jobs.length
    while (at > 0 && this.jobs[at - 1].dueAt > dueAt) at--
    this.jobs.splice(at, 0, { dueAt, run })
    if (at === 0) this.arm()
  }

  stop(): void {
    this.jobs = []
    this.timer?.cancel()
    this.timer = null
  }

  private arm(): void {
    this.timer?.cancel()
    this.timer = null
    if (this.jobs.length === 0) return
    const leftMs = this.jobs[0].dueAt - this.clock.now()
    if (leftMs > TIMER_SLACK_MS) {
      // Longer delays than a timer can hold are taken in steps.
      this.timer = this.clock.timer(Math.min(leftMs - TIMER_SLACK_MS, 86_400_000), () => this.arm())
    } else if (!this.isWatching) {
      this.isWatching = true
      this.clock.afterTurn(this.watch)
    }
  }

  private readonly watch = (): void => {
    this.isWatching = false
    const now = this.clock.now()
    while (this.jobs.length > 0 && this.jobs[0].dueAt <= now) (this.jobs.shift() as Job).run()
    this.arm()
  }
}
