import { rounded, truncated } from '../numbers.ts'
import {
  asBool,
  asNumber,
  asText,
  type Budget,
  fail,
  isEqual,
  isNumber,
  isTuple,
  type Operand,
  textOf,
  whole,
} from './operand.ts'
import type { Dialect } from './parser.ts'

/** Functions of expressions. Source: bridges.md §18.7. */
export type FunctionEntry =
  | { readonly kind: 'math'; readonly operands: 1 | 2; calculate(a: number, b: number): number }
  | { readonly kind: 'other'; readonly min: number; readonly max: number; call: Call }

type Call = (operands: readonly Operand[], budget: Budget, isStrict: boolean) => Operand

const math1 = (calculate: (a: number) => number): FunctionEntry => ({ kind: 'math', operands: 1, calculate })
const math2 = (calculate: (a: number, b: number) => number): FunctionEntry => ({ kind: 'math', operands: 2, calculate })
const other = (min: number, max: number, call: Call): FunctionEntry => ({ kind: 'other', min, max, call })

/** Below `math::`, and bare in `edge`. */
const mathematics: Record<string, FunctionEntry> = {
  ln: math1(Math.log),
  log: math2((number, base) => Math.log(number) / Math.log(base)),
  log2: math1(Math.log2),
  log10: math1(Math.log10),
  exp: math1(Math.exp),
  exp2: math1((number) => 2 ** number),
  pow: math2((base, exponent) => base ** exponent),
  cos: math1(Math.cos),
  acos: math1(Math.acos),
  cosh: math1(Math.cosh),
  acosh: math1(Math.acosh),
  sin: math1(Math.sin),
  asin: math1(Math.asin),
  sinh: math1(Math.sinh),
  asinh: math1(Math.asinh),
  tan: math1(Math.tan),
  atan: math1(Math.atan),
  tanh: math1(Math.tanh),
  atanh: math1(Math.atanh),
  atan2: math2(Math.atan2),
  sqrt: math1(Math.sqrt),
  cbrt: math1(Math.cbrt),
  hypot: math2(Math.hypot),
  abs: other(1, 1, ([operand]) =>
    typeof operand === 'bigint' ? whole(operand < 0n ? -operand : operand) : Math.abs(asNumber(operand)),
  ),
  is_nan: other(1, 1, ([operand]) => Number.isNaN(asNumber(operand))),
  is_finite: other(1, 1, ([operand]) => Number.isFinite(asNumber(operand))),
  is_infinite: other(1, 1, ([operand]) => Math.abs(asNumber(operand)) === Number.POSITIVE_INFINITY),
  is_normal: other(1, 1, ([operand]) => {
    const size = Math.abs(asNumber(operand))
    return size >= 2 ** -1022 && size < Number.POSITIVE_INFINITY
  }),
}

const strings: Record<string, FunctionEntry> = {
  to_lowercase: other(1, 1, ([text], budget) => changed(asText(text), budget).toLowerCase()),
  to_uppercase: other(1, 1, ([text], budget) => changed(asText(text), budget).toUpperCase()),
  trim: other(1, 1, ([text], budget) => changed(asText(text), budget).trim()),
  from: other(1, 1, ([operand], budget) => textOf(operand, budget)),
  substring: other(2, 3, ([text, start, end], budget) => {
    const whole = changed(asText(text), budget)
    const [from, to] = [asNumber(start), end === undefined ? whole.length : asNumber(end)]
    return from >= 0 && from <= to && to <= whole.length ? whole.slice(from, to) : fail()
  }),
}

const general: Record<string, FunctionEntry> = {
  min: other(1, Number.POSITIVE_INFINITY, (operands) => extreme(operands, (a, b) => a < b)),
  max: other(1, Number.POSITIVE_INFINITY, (operands) => extreme(operands, (a, b) => a > b)),
  len: other(1, Number.POSITIVE_INFINITY, (operands) => {
    const [first] = operands
    if (operands.length > 1) return BigInt(operands.length)
    return isTuple(first) ? BigInt(first.length) : BigInt(Buffer.byteLength(asText(first)))
  }),
  floor: math1(Math.floor),
  round: math1(rounded),
  ceil: math1(Math.ceil),
  if: other(3, 3, ([condition, yes, no]) => (asBool(condition) ? yes : no)),
  contains: other(2, 2, ([list, item], budget, isStrict) => includes(list, item, budget, isStrict)),
  contains_any: other(2, 2, ([list, items], budget, isStrict) =>
    isTuple(items) ? items.some((item) => includes(list, item, budget, isStrict)) : fail(),
  ),
  typeof: other(1, Number.POSITIVE_INFINITY, (operands) => (operands.length > 1 ? 'tuple' : typeName(operands[0]))),
  bitand: bitwise((a, b) => a & b),
  bitor: bitwise((a, b) => a | b),
  bitxor: bitwise((a, b) => a ^ b),
  bitnot: other(1, 1, ([operand], _budget, isStrict) => ~bits(operand, isStrict)),
  shl: bitwise((a, b) => shifted(a, b, (number, by) => BigInt.asIntN(64, number << by))),
  shr: bitwise((a, b) => shifted(a, b, (number, by) => number >> by)),
}

/** Only in `edge`. */
const extras: Record<string, FunctionEntry> = {
  clamp: other(3, 3, ([number, min, max]) => {
    const [least, most] = [asNumber(min), asNumber(max)]
    return least <= most ? Math.min(most, Math.max(least, asNumber(number))) : fail()
  }),
  sign: math1(Math.sign),
  trunc: math1(Math.trunc),
}

const evalexpr = new Map<string, FunctionEntry>([
  ...Object.entries(general),
  ...Object.entries(mathematics).map(([name, entry]) => [`math::${name}`, entry] as const),
  ...Object.entries(strings).map(([name, entry]) => [`str::${name}`, entry] as const),
])
const edge = new Map<string, FunctionEntry>([...evalexpr, ...Object.entries(mathematics), ...Object.entries(extras)])

export function functionsOf(dialect: Dialect): ReadonlyMap<string, FunctionEntry> {
  return dialect === 'edge' ? edge : evalexpr
}

function changed(text: string, budget: Budget): string {
  budget.characters(text.length)
  return text
}

/** The first of the best; it keeps its type. */
function extreme(operands: readonly Operand[], isBetter: (a: number | bigint, b: number | bigint) => boolean): Operand {
  const numbers = operands.length === 1 && isTuple(operands[0]) ? operands[0] : operands
  let best: number | bigint | undefined
  for (const operand of numbers) {
    if (!isNumber(operand)) return fail()
    if (best === undefined || isBetter(operand, best)) best = operand
  }
  return best ?? fail()
}

function includes(list: Operand, item: Operand, budget: Budget, isStrict: boolean): boolean {
  return isTuple(list) ? list.some((one) => isEqual(one, item, isStrict, budget)) : fail()
}

function typeName(operand: Operand): string {
  if (isTuple(operand)) return 'tuple'
  if (operand === null) return 'empty'
  const names: Record<string, string> = { string: 'string', number: 'float', bigint: 'int', boolean: 'boolean' }
  return names[typeof operand]
}

function bitwise(operation: (a: bigint, b: bigint) => bigint): FunctionEntry {
  return other(2, 2, ([a, b], _budget, isStrict) => operation(bits(a, isStrict), bits(b, isStrict)))
}

/** Float is taken without its fraction where types are not strict, as `value` always is one. */
function bits(operand: Operand, isStrict: boolean): bigint {
  if (typeof operand === 'bigint') return operand
  return isStrict || typeof operand !== 'number' ? fail() : BigInt(truncated(operand))
}

function shifted(number: bigint, by: bigint, shift: (number: bigint, by: bigint) => bigint): bigint {
  return by >= 0n && by <= 63n ? shift(number, by) : fail()
}
