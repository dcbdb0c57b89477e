import type { DeviceClock } from './device.ts'

/**
 * Runs a step at an interval that does not drift, one at a time, until `signal`. What a step rejects with is dropped: what
 * of it matters is to be told from within.
 */
export function repeat(
  intervalMs: number,
  clock: DeviceClock,
  signal: AbortSignal,
  step: () => void | Promise<void>,
): void {
  if (signal.aborted) return
  let nextAt = clock.now() + intervalMs
  const run = async () => {
    try {
      await step()
    } catch {
      // It has its next chance at the next interval.
    }
    if (signal.aborted) return
    const now = clock.now()
    // What could not be taken in time is left out.
    nextAt = Math.max(nextAt + intervalMs, now)
    timer = clock.timer(nextAt - now, run)
  }
  let timer = clock.timer(intervalMs, run)
  signal.addEventListener('abort', () => timer.cancel(), { once: true })
}
