/**
 * Time as the router sees it. Order, expiry and timers follow the monotonic clock; the wall clock only
 * stamps what goes out, so that a board without a battery-backed clock may step by years without harm.
 */
export interface Clock {
  /** Monotonic milliseconds with a fraction, from an arbitrary start. */
  now(): number
  /** Wall clock, microseconds since the Unix epoch, always an integer. */
  wallUs(): number
  /** Calls back once, not earlier than `delayMs` from now. Timers do not keep the process alive. */
  timer(delayMs: number, callback: () => void): Timer
  /** Calls back once, when the current turn of the event loop has read all that was ready. */
  afterTurn(callback: () => void): void
}

export interface Timer {
  cancel(): void
}

/** Node fires longer ones at once. */
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1

export const systemClock: Clock = createSystemClock()

function createSystemClock(): Clock {
  /** Wall clock minus monotonic clock, ms. */
  let offset = Date.now() - performance.now()
  return {
    now: () => performance.now(),
    /**
     * JavaScript offers the wall clock in whole milliseconds only: the monotonic clock supplies the fraction, and is
     * corrected whenever it leaves the current millisecond, so that steps of the wall clock are followed at once.
     */
    wallUs() {
      const fine = performance.now() + offset
      const coarse = Date.now()
      const error = fine < coarse ? fine - coarse : fine >= coarse + 1 ? fine - coarse - 0.999 : 0
      offset -= error
      return Math.floor((fine - error) * 1000)
    },
    timer(delayMs, callback) {
      let handle: NodeJS.Timeout
      const wait = (leftMs: number): void => {
        const isLong = leftMs > LONGEST_TIMEOUT_MS
        const next = isLong ? () => wait(leftMs - LONGEST_TIMEOUT_MS) : callback
        handle = setTimeout(next, isLong ? LONGEST_TIMEOUT_MS : Math.max(0, leftMs))
        handle.unref()
      }
      wait(delayMs)
      return { cancel: () => clearTimeout(handle) }
    },
    afterTurn(callback) {
      setImmediate(callback)
    },
  }
}
