import type { Value } from '../../firmware-protocol/wire/value.ts'
import type { Moment, Step } from './step.ts'

/** Numbers in values. Source: bridges.md §2.4. */

const I64_MIN = -(2n ** 63n)
const I64_MAX = 2n ** 63n - 1n

/** Of Int and Float, and of Bool where the rule says so; undefined for everything else. */
export function numberOf(value: Value, moment?: Pick<Moment, 'boolIsNumber'>): number | undefined {
  switch (value.type) {
    case 'f64':
    case 'f32':
    case 'i8':
    case 'i16':
    case 'i32':
      return value.value
    case 'i64':
      return Number(value.value)
    case 'bool':
      return moment?.boolIsNumber === true ? Number(value.value) : undefined
    default:
      return undefined
  }
}

export function isInt(value: Value): value is Extract<Value, { type: 'i8' | 'i16' | 'i32' | 'i64' }> {
  return value.type === 'i64' || value.type === 'i32' || value.type === 'i16' || value.type === 'i8'
}

export function isFloat(value: Value): value is Extract<Value, { type: 'f32' | 'f64' }> {
  return value.type === 'f64' || value.type === 'f32'
}

export function float(value: number): Value {
  return { type: 'f64', value }
}

/** Wraps to 64 bits. */
export function int(value: number | bigint): Value {
  if (typeof value === 'number') return { type: 'i64', value: value + 0 }
  const wrapped = BigInt.asIntN(64, value)
  const number = Number(wrapped)
  return { type: 'i64', value: Number.isSafeInteger(number) ? number : wrapped }
}

/** Truncated toward zero, kept within 64 bits; NaN is 0. */
export function truncated(number: number): number | bigint {
  if (Number.isNaN(number)) return 0
  const whole = Math.trunc(number)
  // Without the sign of zero, which an Int does not have.
  if (Number.isSafeInteger(whole)) return whole + 0 === 0 ? 0 : whole
  if (whole >= 2 ** 63) return I64_MAX
  return whole < -(2 ** 63) ? I64_MIN : BigInt(whole)
}

/** The exact 64-bit value of Int, the truncated one of Float; undefined for everything else. */
export function bigOf(value: Value, moment: Moment): bigint | undefined {
  if (isInt(value)) return BigInt(value.value)
  const number = numberOf(value, moment)
  return number === undefined ? undefined : BigInt(truncated(number))
}

/** Half away from zero. */
export function rounded(number: number): number {
  return number < 0 ? -Math.round(-number) : Math.round(number)
}

/** A step from number to number: the result is Float, other values pass unchanged, NaN and infinities have no result. */
export function numericStep(calculate: (number: number) => number, inverse?: () => Step): Step {
  return {
    run(value, _state, moment) {
      const number = numberOf(value, moment)
      if (number === undefined) return value
      const result = calculate(number)
      return Number.isFinite(result) ? float(result) : 'failed'
    },
    ...(inverse !== undefined && { inverse }),
  }
}

/** As `numericStep`, with a state, into which only finite numbers go. */
export function recallingStep<S>(
  start: () => S,
  calculate: (number: number, state: S, moment: Moment) => number,
): Step {
  const step: Step<S> = {
    start,
    run(value, state, moment) {
      const number = numberOf(value, moment)
      if (number === undefined) return value
      if (!Number.isFinite(number)) return 'failed'
      const result = calculate(number, state, moment)
      return Number.isFinite(result) ? float(result) : 'failed'
    },
  }
  return step as Step
}
