import {
  compileSegment,
  type PatternSegment,
  segmentMatches,
  segmentsOf,
} from '../../../firmware-protocol/wire/pattern.ts'

export type PatternSegments = readonly PatternSegment[]

export function compile(pattern: string): PatternSegments {
  return segmentsOf(pattern).map(compileSegment)
}

/** Whether there is an address that both patterns match. Exact, save for addresses that would be too long. */
export function overlap(a: PatternSegments, b: PatternSegments): boolean {
  return mayOverlap(a, b) && canAlign(a, b)
}

/** A cheap no for nearly all of them: what stands before the first `**` and behind the last meets one to one. */
export function mayOverlap(a: PatternSegments, b: PatternSegments): boolean {
  for (let i = 0; i < a.length && i < b.length && a[i].kind !== 'any' && b[i].kind !== 'any'; i++) {
    if (!segmentsOverlap(a[i], b[i])) return false
  }
  for (let i = a.length - 1, j = b.length - 1; i >= 0 && j >= 0; i--, j--) {
    if (a[i].kind === 'any' || b[j].kind === 'any') return true
    if (!segmentsOverlap(a[i], b[j])) return false
  }
  return true
}

/** The product of the lengths is the most that it takes. */
export function canAlign(a: PatternSegments, b: PatternSegments): boolean {
  // reached[j]: what a[0, i) and b[0, j) match can be the same segments.
  let reached = new Uint8Array(b.length + 1)
  reached[0] = 1
  skipAny(reached, b)
  for (const segment of a) {
    const next = new Uint8Array(b.length + 1)
    let isAlive = false
    for (let j = 0; j <= b.length; j++) {
      if (reached[j] === 0) continue
      if (segment.kind === 'any') {
        // It stands for nothing, or for all that b's segment stands for.
        next[j] = 1
        if (j < b.length) reached[j + 1] = 1
      } else if (j < b.length && b[j].kind === 'any') next[j] = 1
      else if (j < b.length && segmentsOverlap(segment, b[j])) next[j + 1] = 1
      else continue
      isAlive = true
    }
    if (!isAlive) return false
    skipAny(next, b)
    reached = next
  }
  return reached[b.length] === 1
}

/** `**` may stand for nothing. */
function skipAny(reached: Uint8Array, b: PatternSegments): void {
  for (let j = 0; j < b.length; j++) if (reached[j] === 1 && b[j].kind === 'any') reached[j + 1] = 1
}

function segmentsOverlap(a: PatternSegment, b: PatternSegment): boolean {
  if (a.kind === 'literal') return segmentMatches(b, a.text)
  if (b.kind === 'literal') return segmentMatches(a, b.text)
  if (a.kind !== 'partial' || b.kind !== 'partial') return true
  // Between its ends each takes anything, so the parts of both can stand there one after the other.
  const [start, otherStart] = [a.parts[0], b.parts[0]]
  const [end, otherEnd] = [a.parts[a.parts.length - 1], b.parts[b.parts.length - 1]]
  return (
    (start.startsWith(otherStart) || otherStart.startsWith(start)) && (end.endsWith(otherEnd) || otherEnd.endsWith(end))
  )
}
