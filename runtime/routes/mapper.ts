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
  /** It was there before: no change, but its state. */
  readonly isInitial?: boolean
  /** When that was written, µs of the wall clock; undefined: it is not known. */
  readonly writtenUs?: number
  /** Where it has been, newest first, as far as that is followed; results keep that of what they were made of. */
  readonly trail?: Trail
}

/** Addresses that a value came from, by routes. */
export interface Trail {
  readonly address: string
  readonly before: Trail | undefined
  readonly length: number
}

/** Rules that change addresses and values on the way (bridges.md §18.2). */
export interface Mapper {
  /** What has to be subscribed to, so that the rules hear of all that they are for. */
  readonly patterns: readonly string[]
  /**
   * Hands on what the rules make of `passing`, at once or, where a rule slows down, later. Returns false when no rule is
   * for it, and then hands on nothing.
   */
  pass(passing: Passing, emit: (result: Passing) => void): boolean
  /** Nothing is handed on any more. */
  stop(): void
}
