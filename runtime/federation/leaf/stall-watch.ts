import type { Clock, Timer } from '../../router/clock.ts'

/** A connection that comes no nearer to its goal for so long is given up. Source: federation.md §13.4. */
const STALLED_MS = 30_000

/** Calls `onStalled` when `mark` is the same as 30 s before; ends by itself when it is undefined. */
export function watchStall(clock: Clock, mark: () => string | undefined, onStalled: () => void): { stop(): void } {
  let timer: Timer | null = null
  let before: string | undefined
  const look = (): void => {
    timer = null
    const now = mark()
    if (now === undefined) return
    if (now === before) {
      onStalled()
      return
    }
    before = now
    timer = clock.timer(STALLED_MS, look)
  }
  look()
  return { stop: () => timer?.cancel() }
}
