import { bigOf, int } from '../numbers.ts'
import type { Settings } from '../settings.ts'
import type { Step } from '../step.ts'
import type { TransformTable } from './transform.ts'

/** Bits of the number as a signed 64-bit one. Source: bridges.md §18.3. */

type Operation = (number: bigint, operand: bigint) => bigint

const operations: Record<string, Operation> = {
  and: (number, operand) => number & operand,
  or: (number, operand) => number | operand,
  xor: (number, operand) => number ^ operand,
  not: (number) => ~number,
  shift_left: (number, operand) => number << operand,
  shift_right: (number, operand) => number >> operand,
  get_bit: (number, operand) => (number >> operand) & 1n,
  set_bit: (number, operand) => number | (1n << operand),
  clear_bit: (number, operand) => number & ~(1n << operand),
}
const names = Object.keys(operations)
/** Their operand is the number of a bit. */
const POSITIONS = /_/

function readBitwise(settings: Settings): Step {
  const name = settings.choice('operation', names)
  const limits = POSITIONS.test(name) ? { min: 0, max: 63, isWhole: true } : { isWhole: true }
  const operand = BigInt(settings.number('operand', name.startsWith('shift') ? 1 : 0, limits))
  const operation = operations[name]
  const step: Step = {
    run(value, _state, moment) {
      const number = bigOf(value, moment)
      return number === undefined ? value : int(operation(number, operand))
    },
  }
  // Twice the same is nothing.
  if (name === 'not' || name === 'xor') step.inverse = () => step
  return step
}

export const bits: TransformTable = { bitwise: readBitwise }
