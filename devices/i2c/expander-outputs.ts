import type { DeviceClock } from '../device.ts'
import type { ForcedReason, Interlock, OutputLine } from '../io/lines.ts'

export interface ExpanderOutput {
  readonly bit: number
  readonly safe: 'off' | 'on' | 'hold'
  /** 0 = no limit. */
  readonly maxOnMs: number
  readonly interlock?: Interlock
  onForced(isOn: boolean, reason: ForcedReason): void
}

interface State {
  isOn: boolean
  /** When it went off; interlocks wait from then on. */
  offAt: number
  offBy: { cancel(): void } | null
  onWhen: { cancel(): void } | null
}

/**
 * What clasp-io does for lines, for the outputs of one expander: the longest time on, and interlocks among them.
 * Masks are logical: a set bit is an output that is on. Source: bridges.md §20.6.
 */
export class ExpanderOutputs {
  private readonly outputs: readonly ExpanderOutput[]
  private readonly states: readonly State[]
  private readonly clock: DeviceClock
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
    this.outputs = outputs
    this.clock = clock
    this.apply = apply
    this.states = outputs.map(({ bit }) => ({
      isOn: (on & bit) !== 0,
      offAt: (before & bit) !== 0 ? clock.now() : Number.NEGATIVE_INFINITY,
      offBy: null,
      onWhen: null,
    }))
  }

  get on(): number {
    return this.outputs.reduce((mask, { bit }, at) => (this.states[at].isOn ? mask | bit : mask), 0)
  }

  /** `on` when all are safe. */
  get safeOn(): number {
    const isSafeOn = (at: number, { safe }: ExpanderOutput) => (safe === 'hold' ? this.states[at].isOn : safe === 'on')
    return this.outputs.reduce((mask, output, at) => (isSafeOn(at, output) ? mask | output.bit : mask), 0)
  }

  /** One output, as what is written to it and its rules are joined by OutputControl. */
  line(at: number): Pick<OutputLine, 'set' | 'read'> {
    return {
      set: (isOn) => this.set(at, isOn),
      read: async () => this.states[at].isOn,
    }
  }

  /** Somebody else has made them safe. */
  fallSafe(reason: ForcedReason): void {
    for (const [at, { safe, onForced }] of this.outputs.entries()) {
      if (safe === 'hold') continue
      this.change(at, safe === 'on')
      onForced(safe === 'on', reason)
    }
    this.apply()
  }

  /** All are safe, and no timer is left. */
  stop(): void {
    for (const [at, { safe }] of this.outputs.entries()) {
      if (safe !== 'hold') this.change(at, safe === 'on')
      this.states[at].onWhen?.cancel()
      this.states[at].offBy?.cancel()
    }
    this.apply()
  }

  private set(at: number, isOn: boolean): void {
    const state = this.states[at]
    if (isOn && (state.isOn || state.onWhen !== null)) return
    state.onWhen?.cancel()
    state.onWhen = null
    const waitMs = isOn ? this.clearInterlock(at) : 0
    const { onForced } = this.outputs[at]
    if (waitMs === undefined) {
      onForced(false, 'interlock')
    } else if (waitMs > 0) {
      state.onWhen = this.clock.timer(waitMs, () => {
        state.onWhen = null
        this.change(at, true)
        this.apply()
        onForced(true, 'interlock')
      })
    } else {
      this.change(at, isOn)
    }
    this.apply()
  }

  /** How long the output has to wait, ms; undefined: it must stay off. */
  private clearInterlock(at: number): number | undefined {
    const { interlock } = this.outputs[at]
    let waitMs = 0
    if (interlock === undefined) return waitMs
    for (const [otherAt, other] of this.outputs.entries()) {
      if (otherAt === at || other.interlock?.name !== interlock.name) continue
      const state = this.states[otherAt]
      if (state.isOn || state.onWhen !== null) {
        if (interlock.mode === 'reject') return undefined
        this.change(otherAt, false)
        other.onForced(false, 'interlock')
      }
      waitMs = Math.max(waitMs, state.offAt + interlock.deadTimeMs - this.clock.now())
    }
    return waitMs
  }

  private change(at: number, isOn: boolean): void {
    const state = this.states[at]
    const { maxOnMs } = this.outputs[at]
    state.onWhen?.cancel()
    state.onWhen = null
    if (isOn === state.isOn) return
    state.isOn = isOn
    if (isOn) {
      if (maxOnMs > 0) state.offBy = this.clock.timer(maxOnMs, () => this.onTooLong(at))
    } else {
      state.offBy?.cancel()
      state.offAt = this.clock.now()
    }
  }

  private onTooLong(at: number): void {
    this.change(at, false)
    this.apply()
    this.outputs[at].onForced(false, 'maxOn')
  }
}
