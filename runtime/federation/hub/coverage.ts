import { patternProblem } from '../../../firmware-protocol/wire/address.ts'
import { covers } from '../../../firmware-protocol/wire/pattern.ts'

/**
 * Whether a requested pattern lies within a declared one. Where that cannot be told segment by segment the answer is no:
 * yes is never said of a request that could reach outside. Source: federation reference §6.3, with D11 put right.
 */
export function isCovered(requested: string, declared: string): boolean {
  return requested === declared || covers(declared, normalised(requested))
}

/**
 * Empty segments of a pattern that is none, and so reaches nothing, count as absent: upstream answers such a request with
 * an empty SNAPSHOT.
 */
export function normalised(requested: string): string {
  if (patternProblem(requested) === undefined) return requested
  return `/${requested
    .split('/')
    .filter((segment) => segment !== '')
    .join('/')}`
}
