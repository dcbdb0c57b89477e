import type { Signal, Ttl } from '../../firmware-protocol/wire/message.ts'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import type { AddressTemplate } from './address-template.ts'
import type { Condition } from './conditions.ts'
import type { Step } from './step.ts'

/** Which addresses a rule is for. */
export interface Matcher {
  /** What a session subscribes to: at least the addresses that match. */
  readonly patterns: readonly string[]
  /** The address and what each wildcard stands for; null: no match. */
  capturesOf(address: string): string[] | null
}

/** A compiled rule in one direction (bridges.md §18.2). */
export interface Rule {
  /** Its id, or its place in the list, for messages. */
  readonly name: string
  readonly matcher: Matcher
  /** Several: the value is an Array, and each address gets one of its elements. */
  readonly targets: readonly AddressTemplate[]
  /** At least the addresses that it writes to. */
  readonly targetPatterns: readonly string[]
  readonly isFan: boolean
  /** All source addresses of one target share one state, as those do that are joined or aggregated. */
  readonly isShared: boolean
  /** Its own results are none of its inputs, though they may match. */
  readonly skipsOwn: boolean
  readonly when: Condition | null
  readonly steps: readonly Step[]
  /** The steps from here on pace the output: also what takes the place of a result that failed. */
  readonly pacingFrom: number
  readonly signal: Signal | 'keep'
  readonly ttl: Ttl | undefined
  readonly onError: 'pass' | 'drop' | 'default'
  readonly fallback: Value
  readonly stop: boolean
  readonly boolIsNumber: boolean
}

/** Both lists are in the order of the file. */
export interface CompiledRules {
  readonly forward: readonly Rule[]
  readonly backward: readonly Rule[]
}
