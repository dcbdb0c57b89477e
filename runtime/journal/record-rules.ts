import { SignalCode } from '../../firmware-protocol/wire/constants.ts'
import type { Signal } from '../../firmware-protocol/wire/message.ts'
import type { Pattern } from '../../firmware-protocol/wire/pattern.ts'
import { parsePattern } from './durability.ts'

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

export class RecordRules {
  private readonly rules: { pattern: Pattern; kinds: readonly number[]; rate: number }[]
  /** Addresses share what they have in common: there are few combinations of rules. */
  private readonly known = new Map<string, RecordRates>()

  /** Throws on a bad pattern, which the configuration has checked before. */
  constructor(rules: readonly RecordRule[]) {
    this.rules = rules.map(({ pattern, kinds, maxRate }) => ({
      pattern: parsePattern(pattern),
      kinds: kinds.map((kind) => SignalCode[kind]),
      rate: maxRate ?? THINNED,
    }))
  }

  of(address: string): RecordRates {
    const rule = this.rules.find(({ pattern }) => pattern.matches(address))
    const rates = Object.values(SignalCode).map((code) => (rule?.kinds.includes(code) ? rule.rate : NOT_RECORDED))
    const key = rates.join()
    const known = this.known.get(key)
    if (known !== undefined) return known
    this.known.set(key, rates)
    return rates
  }
}
