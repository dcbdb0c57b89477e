import { segmentsOf } from '../../firmware-protocol/wire/pattern.ts'

/**
 * The three matchers of an upstream hub, which disagree with each other: the glob (federation.md §6.1) chooses
 * snapshots, namespaces and scopes, the subscription trie (§6.2) chooses receivers, and the coverage test (§6.3, with
 * its defect D11) guards REQUEST_SYNC.
 */
const compiled = new Map<string, (text: string) => boolean>()

/** Glob with `*`, `**`, `?`, classes, alternatives, `\` and a leading `!`. */
export function glob(pattern: string, text: string): boolean {
  let matches = compiled.get(pattern)
  if (matches === undefined) {
    matches = compile(pattern)
    compiled.set(pattern, matches)
  }
  return matches(text)
}

/** Whether a subscription gets the messages of an address: `/a/**` gets `/a` too. */
export function subscriptionMatches(pattern: string, address: string): boolean {
  const wanted = segmentsOf(pattern)
  if (!segmentsMatch(wanted, 0, segmentsOf(address), 0)) return false
  return !wanted.some(isPartial) || glob(pattern, address)
}

/** Whether REQUEST_SYNC of a pattern is within a declared one: as soon as the declared one shows `**`, yes (D11). */
export function covered(requested: string, declared: string): boolean {
  if (requested === declared) return true
  if (!requested.includes('*') && glob(declared, requested)) return true
  const held = declared.split('/').filter((segment) => segment !== '')
  const wanted = requested.split('/').filter((segment) => segment !== '')
  let i = 0
  for (; i < held.length && i < wanted.length; i++) {
    if (held[i] === '**') return true
    if (wanted[i] === '**') return false
    if (held[i] === '*') continue
    if (wanted[i] === '*' || held[i] !== wanted[i]) return false
  }
  if (i < held.length && held[i] === '**') return true
  return i >= held.length && i >= wanted.length
}

/** What ERROR 202 says of a pattern; undefined when the hub takes it (router.md §3.6). */
export function patternObjection(pattern: string): string | undefined {
  if (pattern === '') return 'invalid address: empty address'
  if (!pattern.startsWith('/')) return `invalid address: address must start with '/': ${pattern}`
  if (pattern.slice(0, -1).includes('//') || pattern.endsWith('//'))
    return `invalid address: empty segment in address: ${pattern}`
  if (!pattern.includes('*')) return undefined
  try {
    // The hub compiles such patterns to an expression that it never uses, without escaping what means something there.
    new RegExp(
      pattern.replaceAll('/', '\\/').replaceAll(/\*\*?/g, (stars) => (stars === '*' ? '[^/]+' : '.*')),
      'u',
    )
    return undefined
  } catch {
    return `invalid pattern: regex parse error: ${pattern}`
  }
}

function isPartial(segment: string): boolean {
  return segment.includes('*') && segment !== '*' && segment !== '**'
}

function segmentsMatch(wanted: readonly string[], w: number, given: readonly string[], g: number): boolean {
  if (w === wanted.length) return g === given.length
  if (wanted[w] === '**') {
    for (let next = g; next <= given.length; next++) if (segmentsMatch(wanted, w + 1, given, next)) return true
    return false
  }
  if (g === given.length) return false
  if (wanted[w] !== '*' && !isPartial(wanted[w]) && wanted[w] !== given[g]) return false
  return segmentsMatch(wanted, w + 1, given, g + 1)
}

function compile(pattern: string): (text: string) => boolean {
  const isNegated = pattern.startsWith('!')
  try {
    const expression = new RegExp(`^${translated(isNegated ? pattern.slice(1) : pattern)}$`, 's')
    return (text) => expression.test(text) !== isNegated
  } catch {
    return () => isNegated
  }
}

function translated(pattern: string): string {
  let out = ''
  let alternatives = 0
  for (let i = 0; i < pattern.length; i++) {
    const rest = pattern.slice(i)
    const isSegmentStart = i === 0 || pattern[i - 1] === '/'
    const group = /^\[([!^]?)(\]?[^\]]*)\]/.exec(rest)
    const stars = /^\*+/.exec(rest)?.[0] ?? ''
    if (isSegmentStart && rest.startsWith('**/')) {
      out += '(?:.*/)?'
      i += 2
    } else if (stars !== '') {
      out += rest === '**' ? '.*' : '[^/]*'
      i += stars.length - 1
    } else if (rest[0] === '?') out += '[^/]'
    else if (group !== null) {
      out += `[${group[1] === '' ? '' : '^'}${group[2].replaceAll('\\', '\\\\').replaceAll(']', '\\]')}]`
      i += group[0].length - 1
    } else if (rest[0] === '{') {
      alternatives++
      out += '(?:'
    } else if (rest[0] === '}' && alternatives > 0) {
      alternatives--
      out += ')'
    } else if (rest[0] === ',' && alternatives > 0) out += '|'
    else {
      if (rest[0] === '\\' && rest.length > 1) i++
      out += pattern[i].replace(/[.*+?^${}()|[\]\\/]/, '\\$&')
    }
  }
  return out
}
