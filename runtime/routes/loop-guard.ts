import type { Clock, Timer } from '../router/clock.ts'

const MAX_TURNS = 20
const WITHIN_MS = 1000
const REST_MS = 5000
const MAX_ADDRESSES = 4096

interface AddressState {
  isIn: boolean
  turns: number
  sinceMs: number
  /** Until it may pass values again; null: it may. */
  rest: Timer | null
  /** The last value that had to wait, into the router and out of it. */
  waiting: { in?: () => void; out?: () => void }
}

/**
 * Ends loops through foreign gear: an address at which values go in and out by turns more than 20 times a second rests for
 * five seconds, after which its last values pass: gear that corrects a moving fader looks like a loop, and is none.
 * Source: bridges.md §2.8.
 */
export class LoopGuard {
  private readonly clock: Clock
  private readonly onLoop: (address: string) => void
  private readonly states = new Map<string, AddressState>()

  constructor(clock: Clock, onLoop: (address: string) => void) {
    this.clock = clock
    this.onLoop = onLoop
  }

  /** Whether a value may pass at this address, into the router or out of it. */
  allows(address: string, isIn: boolean): boolean {
    const now = this.clock.now()
    const state = this.states.get(address)
    if (state === undefined) {
      if (this.states.size >= MAX_ADDRESSES) this.forget(this.states.keys().next().value as string)
      this.states.set(address, { isIn, turns: 0, sinceMs: now, rest: null, waiting: {} })
      return true
    }
    if (state.rest === null) {
      if (now - state.sinceMs > WITHIN_MS) {
        state.turns = 0
        state.sinceMs = now
      }
      if (state.isIn === isIn) return true
      state.isIn = isIn
      if (++state.turns <= MAX_TURNS) return true
      state.rest = this.clock.timer(REST_MS, () => this.wake(state))
      this.onLoop(address)
    }
    return false
  }

  /** For a value that may not pass now: `later` is called when it may, unless a newer one has come by then. */
  hold(address: string, isIn: boolean, later: () => void): void {
    const state = this.states.get(address)
    if (state !== undefined) state.waiting[isIn ? 'in' : 'out'] = later
  }

  /** What waits is forgotten. */
  stop(): void {
    for (const address of [...this.states.keys()]) this.forget(address)
  }

  private wake(state: AddressState): void {
    const { waiting } = state
    state.rest = null
    state.turns = 0
    state.sinceMs = this.clock.now()
    state.waiting = {}
    waiting.in?.()
    waiting.out?.()
  }

  private forget(address: string): void {
    this.states.get(address)?.rest?.cancel()
    this.states.delete(address)
  }
}
