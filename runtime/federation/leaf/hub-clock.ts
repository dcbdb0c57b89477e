import type { Clock } from '../../router/clock.ts'
import type { ClockSample, HubSession } from './hub-session.ts'

const SAMPLES = 3
/** A step of the wall clock that is more than correction of drift. */
const STEP_MS = 1000

/** How far the hub's clock is ahead of ours. Source: federation.md §13.8. */
export class HubClock {
  /** Hub clock minus ours, µs; 0 while not known. */
  offsetUs = 0
  isKnown = false
  private readonly clock: Clock
  /** Wall clock minus monotonic clock when the process began, ms. */
  private readonly baseMs: number

  constructor(clock: Clock) {
    this.clock = clock
    this.baseMs = clock.wallUs() / 1000 - clock.now()
  }

  /** The wall clock was set since the start: times from before it cannot be compared with it. */
  get hasStepped(): boolean {
    return Math.abs(this.clock.wallUs() / 1000 - this.clock.now() - this.baseMs) > STEP_MS
  }

  /** The hub's time now, µs. */
  get nowUs(): number {
    return this.clock.wallUs() + this.offsetUs
  }

  /** Asks three times; the quickest answer counts. */
  async measure(session: HubSession): Promise<void> {
    let best: ClockSample | undefined
    for (let i = 0; i < SAMPLES; i++) {
      const sample = await session.sampleClock()
      if (sample === undefined) return
      if (best === undefined || sample.roundTripUs < best.roundTripUs) best = sample
    }
    if (best === undefined) return
    this.offsetUs = Math.round(best.offsetUs)
    this.isKnown = true
  }
}
