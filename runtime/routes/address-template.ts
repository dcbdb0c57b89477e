import { patternProblem } from '../../firmware-protocol/wire/address.ts'
import type { AddressMatch } from './address-match.ts'

/**
 * `to` of a rule: an address with `$1`…`$9` for what the wildcards of `match` stand for, `$0` for the whole address. A `*`
 * is the next capture in order, as upstream writes it. Source: bridges.md §18.2.
 */
export class AddressTemplate {
  readonly text: string
  /** Fixed text, or the number of a capture. */
  private readonly parts: readonly (string | number)[]

  private constructor(text: string, parts: readonly (string | number)[]) {
    this.text = text
    this.parts = parts
  }

  /** The template, or what is wrong with it. `captures`: how many there are. */
  static parse(text: string, captures: number): AddressTemplate | string {
    const parts: (string | number)[] = []
    let stars = 0
    for (const token of text.match(/\$\d|\*+|[^$*]+|\$/g) ?? []) {
      if (token.startsWith('*')) parts.push(++stars)
      else parts.push(/^\$\d$/.test(token) ? Number(token[1]) : token)
    }
    const numbers = parts.filter((part) => typeof part === 'number')
    if (stars > 0 && numbers.length > stars) return 'it mixes * with $1: use one of them'
    const missing = numbers.find((number) => number > captures)
    if (missing !== undefined) return `there is no wildcard number ${missing} in match, which has ${captures}`
    // `$0` brings its own slash.
    const start = parts[0] === 0 ? `/${text}` : text
    return patternProblem(start.replace(/\$\d|\*+/g, 'x')) ?? new AddressTemplate(text, parts)
  }

  /** Numbers of the captures in the order of their use. */
  get order(): readonly number[] {
    return this.parts.filter((part) => typeof part === 'number')
  }

  /** `captures[0]` is the whole address. */
  fill(captures: readonly string[]): string {
    if (this.parts.length === 1 && typeof this.parts[0] === 'string') return this.text
    let address = ''
    for (const part of this.parts) address += typeof part === 'string' ? part : captures[part]
    // What `**` stood for was nothing: neither is the slash beside it.
    address = address.replace(/\/{2,}/g, '/')
    const last = this.parts[this.parts.length - 1]
    const endsWithNothing = typeof last === 'number' && captures[last] === ''
    return endsWithNothing && address.endsWith('/') && address.length > 1 ? address.slice(0, -1) : address
  }

  /** `match` of the way back: what was captured is captured again. */
  matchText(match: AddressMatch): string {
    return this.parts.map((part) => (typeof part === 'string' ? part : match.wildcard(part))).join('')
  }

  /** At least the addresses that it can make, as a pattern. */
  pattern(match: AddressMatch): string {
    if (this.order.includes(0)) return '/**'
    return this.parts
      .map((part) => (typeof part === 'string' ? part : match.wildcard(part) === '**' ? '**' : '*'))
      .join('')
  }
}
