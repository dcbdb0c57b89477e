import { Pattern } from '../../../firmware-protocol/wire/pattern.ts'

/** Wildcards of the hub's matcher that ours does not know: in a namespace they would mean two things. */
const FOREIGN_WILDCARDS = /[?[\]{}!\\]/

/**
 * Patterns as the hub's namespace check reads them (federation.md §6.1): `/a/**` is what lies below `/a`, but not `/a`
 * itself, although a subscription to it delivers `/a` as well.
 */
export class Namespaces {
  readonly texts: readonly string[]
  private readonly patterns: readonly Pattern[]

  /** Throws on a pattern that `namespaceProblem` finds fault with. */
  constructor(texts: readonly string[]) {
    this.texts = texts
    this.patterns = texts.map((text) => {
      const pattern = Pattern.parse(text.endsWith('/**') ? `${text.slice(0, -2)}*/**` : text)
      if (typeof pattern === 'string') throw new Error(`namespace ${text}: ${pattern}`)
      return pattern
    })
  }

  matches(address: string): boolean {
    for (const pattern of this.patterns) if (pattern.matches(address)) return true
    return false
  }
}

/** What is wrong with a namespace, in words for the configuration; undefined when it may be declared. */
export function namespaceProblem(text: string, allowsRoot: boolean): string | undefined {
  const parsed = Pattern.parse(text)
  if (typeof parsed === 'string') return parsed
  const foreign = FOREIGN_WILDCARDS.exec(text)
  if (foreign !== null) return `'${foreign[0]}' is a wildcard at some hubs: leave it out`
  const segments = text.slice(1).split('/')
  // A hub's coverage test stops at the first `**` (federation.md §15 D11).
  if (segments.slice(0, -1).includes('**')) return "'**' may only stand at the end"
  if (segments.some((segment) => segment.includes('*') && segment !== '*' && segment !== '**'))
    return "'*' must be a whole segment"
  if (segments[0] === '**' && !allowsRoot)
    return 'it claims every address of the hub: name a site, such as /site-a/**, or set allowRoot'
  return undefined
}

/**
 * The address below which the leaf keeps its own records: the literal beginning of the first namespace that ends in `/**`
 * (federation.md §13.8), without a slash at the end. undefined when there is none.
 */
export function controlRoot(namespaces: readonly string[]): string | undefined {
  const open = namespaces.find((text) => text.endsWith('/**'))
  if (open === undefined) return undefined
  const segments = open.slice(1).split('/')
  const literal = segments.slice(
    0,
    segments.findIndex((segment) => segment.includes('*')),
  )
  return literal.map((segment) => `/${segment}`).join('')
}

/** Whether two patterns may have an address in common; cautious: any wildcard on the way means yes (federation.md §6.4). */
export function mayOverlap(a: string, b: string): boolean {
  const left = a.split('/').filter((segment) => segment !== '')
  const right = b.split('/').filter((segment) => segment !== '')
  for (let i = 0; i < left.length && i < right.length; i++) {
    if (left[i].includes('*') || right[i].includes('*')) return true
    if (left[i] !== right[i]) return false
  }
  return left.length === right.length || left[right.length] === '**' || right[left.length] === '**'
}
