import type { DeviceClock } from '../device.ts'
import type { ForcedReason, Interlock } from './lines.ts'

export interface OutputLimits {
  /** 0 = no limit. */
  readonly maxOnMs: number
  readonly interlock?: Interlock
  /** Somebody else than `set` changed it. */
  onForced(isOn: boolean, reason: ForcedReason): void
}

/**
 * What clasp-io does for the lines that it holds, for outputs that it does not hold: the longest time on, and interlocks
 * among them. Source: bridges.md §20.6.
 */
export class LimitedOutputs {
  private readonly clock: DeviceClock
  private readonly members = new Set<LimitedOutput>()

  constructor(clock: DeviceClock) {
    this.clock = clock
  }

  /** `wasOn`: until now, so that interlocks wait. `drive` is told of every level, from the first change on. */
  add(
    limits: OutputLimits,
    { isOn, wasOn }: { isOn: boolean; wasOn: boolean },
    drive: (isOn: boolean) => void,
  ): LimitedOutput {
    const offAt = wasOn ? this.clock.now() : Number.NEGATIVE_INFINITY
    const output = new LimitedOutput(limits, { isOn, offAt }, this.clock, drive, this.members)
    this.members.add(output)
    return output
  }

  remove(output: LimitedOutput): void {
    output.stop()
    this.members.delete(output)
  }
}

export class LimitedOutput {
  isOn: boolean
  private readonly limits: OutputLimits
  private readonly clock: DeviceClock
  private readonly drive: (isOn: boolean) => void
  private readonly others: ReadonlySet<LimitedOutput>
  /** When it went off; interlocks wait from then on. */
  private offAt: number
  private offBy: { cancel(): void } | null = null
  private onWhen: { cancel(): void } | null = null

  constructor(
    limits: OutputLimits,
    { isOn, offAt }: { isOn: boolean; offAt: number },
    clock: DeviceClock,
    drive: (isOn: boolean) => void,
    others: ReadonlySet<LimitedOutput>,
  ) {
    this.limits = limits
    this.isOn = isOn
    this.offAt = offAt
    this.clock = clock
    this.drive = drive
    this.others = others
  }

  /** As far as its interlock lets it. */
  set(isOn: boolean): void {
    if (isOn && (this.isOn || this.onWhen !== null)) return
    const waitMs = isOn ? this.clearInterlock() : 0
    if (waitMs === undefined) {
      this.limits.onForced(false, 'interlock')
    } else if (waitMs > 0) {
      this.onWhen = this.clock.timer(waitMs, () => {
        this.change(true)
        this.limits.onForced(true, 'interlock')
      })
    } else {
      this.change(isOn)
    }
  }

  /** Whatever the others are: for the safe state. */
  change(isOn: boolean): void {
    this.onWhen?.cancel()
    this.onWhen = null
    if (isOn !== this.isOn) {
      this.isOn = isOn
      this.offBy?.cancel()
      if (!isOn) this.offAt = this.clock.now()
      else if (this.limits.maxOnMs > 0) this.offBy = this.clock.timer(this.limits.maxOnMs, () => this.onTooLong())
    }
    this.drive(isOn)
  }

  /** It stays what it is, and no timer is left. */
  stop(): void {
    this.onWhen?.cancel()
    this.onWhen = null
    this.offBy?.cancel()
  }

  /** How long it has to wait, ms; undefined: it must stay off. */
  private clearInterlock(): number | undefined {
    const { interlock } = this.limits
    let waitMs = 0
    if (interlock === undefined) return waitMs
    for (const other of this.others) {
      if (other === this || other.limits.interlock?.name !== interlock.name) continue
      if (other.isOn || other.onWhen !== null) {
        if (interlock.mode === 'reject') return undefined
        other.change(false)
        other.limits.onForced(false, 'interlock')
      }
      waitMs = Math.max(waitMs, other.offAt + interlock.deadTimeMs - this.clock.now())
    }
    return waitMs
  }

  private onTooLong(): void {
    this.change(false)
    this.limits.onForced(false, 'maxOn')
  }
}
