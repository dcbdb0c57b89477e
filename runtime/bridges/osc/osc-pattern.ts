/** One element of a part: a text, or `undefined` for `*`, a set of characters, or alternatives. */
type Token =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'any' }
  | { readonly kind: 'character'; readonly test: (character: string) => boolean }
  | { readonly kind: 'alternatives'; readonly texts: readonly string[] }

/** `null`: any number of parts. */
type Part = readonly Token[] | null

const MAX_TOKENS = 256

/**
 * An OSC address pattern: `?` one character, `*` any of one part, `[a-z]` and `[!a-z]` one character, `{foo,bar}` one of the
 * texts, and as in OSC 1.1 `//` any number of parts; `**` as a part means the same. Matching takes no more than the product
 * of the lengths. Source: OSC 1.0 §Message Dispatching and Pattern Matching, bridges.md §3.6.
 */
export class OscPattern {
  private readonly parts: readonly Part[]

  private constructor(parts: readonly Part[]) {
    this.parts = parts
  }

  /** Undefined when brackets are left open, or when it has more than 256 elements. */
  static parse(text: string): OscPattern | undefined {
    const parts: Part[] = []
    let count = 0
    for (const part of text.slice(1).split('/')) {
      const tokens = part === '' || part === '**' ? null : tokensOf(part)
      if (tokens === undefined) return undefined
      // `a///b` says no more than `a//b`.
      if (tokens !== null || parts.at(-1) !== null || parts.length === 0) parts.push(tokens)
      count += tokens?.length ?? 1
    }
    return count > MAX_TOKENS ? undefined : new OscPattern(parts)
  }

  /** `address` is an OSC address. */
  matches(address: string): boolean {
    const { parts } = this
    // States of the automaton: how many parts are behind us.
    let states = closure(new Set([0]), parts)
    for (const name of address.slice(1).split('/')) {
      const next = new Set<number>()
      for (const state of states) {
        if (state === parts.length) continue
        const part = parts[state]
        if (part === null) next.add(state)
        else if (partMatches(part, name)) next.add(state + 1)
      }
      if (next.size === 0) return false
      states = closure(next, parts)
    }
    return states.has(parts.length)
  }
}

/** Any number of parts may be none. */
function closure(states: Set<number>, parts: readonly Part[]): Set<number> {
  for (const state of states) if (state < parts.length && parts[state] === null) states.add(state + 1)
  return states
}

function partMatches(tokens: readonly Token[], name: string): boolean {
  let positions = new Set([0])
  for (const token of tokens) {
    const next = new Set<number>()
    for (const at of positions) {
      if (token.kind === 'any') {
        for (let to = at; to <= name.length; to++) next.add(to)
        // Positions come in rising order, and the first reaches all that later ones do.
        break
      }
      if (token.kind === 'character') {
        if (at < name.length && token.test(name[at])) next.add(at + 1)
      } else {
        const texts = token.kind === 'text' ? [token.text] : token.texts
        for (const text of texts) if (name.startsWith(text, at)) next.add(at + text.length)
      }
    }
    if (next.size === 0) return false
    positions = token.kind === 'alternatives' ? new Set([...next].sort((a, b) => a - b)) : next
  }
  return positions.has(name.length)
}

function tokensOf(part: string): Token[] | undefined {
  const tokens: Token[] = []
  let text = ''
  const endText = () => {
    if (text !== '') tokens.push({ kind: 'text', text })
    text = ''
  }
  for (let at = 0; at < part.length; at++) {
    const character = part[at]
    const closing = character === '[' ? ']' : character === '{' ? '}' : ''
    if (closing !== '') {
      const end = part.indexOf(closing, at + 1)
      if (end < 0) return undefined
      endText()
      const inner = part.slice(at + 1, end)
      if (closing === ']') tokens.push({ kind: 'character', test: characterTest(inner) })
      else tokens.push({ kind: 'alternatives', texts: inner.split(',') })
      at = end
    } else if (character === '*') {
      endText()
      if (tokens.at(-1)?.kind !== 'any') tokens.push({ kind: 'any' })
    } else if (character === '?') {
      endText()
      tokens.push({ kind: 'character', test: () => true })
    } else if (character === ']' || character === '}') {
      return undefined
    } else text += character
  }
  endText()
  return tokens
}

/** `a-z` and single characters; `!` in front means all others, `-` at an end is itself. */
function characterTest(inner: string): (character: string) => boolean {
  const isNegated = inner.startsWith('!')
  const set = isNegated ? inner.slice(1) : inner
  return (character) => {
    for (let at = 0; at < set.length; at++) {
      const isRange = set[at + 1] === '-' && at + 2 < set.length
      if (isRange ? character >= set[at] && character <= set[at + 2] : character === set[at]) return !isNegated
      if (isRange) at += 2
    }
    return isNegated
  }
}
