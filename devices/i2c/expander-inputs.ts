import type { DeviceClock } from '../device.ts'

export interface ExpanderInput {
  readonly bit: number
  readonly activeLow: boolean
  readonly debounceMs: number
  onChange(isOn: boolean): void
}

/** Tells changes of the inputs of an expander that last for their debounce time. */
export class ExpanderInputs {
  private readonly inputs: readonly ExpanderInput[]
  private readonly clock: DeviceClock
  /** What was told, by input. */
  private readonly told: (boolean | undefined)[] = []
  /** When an input was seen to differ from that first, ms. */
  private readonly since: (number | undefined)[] = []

  constructor(inputs: readonly ExpanderInput[], clock: DeviceClock) {
    this.inputs = inputs
    this.clock = clock
  }

  /** `levels`: as read. Returns in how many ms the next look is due at the latest. */
  see(levels: number): number {
    const now = this.clock.now()
    let dueMs = Number.POSITIVE_INFINITY
    for (const [at, { bit, activeLow, debounceMs, onChange }] of this.inputs.entries()) {
      const isOn = ((levels & bit) !== 0) !== activeLow
      if (isOn === this.told[at]) {
        this.since[at] = undefined
        continue
      }
      const sinceMs = this.since[at] ?? now
      const leftMs = debounceMs - (now - sinceMs)
      if (leftMs > 0 && this.told[at] !== undefined) {
        this.since[at] = sinceMs
        dueMs = Math.min(dueMs, leftMs)
        continue
      }
      this.since[at] = undefined
      this.told[at] = isOn
      onChange(isOn)
    }
    return dueMs
  }
}
