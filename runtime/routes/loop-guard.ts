import type { Clock } from '../router/clock.ts'

const MAX_TURNS = 20
const WITHIN_MS = 1000
const REST_MS = 5000
const MAX_ADDRESSES = 4096

/**
 * Ends loops through foreign gear: an address at which values go in and out by turns more than 20 times a second rests for
 * five seconds. Source: bridges.md §2.8.
 */
export class LoopGuard {
  private readonly clock: Clock
  private readonly onLoop: (address: string) => void
  private readonly states = new Map<string, { isIn: boolean; turns: number; sinceMs: number; restsUntilMs: number }>()

  constructor(clock: Clock, onLoop: (address: string) => void) {
    this.clock = clock
    this.onLoop = onLoop
  }

  /** Whether a value may pass at this address, into the router or out of it. */
  allows(address: string, isIn: boolean): boolean {
    const now = this.clock.now()
    const state = this.states.get(address)
    if (state === undefined) {
      if (this.states.size >= MAX_ADDRESSES) this.states.delete(this.states.keys().next().value as string)
      this.states.set(address, { isIn, turns: 0, sinceMs: now, restsUntilMs: 0 })
      return true
    }
    if (now < state.restsUntilMs) return false
    if (now - state.sinceMs > WITHIN_MS) {
      state.turns = 0
      state.sinceMs = now
    }
    if (state.isIn === isIn) return true
    state.isIn = isIn
    if (++state.turns <= MAX_TURNS) return true
    state.restsUntilMs = now + REST_MS
    state.turns = 0
    this.onLoop(address)
    return false
  }
}
