import type { DeviceClock, DeviceContext } from '../device.ts'
import { duration } from '../options.ts'

/** Timers of JavaScript have no more than 2³¹ - 1 ms: what is longer is over at once. */
export const LONGEST_ON_MS = 24 * 86_400_000

export const maxOn = duration('Off after so long, however dimmed and whatever it is told; 0s = no limit.', 0, {
  minMs: 0,
  maxMs: LONGEST_ON_MS,
})

/** What does not go with a longest time on, which ends with 0; undefined: nothing. */
export function maxOnProblem(options: { maxOn: number; safe: number; min: number }): string | undefined {
  if (options.maxOn === 0) return undefined
  if (options.safe > 0) return 'safe above 0 and maxOn contradict each other'
  return options.min > 0 ? 'min above 0 and maxOn contradict each other' : undefined
}

/** The longest time on of an output that is dimmed, such as a heater. Source: bridges.md §20.6. */
export class OnTimeLimit {
  private readonly maxOnMs: number
  private readonly clock: DeviceClock
  private readonly onTooLong: () => void
  private timer: { cancel(): void } | null = null

  /** `name`: for operators. `off` is called when its time is over. */
  constructor(
    maxOnMs: number,
    { clock, problem }: Pick<DeviceContext, 'clock' | 'problem'>,
    name: string,
    off: () => void,
  ) {
    this.maxOnMs = maxOnMs
    this.clock = clock
    this.onTooLong = () => {
      off()
      problem('max_on', `${name} was switched off: it has been on for as long as it may (maxOn)`)
    }
  }

  /** The share of the time that it is on from now on. */
  see(share: number): void {
    if (share <= 0) this.stop()
    else if (this.maxOnMs > 0) this.timer ??= this.clock.timer(this.maxOnMs, this.onTooLong)
  }

  stop(): void {
    this.timer?.cancel()
    this.timer = null
  }
}
