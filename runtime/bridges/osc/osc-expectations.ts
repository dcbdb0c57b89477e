import type { Value } from '../../../firmware-protocol/wire/value.ts'
import type { Clock, Timer } from '../../router/clock.ts'
import type { OscEntry } from './osc-directory.ts'
import type { OscPeer } from './osc-peer.ts'

const SWEEP_EVERY_MS = 1000

/** Values on their way to the router, by entry; those that it refuses never come back, and are forgotten. */
export class OscExpectations {
  private readonly clock: Clock
  private readonly entries = new Set<OscEntry>()
  private timer: Timer | null = null

  constructor(clock: Clock) {
    this.clock = clock
  }

  /** `aheadMs`: from now until it takes effect. */
  add(entry: OscEntry, value: Value, peer: OscPeer, aheadMs = 0): void {
    entry.expect(value, peer, this.clock.now() + aheadMs)
    this.entries.add(entry)
    this.timer ??= this.clock.timer(SWEEP_EVERY_MS, this.sweep)
  }

  stop(): void {
    this.timer?.cancel()
    this.timer = null
    this.entries.clear()
  }

  private readonly sweep = (): void => {
    this.timer = null
    const now = this.clock.now()
    for (const entry of this.entries) if (!entry.forgetLate(now)) this.entries.delete(entry)
    if (this.entries.size > 0) this.timer = this.clock.timer(SWEEP_EVERY_MS, this.sweep)
  }
}
