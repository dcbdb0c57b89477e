import { nearest } from '../../config/nearest.ts'
import { numberOf } from '../numbers.ts'
import { type FunctionEntry, functionsOf } from './functions.ts'
import { asBool, asNumber, asText, fail, isEqual, isNumber, type Operand, whole } from './operand.ts'
import type { Dialect, Node } from './parser.ts'
import { operandOf, type Scope } from './scope.ts'
import { ExpressionError } from './tokens.ts'

export type Evaluate = (scope: Scope) => Operand

type Names = ReadonlyMap<string, (scope: Scope) => Operand>

/** Makes functions of a tree, once: a value costs calls only. Throws an ExpressionError for names that there are not. */
export function evaluatorOf(tree: Node, dialect: Dialect, names: Names): { evaluate: Evaluate; locals: number } {
  const builder = new Builder(dialect, names)
  return { evaluate: builder.build(tree), locals: builder.localCount }
}

class Builder {
  private readonly isStrict: boolean
  private readonly names: Names
  private readonly functions: ReadonlyMap<string, FunctionEntry>
  /** Places of assigned names. */
  private readonly locals = new Map<string, number>()

  constructor(dialect: Dialect, names: Names) {
    this.isStrict = dialect === 'evalexpr'
    this.names = names
    this.functions = functionsOf(dialect)
  }

  get localCount(): number {
    return this.locals.size
  }

  build(node: Node): Evaluate {
    switch (node.kind) {
      case 'constant': {
        const { value } = node
        return () => value
      }
      case 'empty':
        return () => null
      case 'name':
        return this.name(node.name, node.at)
      case 'element': {
        const index = this.build(node.index)
        return (scope) => elementOf(scope, index(scope))
      }
      case 'unary': {
        const operand = this.build(node.operand)
        return node.operator === '!' ? (scope) => !asBool(operand(scope)) : (scope) => negated(operand(scope))
      }
      case 'binary':
        return this.binary(node.operator, this.build(node.left), this.build(node.right))
      case 'choice':
        return choice(this.build(node.condition), this.build(node.yes), this.build(node.no))
      case 'assign':
        return this.assign(node)
      case 'call':
        return this.call(node.name, node.operands, node.at)
      case 'tuple': {
        const items = node.items.map((item) => this.build(item))
        return (scope) => {
          scope.budget.step()
          return resultsOf(items, scope)
        }
      }
      case 'sequence': {
        const items = node.items.map((item) => this.build(item))
        return (scope) => {
          let last: Operand = null
          for (const item of items) last = item(scope)
          return last
        }
      }
    }
  }

  private name(name: string, at: number): Evaluate {
    const place = this.locals.get(name)
    const known = this.names.get(name)
    if (place !== undefined) return (scope) => scope.locals[place] ?? known?.(scope) ?? fail()
    if (known !== undefined) return known
    const names = [...this.names.keys(), ...this.locals.keys()]
    throw new ExpressionError(unknown('name', name, names), at)
  }

  private assign({ name, operator, value, at }: Extract<Node, { kind: 'assign' }>): Evaluate {
    const calculate = this.build(value)
    const known = operator === '' && !this.locals.has(name) ? this.names.get(name) : this.name(name, at)
    const place = this.locals.get(name) ?? this.locals.size
    this.locals.set(name, place)
    const combine = operator === '' || known === undefined ? calculate : this.binary(operator, known, calculate)
    return (scope) => {
      scope.budget.step()
      const result = combine(scope)
      const before = scope.locals[place] ?? known?.(scope)
      // A name keeps the type that it has.
      if (before !== undefined && typeof before !== typeof result) return fail()
      scope.locals[place] = result
      return null
    }
  }

  private call(name: string, operands: readonly Node[], at: number): Evaluate {
    const entry = this.functions.get(name)
    if (entry === undefined) throw new ExpressionError(unknown('function', name, [...this.functions.keys()]), at)
    const inputs = operands.map((operand) => this.build(operand))
    const [min, max] = entry.kind === 'math' ? [entry.operands, entry.operands] : [entry.min, entry.max]
    if (inputs.length < min || inputs.length > max) {
      throw new ExpressionError(
        `${name} takes ${min === max ? min : `${min} or more`} values, not ${inputs.length}`,
        at,
      )
    }
    const [first, second, third] = inputs
    if (entry.kind === 'math') {
      const { calculate } = entry
      if (entry.operands === 1) {
        return (scope) => {
          scope.budget.step()
          return calculate(asNumber(first(scope)), 0)
        }
      }
      return (scope) => {
        scope.budget.step()
        return calculate(asNumber(first(scope)), asNumber(second(scope)))
      }
    }
    if (name === 'if' && !this.isStrict) return choice(first, second, third)
    const { isStrict } = this
    return (scope) => {
      scope.budget.step()
      return entry.call(resultsOf(inputs, scope), scope.budget, isStrict)
    }
  }

  private binary(operator: string, left: Evaluate, right: Evaluate): Evaluate {
    const { isStrict } = this
    if (operator === '&&' || operator === '||') return this.logical(operator, left, right)
    if (operator === '==' || operator === '!=') {
      const wanted = operator === '=='
      return (scope) => isEqual(left(scope), right(scope), isStrict, scope.budget) === wanted
    }
    if (operator === '+') return (scope) => sum(left(scope), right(scope), scope)
    const compares = comparisons[operator]
    const calculates = operator === '/' && !isStrict ? exactQuotient : arithmetic[operator]
    const operation: (a: Operand, b: Operand) => Operand = compares ?? calculates
    return (scope) => {
      scope.budget.step()
      return operation(left(scope), right(scope))
    }
  }

  private logical(operator: '&&' | '||', left: Evaluate, right: Evaluate): Evaluate {
    const decides = operator === '||'
    if (!this.isStrict) return (scope) => (asBool(left(scope)) === decides ? decides : asBool(right(scope)))
    return (scope) => {
      const [a, b] = [asBool(left(scope)), asBool(right(scope))]
      return a === decides || b === decides ? decides : !decides
    }
  }
}

/** Without a closure: it runs for every value. */
function resultsOf(parts: readonly Evaluate[], scope: Scope): Operand[] {
  const results: Operand[] = []
  for (const part of parts) results.push(part(scope))
  return results
}

function choice(condition: Evaluate, yes: Evaluate, no: Evaluate): Evaluate {
  return (scope) => {
    scope.budget.step()
    return asBool(condition(scope)) ? yes(scope) : no(scope)
  }
}

function elementOf({ moment }: Scope, index: Operand): Operand {
  const { input } = moment
  const item = input.type === 'array' ? input.value[asNumber(index)] : undefined
  return item === undefined ? fail() : (numberOf(item, moment) ?? operandOf(item))
}

function negated(operand: Operand): Operand {
  return typeof operand === 'bigint' ? whole(-operand) : -asNumber(operand)
}

function sum(a: Operand, b: Operand, { budget }: Scope): Operand {
  budget.step()
  if (typeof a === 'string' && typeof b === 'string') {
    budget.characters(a.length + b.length)
    return a + b
  }
  if (typeof a === 'bigint' && typeof b === 'bigint') return whole(a + b)
  return asNumber(a) + asNumber(b)
}

/** Int with Int stays Int. */
function either(
  ofInts: (a: bigint, b: bigint) => bigint,
  ofFloats: (a: number, b: number) => number,
): (a: Operand, b: Operand) => Operand {
  return (a, b) => {
    if (typeof a === 'bigint' && typeof b === 'bigint') return whole(ofInts(a, b))
    return ofFloats(asNumber(a), asNumber(b))
  }
}

const arithmetic: Record<string, (a: Operand, b: Operand) => Operand> = {
  '-': either(
    (a, b) => a - b,
    (a, b) => a - b,
  ),
  '*': either(
    (a, b) => a * b,
    (a, b) => a * b,
  ),
  '/': either(
    (a, b) => (b === 0n ? fail() : a / b),
    (a, b) => a / b,
  ),
  '%': either(
    (a, b) => (b === 0n ? fail() : a % b),
    (a, b) => a % b,
  ),
  '^': (a, b) => asNumber(a) ** asNumber(b),
}

function exactQuotient(a: Operand, b: Operand): Operand {
  return asNumber(a) / asNumber(b)
}

function comparison(holds: (a: number | bigint | string, b: number | bigint | string) => boolean) {
  return (a: Operand, b: Operand): boolean => (isNumber(a) && isNumber(b) ? holds(a, b) : holds(asText(a), asText(b)))
}

const comparisons: Record<string, (a: Operand, b: Operand) => boolean> = {
  '<': comparison((a, b) => a < b),
  '>': comparison((a, b) => a > b),
  '<=': comparison((a, b) => a <= b),
  '>=': comparison((a, b) => a >= b),
}

function unknown(what: string, name: string, names: readonly string[]): string {
  const near = nearest(name, names)
  return `there is no ${what} ${name}${near === undefined ? '' : `: did you mean ${near}?`}`
}
