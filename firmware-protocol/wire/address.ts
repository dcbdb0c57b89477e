import { MAX_ADDRESS_BYTES, MAX_ADDRESS_SEGMENTS } from './constants.ts'
import { utf8Length } from './utf8.ts'

/**
 * What is wrong with an address of SET or PUBLISH, for the peer to read; undefined when it is valid.
 * An address starts with `/`, has no empty segment but the last, and no `*`. Source: wire reference §10.1.
 */
export function addressProblem(address: string): string | undefined {
  if (address.includes('*')) return `'*' in address: ${address}`
  return patternProblem(address)
}

/** As `addressProblem`, for a pattern, which may contain `*`. Source: wire reference §10.2. */
export function patternProblem(pattern: string): string | undefined {
  if (pattern === '') return 'empty address'
  if (!pattern.startsWith('/')) return `address must start with '/': ${pattern}`
  if (pattern.includes('//')) return `empty segment in address: ${pattern}`
  if (utf8Length(pattern) > MAX_ADDRESS_BYTES) return `address longer than ${MAX_ADDRESS_BYTES} bytes`
  let segments = 0
  for (const character of pattern) if (character === '/') segments++
  return segments > MAX_ADDRESS_SEGMENTS ? `address has more than ${MAX_ADDRESS_SEGMENTS} segments` : undefined
}
