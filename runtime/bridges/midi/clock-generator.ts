import type { Clock, Timer } from '../../router/clock.ts'

const TICKS_PER_BEAT = 24
/** A tick this early is on time: timers count whole milliseconds. */
const EARLY_MS = 0.5
export const MIN_TEMPO = 10
export const MAX_TEMPO = 1000

/** Ticks at a tempo, without drift. Ticks that the process was too busy for are left out, not made up for. */
export class ClockGenerator {
  private readonly clock: Clock
  private readonly onTick: () => void
  private tickMs = 0
  private dueAt = 0
  private timer: Timer | null = null

  constructor(clock: Clock, onTick: () => void) {
    this.clock = clock
    this.onTick = onTick
  }

  /** Beats per minute, kept within 10 and 1000; 0: no ticks. */
  setTempo(beatsPerMinute: number): void {
    this.timer?.cancel()
    this.timer = null
    if (beatsPerMinute <= 0) {
      this.tickMs = 0
      return
    }
    const now = this.clock.now()
    const wasSilent = this.tickMs === 0
    this.tickMs = 60_000 / TICKS_PER_BEAT / Math.min(MAX_TEMPO, Math.max(MIN_TEMPO, beatsPerMinute))
    this.dueAt = wasSilent ? now + this.tickMs : Math.min(this.dueAt, now + this.tickMs)
    this.arm(now)
  }

  stop(): void {
    this.setTempo(0)
  }

  private arm(now: number): void {
    const left = this.dueAt - now
    this.timer = this.clock.timer(left > 1 ? Math.floor(left) : left, this.onTimer)
  }

  private readonly onTimer = (): void => {
    const now = this.clock.now()
    if (now >= this.dueAt - EARLY_MS) {
      this.onTick()
      this.dueAt += this.tickMs
      if (this.dueAt <= now) this.dueAt = now + this.tickMs
    }
    this.arm(now)
  }
}
