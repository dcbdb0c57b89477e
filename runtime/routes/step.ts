import type { Value } from '../../firmware-protocol/wire/value.ts'

/** What a step makes of a value. `held`: nothing now; `failed`: there is no result, and the rule's `onError` decides. */
export type Outcome = Value | 'held' | 'failed'

/** One step of a rule (bridges.md §18.3). It never throws and keeps what it remembers in the state of the address. */
export interface Step<S = unknown> {
  /** Its state at one address. Left out: it has none. */
  start?(): S
  run(value: Value, state: S, moment: Moment): Outcome
  /** The time that it asked for with `moment.wake` has come. */
  due?(state: S, moment: Moment): Outcome
  /** The way back, for rules in both directions. Left out: there is none. */
  inverse?(): Step
}

/** Where and when a step runs. One object serves all values of a mapper: nothing of it may be kept. */
export interface Moment {
  /** Where the value came from. */
  readonly address: string
  /** What the wildcards of `match` stand for; the whole address comes first. */
  readonly captures: readonly string[]
  /** The value as it was before the first step. */
  readonly input: Value
  /** Monotonic. */
  readonly nowMs: number
  readonly wallUs: number
  /** Bools count as 0 and 1. */
  readonly boolIsNumber: boolean
  /** Calls `due` of the running step so much later. A new wish replaces the one before. */
  wake(delayMs: number): void
}
