import type { Clock, Timer } from '../router/clock.ts'

const WINDOW_MS = 10_000
const LINES_PER_WINDOW = 10
/** Messages are fixed texts, so this many different ones within a window means that a caller puts data into them. */
const MAX_KEYS = 500

interface Window {
  endsAt: number
  count: number
}

/**
 * Lets each text through ten times in ten seconds and counts the rest; `onSummary` gets the number when the window ends.
 * A timer runs only while something is held back.
 */
export class RepeatLimit {
  private readonly clock: Clock
  private readonly onSummary: (key: string, suppressed: number) => void
  private readonly windows = new Map<string, Window>()
  private timer: Timer | undefined

  constructor(clock: Clock, onSummary: (key: string, suppressed: number) => void) {
    this.clock = clock
    this.onSummary = onSummary
  }

  allows(key: string): boolean {
    const now = this.clock.now()
    let window = this.windows.get(key)
    if (window === undefined || now >= window.endsAt) {
      if (window === undefined && this.windows.size >= MAX_KEYS) this.closeUntil(Infinity)
      else if (window !== undefined) this.summarise(key, window)
      window = { endsAt: now + WINDOW_MS, count: 0 }
      this.windows.set(key, window)
    }
    window.count++
    if (window.count <= LINES_PER_WINDOW) return true
    this.timer ??= this.clock.timer(window.endsAt - now, () => this.onTimer())
    return false
  }

  /** Reports what is held back, and ends the timer. */
  flush(): void {
    this.timer?.cancel()
    this.timer = undefined
    this.closeUntil(Infinity)
  }

  private onTimer(): void {
    this.timer = undefined
    const now = this.clock.now()
    this.closeUntil(now)
    let next = Infinity
    for (const window of this.windows.values()) {
      if (window.count > LINES_PER_WINDOW && window.endsAt < next) next = window.endsAt
    }
    if (next !== Infinity) this.timer = this.clock.timer(next - now, () => this.onTimer())
  }

  private closeUntil(time: number): void {
    for (const [key, window] of this.windows) {
      if (window.endsAt > time) continue
      this.windows.delete(key)
      this.summarise(key, window)
    }
  }

  private summarise(key: string, window: Window): void {
    if (window.count > LINES_PER_WINDOW) this.onSummary(key, window.count - LINES_PER_WINDOW)
  }
}
