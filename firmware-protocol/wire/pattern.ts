import { patternProblem } from './address.ts'

/** One segment of a pattern. Wire reference §10.2. */
export type PatternSegment =
  | { readonly kind: 'literal'; readonly text: string }
  /** `*`: exactly one segment, an empty last one included. */
  | { readonly kind: 'one' }
  /** `**`: zero or more segments. */
  | { readonly kind: 'any' }
  /** `zone5*`: one segment; each `*` stands for zero or more characters. */
  | { readonly kind: 'partial'; readonly text: string; readonly parts: readonly string[] }

/** The segments behind the leading slash; `/` has one, empty. */
export function segmentsOf(address: string): string[] {
  return address.slice(1).split('/')
}

export function compileSegment(segment: string): PatternSegment {
  if (segment === '**') return { kind: 'any' }
  if (segment === '*') return { kind: 'one' }
  if (!segment.includes('*')) return { kind: 'literal', text: segment }
  return { kind: 'partial', text: segment, parts: segment.split(/\*+/) }
}

/** Whether a segment other than `**` matches one address segment. */
export function segmentMatches(segment: PatternSegment, text: string): boolean {
  if (segment.kind === 'literal') return segment.text === text
  if (segment.kind === 'partial') return partsMatch(segment.parts, text)
  return true
}

/** First and last part are anchored; those between are found greedily from the left, which is enough for `*`. */
function partsMatch(parts: readonly string[], text: string): boolean {
  const first = parts[0]
  const last = parts[parts.length - 1]
  if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last)) return false
  const stop = text.length - last.length
  let at = first.length
  for (let i = 1; i < parts.length - 1; i++) {
    const found = text.indexOf(parts[i], at)
    if (found < 0 || found + parts[i].length > stop) return false
    at = found + parts[i].length
  }
  return true
}

/** A parsed pattern: the one matcher for subscriptions, snapshots, queries and policies. */
export class Pattern {
  readonly text: string
  /** No wildcard: it matches one address only. */
  readonly isExact: boolean
  private readonly segments: readonly PatternSegment[]
  /** Of `/a/b/**`, which is what most subscriptions are: `/a/b`. */
  private readonly prefix: string | null

  private constructor(text: string) {
    this.text = text
    this.segments = segmentsOf(text).map(compileSegment)
    this.isExact = !text.includes('*')
    this.prefix = text.endsWith('/**') && text.indexOf('*') === text.length - 2 ? text.slice(0, -3) : null
  }

  /** The pattern, or what is wrong with it. */
  static parse(text: string): Pattern | string {
    return patternProblem(text) ?? new Pattern(text)
  }

  matches(address: string): boolean {
    if (this.isExact) return address === this.text
    const { prefix } = this
    if (prefix !== null) {
      return address.startsWith(prefix) && (address.length === prefix.length || address[prefix.length] === '/')
    }
    return alignedMatch(this.segments, segmentsOf(address), segmentMatches)
  }
}

/**
 * Matches segments from left to right. On a mismatch only the last `**` need take one segment more: an earlier one could
 * not do better, so the work is bounded by the product of the lengths.
 */
function alignedMatch<T>(
  segments: readonly PatternSegment[],
  items: readonly T[],
  matches: (segment: PatternSegment, item: T) => boolean,
): boolean {
  let s = 0
  let i = 0
  let retrySegment = -1
  let retryItem = 0
  while (i < items.length) {
    if (s < segments.length && segments[s].kind === 'any') {
      retrySegment = ++s
      retryItem = i
    } else if (s < segments.length && matches(segments[s], items[i])) {
      s++
      i++
    } else if (retrySegment >= 0) {
      s = retrySegment
      i = ++retryItem
    } else return false
  }
  while (s < segments.length && segments[s].kind === 'any') s++
  return s === segments.length
}

/**
 * Whether every address that `requested` can match is also matched by `granted`, segment by segment (wire reference §14.3).
 * Where that cannot be told segment by segment the answer is no.
 */
export function covers(granted: string, requested: string): boolean {
  if (granted === requested) return true
  const wanted = segmentsOf(requested).map(compileSegment)
  return alignedMatch(segmentsOf(granted).map(compileSegment), wanted, (grant, want) => {
    if (want.kind === 'any') return false
    if (grant.kind === 'one') return true
    if (want.kind === 'literal') return segmentMatches(grant, want.text)
    return grant.kind === 'partial' && want.kind === 'partial' && grant.text === want.text
  })
}
