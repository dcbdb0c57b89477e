import { SignalCode } from '../../firmware-protocol/wire/constants.ts'
import type { Signal } from '../../firmware-protocol/wire/message.ts'
import type { Pattern } from '../../firmware-protocol/wire/pattern.ts'
import { matches, parsePattern } from './durability.ts'

/** What of an address goes into the history. The first rule that matches the address counts. */
export interface RecordRule {
  pattern: string
  /** Empty = nothing. */
  kinds: readonly Signal[]
  /**
   * Entries a second of one address: 0 = every message. Absent: a few a second while the address changes now and then,
   * one per stored state while it keeps changing; repeated values are left out.
   */
  maxRate?: number
}

/** Nothing of this kind is recorded. */
export const NOT_RECORDED = -1
/** See `RecordRule.maxRate`, absent. */
export const THINNED = -2

export const defaultRecordRules: readonly RecordRule[] = [{ pattern: '/**', kinds: ['param', 'event'] }]

/** Entries a second of one address that every kind may have: `maxRate`, NOT_RECORDED or THINNED, by signal code. */
export type RecordRates = readonly number[]

const NOTHING: RecordRates = Object.values(SignalCode).map(() => NOT_RECORDED)

export class RecordRules {
  private readonly rules: { pattern: Pattern; rates: RecordRates }[]

  /** Throws on a bad pattern, which the configuration has checked before. */
  constructor(rules: readonly RecordRule[]) {
    this.rules = rules.map(({ pattern, kinds, maxRate = THINNED }) => {
      const codes = kinds.map((kind): number => SignalCode[kind])
      const rates = Object.values(SignalCode).map((code) => (codes.includes(code) ? maxRate : NOT_RECORDED))
      return { pattern: parsePattern(pattern), rates }
    })
  }

  of(address: string): RecordRates {
    for (const { pattern, rates } of this.rules) if (matches(pattern, address)) return rates
    return NOTHING
  }
}
