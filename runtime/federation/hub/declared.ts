/** Hot path: `allows`. */

import { Pattern } from '../../../firmware-protocol/wire/pattern.ts'
import type { AddressEntry } from '../../router/address-table.ts'
import { isCovered, normalised } from './coverage.ts'
import { canAlign, compile, mayOverlap, type PatternSegments } from './overlap.ts'

/** The subscriptions of a peer to its own namespaces have the ids from here on (federation reference §5.1). */
export const FIRST_SUBSCRIPTION_ID = 50_000

interface Namespace {
  pattern: Pattern
  segments: PatternSegments
  /** With this begins every address that the pattern matches: a cheap no for nearly all others. */
  start: string
}

/** The namespaces of one accepted DECLARE. */
export class Declared {
  readonly patterns: readonly string[]
  /** False: the peer may write everywhere that its permission allows. */
  readonly isRestricting: boolean
  private readonly texts: ReadonlySet<string>
  private readonly namespaces: readonly Namespace[]
  /** What was found out of an address before. */
  private readonly known = new WeakMap<AddressEntry, boolean>()

  /**
   * All `patterns` must be valid. Without any, a peer that is here by permission may write nothing, another one everywhere
   * (federation reference §5.3, D12).
   */
  constructor(patterns: readonly string[], hasPermission: boolean) {
    this.patterns = patterns
    this.isRestricting = patterns.length > 0 || hasPermission
    this.texts = new Set(patterns)
    this.namespaces = [...this.texts].flatMap((text) => {
      const pattern = Pattern.parse(text)
      return typeof pattern === 'string' ? [] : [{ pattern, segments: compile(text), start: startOf(text) }]
    })
  }

  /** Whether the peer may write there. */
  allows(entry: AddressEntry): boolean {
    if (!this.isRestricting) return true
    let isInside = this.known.get(entry)
    if (isInside === undefined) {
      isInside = this.matches(entry.text)
      this.known.set(entry, isInside)
    }
    return isInside
  }

  matches(address: string): boolean {
    return this.namespaces.some(({ start, pattern }) => address.startsWith(start) && pattern.matches(address))
  }

  /** The first pattern that does not lie within one of the namespaces; null when all do. */
  firstUncovered(requested: readonly string[]): string | null {
    const budget = new ComparisonBudget()
    return requested.find((text) => !this.covers(text, budget)) ?? null
  }

  /** Two patterns, ours first, that match a common address; null when there are none. */
  overlapWith(other: Declared, budget: ComparisonBudget): [string, string] | 'unknown' | null {
    for (const mine of this.namespaces) {
      for (const theirs of other.namespaces) {
        if (!mayOverlap(mine.segments, theirs.segments)) continue
        if (!budget.take()) return 'unknown'
        if (canAlign(mine.segments, theirs.segments)) return [mine.pattern.text, theirs.pattern.text]
      }
    }
    return null
  }

  private covers(requested: string, budget: ComparisonBudget): boolean {
    if (this.texts.has(requested)) return true
    const wanted = normalised(requested)
    return this.namespaces.some(
      ({ start, pattern }) => wanted.startsWith(start) && budget.take() && isCovered(wanted, pattern.text),
    )
  }
}

/** The segments in front of the first with a wildcard, and what that one begins with. */
function startOf(pattern: string): string {
  const wildcardAt = pattern.indexOf('*')
  if (wildcardAt < 0) return pattern
  // `/a/**` matches `/a` as well.
  return pattern.slice(0, pattern[wildcardAt - 1] === '/' ? wildcardAt - 1 : wildcardAt)
}

/**
 * Namespaces as they should be differ in what stands before the first wildcard, and comparing them costs next to nothing.
 * One frame may hold a thousand that do not; then the answer is the careful one.
 */
export class ComparisonBudget {
  private left = 20_000

  take(): boolean {
    return this.left-- > 0
  }
}
