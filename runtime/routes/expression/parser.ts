import { ExpressionError, type Token, tokensOf } from './tokens.ts'

/** `evalexpr`: as upstream calculates. `edge`: as most people expect. Source: bridges.md §18.7. */
export type Dialect = 'edge' | 'evalexpr'

export type Constant = number | bigint | boolean | string

/** `at`: where it starts in the text. */
export type Node =
  | { readonly kind: 'constant'; readonly value: Constant }
  | { readonly kind: 'name'; readonly name: string; readonly at: number }
  /** `$arg[n]` */
  | { readonly kind: 'element'; readonly index: Node }
  | { readonly kind: 'unary'; readonly operator: '-' | '!'; readonly operand: Node }
  | { readonly kind: 'binary'; readonly operator: string; readonly left: Node; readonly right: Node }
  | { readonly kind: 'choice'; readonly condition: Node; readonly yes: Node; readonly no: Node }
  /** `operator` is that of `+=`, or empty. */
  | {
      readonly kind: 'assign'
      readonly name: string
      readonly operator: string
      readonly value: Node
      readonly at: number
    }
  | { readonly kind: 'call'; readonly name: string; readonly operands: readonly Node[]; readonly at: number }
  | { readonly kind: 'tuple' | 'sequence'; readonly items: readonly Node[] }
  /** Nothing, as behind a last semicolon. */
  | { readonly kind: 'empty' }

const MAX_LENGTH = 1024
const MAX_DEPTH = 64
const ASSIGNMENT = /^(?:[-+*/%^]|&&|\|\|)?=$/
const I64_MAX = 2n ** 63n - 1n

/** How tightly operators bind; all lean to the left, but `^` leans to the right in `edge`. */
const POWERS: Readonly<Record<string, number>> = {
  ';': 1,
  ',': 2,
  '?': 4,
  '||': 5,
  '&&': 6,
  '<': 7,
  '>': 7,
  '<=': 7,
  '>=': 7,
  '==': 7,
  '!=': 7,
  '+': 8,
  '-': 8,
  '*': 9,
  '/': 9,
  '%': 9,
  '^': 11,
}
const ASSIGN_POWER = 3
const UNARY_POWER = 10
const CALL_POWER = 12

/** Makes a tree of an expression, by the method of Pratt. Throws an ExpressionError. */
export function parseExpression(text: string, dialect: Dialect): Node {
  if (text.length > MAX_LENGTH) throw new ExpressionError(`it is longer than ${MAX_LENGTH} characters`, MAX_LENGTH)
  return new Parser(tokensOf(text), dialect).whole()
}

class Parser {
  private readonly tokens: readonly Token[]
  private readonly dialect: Dialect
  private at = 0
  private depth = 0

  constructor(tokens: readonly Token[], dialect: Dialect) {
    this.tokens = tokens
    this.dialect = dialect
  }

  whole(): Node {
    const node = this.expression(0)
    const { text, kind, at } = this.next
    if (kind !== 'end') throw new ExpressionError(`${text} is not expected here`, at)
    if (node.kind === 'empty') throw new ExpressionError('there is no expression', 0)
    return node
  }

  private get next(): Token {
    return this.tokens[this.at]
  }

  /** Reads on as long as operators bind more tightly than `power`. */
  private expression(power: number): Node {
    if (++this.depth > MAX_DEPTH) throw new ExpressionError(`it is nested deeper than ${MAX_DEPTH}`, this.next.at)
    let left = this.operand()
    for (;;) {
      const { text, kind } = this.next
      if (kind !== 'operator') break
      const binds = ASSIGNMENT.test(text) ? ASSIGN_POWER : (POWERS[text] ?? 0)
      if (binds <= power) break
      left = this.join(left, binds)
    }
    this.depth--
    return left
  }

  private join(left: Node, binds: number): Node {
    const { text: operator, at } = this.take()
    if (binds === ASSIGN_POWER) {
      if (left.kind !== 'name') throw new ExpressionError(`${operator} needs a name on its left`, at)
      return { kind: 'assign', name: left.name, operator: operator.slice(0, -1), value: this.needed(binds), at }
    }
    switch (operator) {
      case ';':
        return { kind: 'sequence', items: this.listed(left, ';', binds) }
      case ',':
        return { kind: 'tuple', items: this.listed(left, ',', binds) }
      case '?': {
        if (this.dialect === 'evalexpr') throw new ExpressionError('? is not known in the dialect evalexpr', at)
        const yes = this.needed(ASSIGN_POWER)
        this.expect(':')
        return { kind: 'choice', condition: left, yes, no: this.needed(binds - 1) }
      }
    }
    const leansRight = operator === '^' && this.dialect === 'edge'
    return { kind: 'binary', operator, left, right: this.needed(leansRight ? binds - 1 : binds) }
  }

  /** `left` and what follows after more of the same separators. */
  private listed(left: Node, separator: ',' | ';', binds: number): Node[] {
    const items = [left, this.expression(binds)]
    while (this.next.kind === 'operator' && this.next.text === separator) {
      this.take()
      items.push(this.expression(binds))
    }
    return items
  }

  private operand(): Node {
    const token = this.next
    switch (token.kind) {
      case 'int':
        return this.whole64()
      case 'float':
        this.take()
        return { kind: 'constant', value: Number(token.text) }
      case 'text':
        this.take()
        return { kind: 'constant', value: unescaped(token.text) }
      case 'name':
        return this.named()
      case 'end':
        return { kind: 'empty' }
    }
    if (token.text === '-' || token.text === '!') {
      this.take()
      return { kind: 'unary', operator: token.text, operand: this.needed(UNARY_POWER) }
    }
    if (token.text === '(') {
      this.take()
      const inside = this.expression(0)
      this.expect(')')
      return inside
    }
    // The end of what is around it, or of an item.
    if (token.text === ')' || token.text === ';') return { kind: 'empty' }
    throw new ExpressionError(`${token.text} is not expected here`, token.at)
  }

  private whole64(): Node {
    const { text, at } = this.take()
    const value = BigInt(text)
    if (value > I64_MAX) throw new ExpressionError(`${text} does not fit 64 bits`, at)
    return { kind: 'constant', value }
  }

  private named(): Node {
    const { text: name, at } = this.take()
    if (name === 'true' || name === 'false') return { kind: 'constant', value: name === 'true' }
    const { kind, text } = this.next
    if (name === '$arg') {
      this.expect('[')
      const index = this.needed(0)
      this.expect(']')
      return { kind: 'element', index }
    }
    if (kind === 'operator' && text === '(') {
      this.take()
      const inside = this.expression(0)
      this.expect(')')
      const operands = inside.kind === 'tuple' ? inside.items : inside.kind === 'empty' ? [] : [inside]
      return { kind: 'call', name, operands, at }
    }
    // Upstream takes `floor value` as well.
    if (kind !== 'operator' && kind !== 'end') {
      return { kind: 'call', name, operands: [this.expression(CALL_POWER)], at }
    }
    return { kind: 'name', name, at }
  }

  private needed(power: number): Node {
    const { at } = this.next
    const node = this.expression(power)
    if (node.kind === 'empty') throw new ExpressionError('something is missing here', at)
    return node
  }

  private take(): Token {
    return this.tokens[this.at++]
  }

  private expect(text: string): void {
    const { kind, text: found, at } = this.next
    if (kind === 'operator' && found === text) this.at++
    else throw new ExpressionError(`expected ${text}${found === '' ? '' : ` instead of ${found}`}`, at)
  }
}

function unescaped(literal: string): string {
  return literal.slice(1, -1).replace(/\\(.)/g, (_, character: string) => {
    if (character === 'n') return '\n'
    return character === 't' ? '\t' : character
  })
}
