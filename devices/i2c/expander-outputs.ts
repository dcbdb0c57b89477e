import type { DeviceClock } from '../device.ts'
import { type LimitedOutput, LimitedOutputs, type OutputLimits } from '../io/limited-outputs.ts'
import type { ForcedReason, OutputLine } from '../io/lines.ts'

export interface ExpanderOutput extends OutputLimits {
  readonly bit: number
  readonly safe: 'off' | 'on' | 'hold'
}

/** The outputs of one expander with their limits. Masks are logical: a set bit is an output that is on. */
export class ExpanderOutputs {
  private readonly outputs: readonly ExpanderOutput[]
  private readonly limited: readonly LimitedOutput[]
  private readonly apply: () => void

  /**
   * `on`: those that are on at first, without a longest time; `before`: those that were until now. `apply` is told of every
   * change of `on`.
   */
  constructor(
    outputs: readonly ExpanderOutput[],
    { on, before }: { on: number; before: number },
    clock: DeviceClock,
    apply: () => void,
  ) {
    const group = new LimitedOutputs(clock)
    this.outputs = outputs
    this.apply = apply
    this.limited = outputs.map((output) =>
      group.add(output, { isOn: (on & output.bit) !== 0, wasOn: (before & output.bit) !== 0 }, apply),
    )
  }

  get on(): number {
    return this.outputs.reduce((mask, { bit }, at) => (this.limited[at].isOn ? mask | bit : mask), 0)
  }

  /** `on` when all are safe. */
  get safeOn(): number {
    const isSafeOn = (at: number, { safe }: ExpanderOutput) => (safe === 'hold' ? this.limited[at].isOn : safe === 'on')
    return this.outputs.reduce((mask, output, at) => (isSafeOn(at, output) ? mask | output.bit : mask), 0)
  }

  /** One output, as what is written to it and its rules are joined by OutputControl. */
  line(at: number): Pick<OutputLine, 'set' | 'read'> {
    const output = this.limited[at]
    return {
      set: (isOn) => output.set(isOn),
      read: async () => output.isOn,
    }
  }

  /** Somebody else has made them safe. */
  fallSafe(reason: ForcedReason): void {
    for (const [at, { safe, onForced }] of this.outputs.entries()) {
      if (safe === 'hold') continue
      this.limited[at].change(safe === 'on')
      onForced(safe === 'on', reason)
    }
  }

  /** All are safe, and no timer is left. */
  stop(): void {
    for (const [at, { safe }] of this.outputs.entries()) {
      if (safe !== 'hold') this.limited[at].change(safe === 'on')
      this.limited[at].stop()
    }
    this.apply()
  }
}
