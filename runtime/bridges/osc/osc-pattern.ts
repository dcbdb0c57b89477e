/** One element of a part: a text, or `undefined` for `*`, a set of characters, or alternatives. */
type Token =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'any' }
  | { readonly kind: 'character'; readonly test: (character: string) => boolean }
  | { readonly kind: 'alternatives'; readonly texts: readonly string[] }

/** `null`: any number of parts. */
type Part = readonly Token[] | null

const MAX_TOKENS = 256
/** Longer than any address of the router. */
const MAX_CHARACTERS = 1024

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

  /** Undefined when brackets are left open, or when it has more than 256 elements, each alternative being one. */
  static parse(text: string): OscPattern | undefined {
    if (text.length > MAX_CHARACTERS) return undefined
    const parts: Part[] = []
    let count = 0
    for (const part of text.slice(1).split('/')) {
      const tokens = part === '' || part === '**' ? null : tokensOf(part)
      if (tokens === undefined) return undefined
      // `a///b` says no more than `a//b`.
      if (tokens !== null || parts.at(-1) !== null || parts.length === 0) parts.push(tokens)
      count += tokens === null ? 1 : tokens.reduce((sum, token) => sum + sizeOf(token), 0)
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

function sizeOf(token: Token): number {
  return token.kind === 'alternatives' ? token.texts.length : 1
}

function partMatches(tokens: readonly Token[], name: string): boolean {
  // Places in the name that the tokens so far may end at; those from `openFrom` on are all of them.
  let places = [0]
  let openFrom = -1
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i]
    if (token.kind === 'any') {
      openFrom = places[0]
      continue
    }
    const isFirstEnough = i + 1 < tokens.length && tokens[i + 1].kind === 'any'
    places = placesAfter(token, name, places, openFrom, isFirstEnough && token.kind !== 'alternatives')
    if (places.length === 0) return false
    openFrom = -1
  }
  return openFrom >= 0 || places.at(-1) === name.length
}

/** Rising, as `places` is. `openFrom`: all from there on count instead of `places`; -1: they do not. */
function placesAfter(
  token: Token,
  name: string,
  places: readonly number[],
  openFrom: number,
  isFirstEnough: boolean,
): number[] {
  const texts = token.kind === 'text' ? [token.text] : token.kind === 'alternatives' ? token.texts : undefined
  const next: number[] = []
  const count = openFrom < 0 ? places.length : name.length - openFrom + 1
  for (let i = 0; i < count && !(isFirstEnough && next.length > 0); i++) {
    const at = openFrom < 0 ? places[i] : openFrom + i
    if (texts !== undefined) {
      for (const text of texts) if (name.startsWith(text, at)) next.push(at + text.length)
    } else if (token.kind === 'character' && at < name.length && token.test(name[at])) next.push(at + 1)
  }
  return token.kind === 'alternatives' ? [...new Set(next)].sort((a, b) => a - b) : next
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
      else tokens.push({ kind: 'alternatives', texts: [...new Set(inner.split(','))] })
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
