import type { Clock } from '../../router/clock.ts'

/** Source: federation.md §13.4. `stopped` is the end. */
export type LinkState =
  | 'idle'
  | 'connecting'
  | 'drain'
  | 'declare'
  | 'subscribe'
  | 'sync'
  | 'reconcile'
  | 'active'
  | 'backoff'
  | 'authWait'
  | 'misconfigured'
  | 'stopped'

/** Where the link stands, since when, and what went wrong last. */
export class LinkProgress {
  state: LinkState = 'idle'
  /** Wall clock, µs. */
  sinceUs: number
  /** Monotonic ms. */
  sinceMs: number
  /** For the operator; empty = nothing yet. */
  lastError = ''
  lastErrorAtUs = 0
  /** Called when the state is another. */
  onChange: () => void = () => {}
  private readonly clock: Clock

  constructor(clock: Clock) {
    this.clock = clock
    this.sinceUs = clock.wallUs()
    this.sinceMs = clock.now()
  }

  enter(state: LinkState): void {
    if (state === this.state) return
    this.state = state
    this.sinceUs = this.clock.wallUs()
    this.sinceMs = this.clock.now()
    this.onChange()
  }

  failed(words: string): void {
    this.lastError = words
    this.lastErrorAtUs = this.clock.wallUs()
  }
}
