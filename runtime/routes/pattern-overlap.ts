import {
  compileSegment,
  type PatternSegment,
  segmentMatches,
  segmentsOf,
} from '../../firmware-protocol/wire/pattern.ts'

/** Whether some address may match both patterns. Says yes where parts of segments leave it open. */
export function patternsOverlap(a: string, b: string): boolean {
  return meet(segmentsOf(a).map(compileSegment), segmentsOf(b).map(compileSegment))
}

/** Row by row through the table of "the rests from here on may meet": `**` takes a segment, or ends. */
function meet(a: readonly PatternSegment[], b: readonly PatternSegment[]): boolean {
  let below: boolean[] = []
  for (let i = a.length; i >= 0; i--) {
    const row: boolean[] = []
    for (let j = b.length; j >= 0; j--) {
      const [left, right] = [a[i], b[j]]
      if (left === undefined && right === undefined) row[j] = true
      else if (left?.kind === 'any') row[j] = below[j] || (right !== undefined && row[j + 1])
      else if (right?.kind === 'any') row[j] = row[j + 1] || (left !== undefined && below[j])
      else row[j] = left !== undefined && right !== undefined && below[j + 1] && segmentsMeet(left, right)
    }
    below = row
  }
  return below[0]
}

function segmentsMeet(a: PatternSegment, b: PatternSegment): boolean {
  if (a.kind === 'literal') return segmentMatches(b, a.text)
  if (b.kind === 'literal') return segmentMatches(a, b.text)
  if (a.kind !== 'partial' || b.kind !== 'partial') return true
  const [startA, startB] = [a.parts[0], b.parts[0]]
  const [endA, endB] = [a.parts[a.parts.length - 1], b.parts[b.parts.length - 1]]
  const startsMeet = startA.startsWith(startB) || startB.startsWith(startA)
  return startsMeet && (endA.endsWith(endB) || endB.endsWith(endA))
}
