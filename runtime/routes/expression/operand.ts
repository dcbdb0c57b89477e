import { numberText } from '../value-text.ts'

/** What expressions calculate with: Float, Int, Bool, String, a tuple, or nothing. */
export type Operand = number | bigint | boolean | string | readonly Operand[] | null

const MAX_STEPS = 10_000
const CHARACTERS_PER_STEP = 16

/** There is no result. One object for all: it is thrown at the rate of messages, and says nothing. */
export class NoResult extends Error {}
const noResult = new NoResult('no result')

export function fail(): never {
  throw noResult
}

/** What one evaluation may cost. */
export class Budget {
  private left = MAX_STEPS

  refill(): void {
    this.left = MAX_STEPS
  }

  step(): void {
    if (--this.left < 0) fail()
  }

  characters(count: number): void {
    this.left -= count / CHARACTERS_PER_STEP
    if (this.left < 0) fail()
  }
}

/** An Int result, which must fit 64 bits. */
export function whole(value: bigint): bigint {
  return BigInt.asIntN(64, value) === value ? value : fail()
}

export function isNumber(operand: Operand): operand is number | bigint {
  return typeof operand === 'number' || typeof operand === 'bigint'
}

export function asNumber(operand: Operand): number {
  return isNumber(operand) ? Number(operand) : fail()
}

export function asBool(operand: Operand): boolean {
  return typeof operand === 'boolean' ? operand : fail()
}

export function asText(operand: Operand): string {
  return typeof operand === 'string' ? operand : fail()
}

export function isTuple(operand: Operand): operand is readonly Operand[] {
  return Array.isArray(operand)
}

/** `isStrict`: Int and Float are never equal. */
export function isEqual(a: Operand, b: Operand, isStrict: boolean, budget: Budget): boolean {
  budget.step()
  if (isTuple(a) && isTuple(b)) {
    return a.length === b.length && a.every((item, at) => isEqual(item, b[at], isStrict, budget))
  }
  if (!isStrict && isNumber(a) && isNumber(b)) return Number(a) === Number(b)
  return a === b
}

export function textOf(operand: Operand, budget: Budget): string {
  budget.step()
  if (isTuple(operand)) {
    const text = `(${operand.map((item) => textOf(item, budget)).join(', ')})`
    budget.characters(text.length)
    return text
  }
  if (operand === null) return '()'
  return typeof operand === 'number' ? numberText(operand) : String(operand)
}
