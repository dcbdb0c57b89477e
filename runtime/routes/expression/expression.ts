import type { Value } from '../../../firmware-protocol/wire/value.ts'
import { float, int, numberOf } from '../numbers.ts'
import type { Moment } from '../step.ts'
import { type Evaluate, evaluatorOf } from './evaluate.ts'
import { Budget, fail, isTuple, NoResult, type Operand } from './operand.ts'
import { type Dialect, parseExpression } from './parser.ts'
import { operandOf, type Recollection, type Scope } from './scope.ts'

const NULL: Value = { type: 'null' }

/** Names that need a memory: how many values there were, the last result (at first the value), seconds since. */
const REMEMBERED: Record<string, (memory: Recollection, scope: Scope) => Operand> = {
  index: ({ index }) => BigInt(index),
  prev: ({ previous }, { value }) => previous ?? operandOf(value),
  dt: ({ index, atMs }, { moment }) => (index === 0 ? 0 : Math.max(0, moment.nowMs - atMs) / 1000),
}

/** Names in `edge`; `value` and `x` are the value, Int also as Float. */
const SURROUNDINGS: Record<string, (scope: Scope) => Operand> = {
  time: ({ moment }) => moment.wallUs / 1e6,
  addr: ({ moment }) => moment.address,
}

/** A compiled expression. Source: bridges.md §18.7. */
export class Expression {
  private readonly evaluator: Evaluate
  private readonly scope: Scope
  private readonly dialect: Dialect

  private constructor(text: string, dialect: Dialect, hasMemory: boolean, isCondition: boolean) {
    const constants = isCondition && dialect === 'evalexpr' ? [] : (['PI', 'E'] as const)
    const names = new Map<string, (scope: Scope) => Operand>([['value', inputOf]])
    for (const name of constants) names.set(name, () => Math[name])
    if (constants.length > 0) names.set('x', inputOf)
    if (dialect === 'edge') {
      for (const [name, read] of Object.entries(SURROUNDINGS)) names.set(name, read)
      for (let at = 0; at <= 9; at++) names.set(`$${at}`, ({ moment }) => captureOf(moment, at))
      if (hasMemory) {
        for (const [name, read] of Object.entries(REMEMBERED)) {
          names.set(name, (scope) => (scope.memory === undefined ? fail() : read(scope.memory, scope)))
        }
      }
    }
    this.dialect = dialect
    const { evaluate, locals } = evaluatorOf(parseExpression(text, dialect), dialect, names)
    this.evaluator = evaluate
    this.scope = {
      value: NULL,
      moment: undefined as never,
      memory: undefined,
      locals: new Array(locals).fill(undefined),
      budget: new Budget(),
    }

    function inputOf({ value, moment }: Scope): Operand {
      const number = numberOf(value, moment)
      if (number !== undefined) return number
      return dialect === 'edge' ? operandOf(value) : fail()
    }
  }

  /** Throws an ExpressionError. A condition sees only `value`, as upstream, in `evalexpr`. */
  static compile(text: string, dialect: Dialect, use: 'transform' | 'condition'): Expression {
    return new Expression(text, dialect, use === 'transform', use === 'condition')
  }

  /** Undefined: there is no result. */
  evaluate(value: Value, moment: Moment, memory?: Recollection): Operand | undefined {
    const { scope } = this
    scope.value = value
    scope.moment = moment
    scope.memory = memory
    scope.locals.fill(undefined)
    scope.budget.refill()
    try {
      return this.evaluator(scope)
    } catch (error) {
      if (error instanceof NoResult) return undefined
      throw error
    }
  }

  /** Undefined where there is no result, or none that is a value: nothing, a tuple in `evalexpr`, NaN, an infinity. */
  result(operand: Operand | undefined): Value | undefined {
    try {
      this.scope.budget.refill()
      return operand === undefined ? undefined : this.valueOf(operand)
    } catch (error) {
      if (error instanceof NoResult) return undefined
      throw error
    }
  }

  private valueOf(operand: Operand): Value {
    this.scope.budget.step()
    if (typeof operand === 'number') return Number.isFinite(operand) ? float(operand) : fail()
    if (typeof operand === 'bigint') return int(operand)
    if (typeof operand === 'boolean') return { type: 'bool', value: operand }
    if (typeof operand === 'string') return { type: 'string', value: operand }
    if (!isTuple(operand) || this.dialect === 'evalexpr') return fail()
    return { type: 'array', value: operand.map((item) => this.valueOf(item)) }
  }
}

/** As a number where it is one. */
function captureOf({ captures }: Moment, at: number): Operand {
  const text = captures[at]
  if (text === undefined) return fail()
  return /^-?\d{1,15}$/.test(text) ? BigInt(text) : text
}
