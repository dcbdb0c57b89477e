import type { Clock, Timer } from '../../router/clock.ts'

/** Timers of the system wake up by up to a millisecond too early, and late by more. */
const TOLERANCE_MS = 1
const LATE_MS = 3

/** Something that happens again and again, at its own times. */
export interface Paced {
  /** Monotonic ms; Infinity: not at all. */
  readonly dueAt: number
  /** Moves `dueAt`. */
  run(now: number): void
}

/**
 * One timer for all universes of a bridge. Those that become due in the same turn run together, at its end, so that what
 * the router delivers as one bundle becomes one frame.
 */
export class FrameClock {
  private readonly clock: Clock
  private readonly onRound: () => void
  private readonly paced: Paced[] = []
  private timer: Timer | null = null
  private timerAt = Number.POSITIVE_INFINITY
  private isRoundWaiting = false
  private isStopped = false

  /** `onRound`: after everything that was due has run. */
  constructor(clock: Clock, onRound: () => void = () => {}) {
    this.clock = clock
    this.onRound = onRound
  }

  add(paced: Paced): void {
    this.paced.push(paced)
    this.wake(paced)
  }

  /** Its `dueAt` has become earlier. */
  wake({ dueAt }: Paced): void {
    if (this.isStopped || this.isRoundWaiting) return
    const now = this.clock.now()
    if (dueAt - TOLERANCE_MS <= now) {
      this.isRoundWaiting = true
      this.clock.afterTurn(() => this.round())
    } else if (dueAt < this.timerAt) {
      this.arm(dueAt, now)
    }
  }

  stop(): void {
    this.isStopped = true
    this.timer?.cancel()
    this.paced.length = 0
  }

  private round(): void {
    this.isRoundWaiting = false
    if (this.isStopped) return
    const now = this.clock.now()
    let hasRun = false
    for (const paced of this.paced) {
      if (paced.dueAt - TOLERANCE_MS > now) continue
      paced.run(now)
      hasRun = true
    }
    if (hasRun) this.onRound()
    // Only now: one may have woken another.
    let next = Number.POSITIVE_INFINITY
    for (const { dueAt } of this.paced) if (dueAt < next) next = dueAt
    if (next === Number.POSITIVE_INFINITY) {
      this.timer?.cancel()
      this.timer = null
      this.timerAt = next
    } else if (this.timer === null || next !== this.timerAt) {
      this.arm(next, now)
    }
  }

  private arm(at: number, now: number): void {
    this.timer?.cancel()
    this.timerAt = at
    this.timer = this.clock.timer(Math.max(0, at - now), () => {
      this.timer = null
      this.timerAt = Number.POSITIVE_INFINITY
      this.round()
    })
  }
}

/**
 * When the next frame may go, after one that was due at `dueAt` goes `now`. A timer that is a little late does not slow the
 * rate down; whoever was idle starts anew.
 */
export function nextFrameAt(dueAt: number, now: number, periodMs: number): number {
  return now - dueAt < LATE_MS ? dueAt + periodMs : now + periodMs
}
