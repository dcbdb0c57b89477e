/** Why an expression cannot be used; `at`: the first character that is wrong. */
export class ExpressionError extends Error {
  readonly at: number

  constructor(message: string, at: number) {
    super(message)
    this.name = 'ExpressionError'
    this.at = at
  }
}

export interface Token {
  readonly kind: 'int' | 'float' | 'text' | 'name' | 'operator' | 'end'
  readonly text: string
  readonly at: number
}

const SPACE = /\s+/y
const RULES: readonly (readonly [Token['kind'], RegExp])[] = [
  ['int', /0x[0-9a-fA-F]+(?![\w.])/y],
  ['float', /(?:\d+\.\d*|\.\d+)(?:[eE][+-]?\d+)?(?!\w)|\d+[eE][+-]?\d+(?!\w)/y],
  ['int', /\d+(?![\w.])/y],
  ['text', /"(?:[^"\\]|\\["\\nt])*"/y],
  ['name', /[A-Za-z_]\w*(?:::[A-Za-z_]\w*)*|\$(?:\d|arg)(?!\w)/y],
  ['operator', /&&=|\|\|=|[=!<>+\-*/%^]=|&&|\|\||[-+*/%^!<>=,;()?:[\]]/y],
]

/** Cuts an expression into tokens. Throws an ExpressionError. */
export function tokensOf(text: string): Token[] {
  const tokens: Token[] = []
  let at = 0
  for (;;) {
    SPACE.lastIndex = at
    at += SPACE.exec(text)?.[0].length ?? 0
    if (at >= text.length) break
    const token = tokenAt(text, at)
    tokens.push(token)
    at += token.text.length
  }
  tokens.push({ kind: 'end', text: '', at })
  return tokens
}

function tokenAt(text: string, at: number): Token {
  for (const [kind, rule] of RULES) {
    rule.lastIndex = at
    const found = rule.exec(text)
    if (found !== null) return { kind, text: found[0], at }
  }
  const shown = /[\w.]+|./su.exec(text.slice(at))?.[0] ?? ''
  throw new ExpressionError(shown === '"' ? 'the text has no end' : `${shown} means nothing`, at)
}
