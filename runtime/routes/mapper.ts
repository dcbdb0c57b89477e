import type { Signal, Ttl } from '../../firmware-protocol/wire/message.ts'
import type { Value } from '../../firmware-protocol/wire/value.ts'

/** A value on its way from one address to another. */
export interface Passing {
  readonly address: string
  readonly value: Value
  readonly signal: Signal
  /** Of a gesture. */
  readonly phase?: 'start' | 'move' | 'end' | 'cancel'
  readonly id?: number
  readonly ttl?: Ttl
}

/** Rules that change addresses and values on the way (bridges.md §18.2). */
export interface Mapper {
  /**
   * Hands on what the rules make of `passing`, at once or, where a rule slows down, later. Returns false when no rule is
   * for it, and then hands on nothing.
   */
  pass(passing: Passing, emit: (result: Passing) => void): boolean
  /** Nothing is handed on any more. */
  stop(): void
}
