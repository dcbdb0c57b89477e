import { type Clock, systemClock, type Timer } from '../../runtime/router/clock.ts'

interface Due {
  at: number
  callback: () => void
  handle: NodeJS.Timeout
}

/** Real time that a test can also move forward: what takes milliseconds happens by itself, what takes minutes at once. */
export class LeapingClock implements Clock {
  private aheadMs = 0
  private readonly timers = new Set<Due>()

  now(): number {
    return systemClock.now() + this.aheadMs
  }

  wallUs(): number {
    return systemClock.wallUs() + Math.round(this.aheadMs * 1000)
  }

  timer(delayMs: number, callback: () => void): Timer {
    const at = this.now() + Math.max(0, delayMs)
    const due: Due = { at, callback, handle: setTimeout(() => this.fire(due), Math.max(0, delayMs)) }
    due.handle.unref()
    this.timers.add(due)
    return {
      cancel: () => {
        clearTimeout(due.handle)
        this.timers.delete(due)
      },
    }
  }

  afterTurn(callback: () => void): void {
    setImmediate(callback)
  }

  /** Timers that have neither fired nor been cancelled. */
  get pendingTimers(): number {
    return this.timers.size
  }

  /** Lets time pass and fires what falls due, each timer at its own time. */
  leap(ms: number): void {
    const until = this.now() + ms
    for (;;) {
      let next: Due | undefined
      for (const due of this.timers) if (due.at <= until && (next === undefined || due.at < next.at)) next = due
      if (next === undefined) break
      this.aheadMs += Math.max(0, next.at - this.now())
      this.fire(next)
    }
    this.aheadMs += Math.max(0, until - this.now())
  }

  private fire(due: Due): void {
    clearTimeout(due.handle)
    if (this.timers.delete(due)) due.callback()
  }
}
