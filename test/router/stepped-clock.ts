import type { Clock, Timer } from '../../runtime/router/clock.ts'

const START_US = 1_700_000_000_000_000

interface Due {
  at: number
  callback: () => void
}

/** Time that stands still until a test moves it. Turns of the event loop go on as ever, so that sockets work. */
export class SteppedClock implements Clock {
  private nowMs = 5000
  private offsetUs = START_US
  private readonly timers = new Set<Due>()
  private readonly turnEnds = new Set<() => void>()

  now(): number {
    return this.nowMs
  }

  wallUs(): number {
    return this.offsetUs + Math.floor(this.nowMs * 1000)
  }

  timer(delayMs: number, callback: () => void): Timer {
    const due = { at: this.nowMs + Math.max(0, delayMs), callback }
    this.timers.add(due)
    return { cancel: () => this.timers.delete(due) }
  }

  afterTurn(callback: () => void): void {
    const run = () => {
      if (this.turnEnds.delete(run)) callback()
    }
    this.turnEnds.add(run)
    setImmediate(run)
  }

  /** Timers that have neither fired nor been cancelled. */
  get pendingTimers(): number {
    return this.timers.size
  }

  /** Lets time pass and fires what falls due, each timer at its own time and in a turn of its own. */
  advance(ms: number): void {
    const until = this.nowMs + ms
    for (;;) {
      let next: Due | undefined
      for (const due of this.timers) if (due.at <= until && (next === undefined || due.at < next.at)) next = due
      if (next === undefined) break
      this.timers.delete(next)
      for (const run of [...this.turnEnds]) run()
      this.nowMs = Math.max(this.nowMs, next.at)
      next.callback()
    }
    this.nowMs = until
  }

  /** As an operator or a time server does: the wall clock jumps, monotonic time does not notice. */
  stepWall(us: number): void {
    this.offsetUs += us
  }
}
