import type { Value } from '../../../firmware-protocol/wire/value.ts'
import { numberOf } from '../numbers.ts'
import type { Moment } from '../step.ts'
import { type Budget, fail, type Operand } from './operand.ts'

/** What an expression remembers at one address. */
export interface Recollection {
  index: number
  previous: Operand | undefined
  atMs: number
}

/** What a name stands for while an expression runs. */
export interface Scope {
  value: Value
  moment: Moment
  memory: Recollection | undefined
  /** Assigned names. */
  readonly locals: (Operand | undefined)[]
  readonly budget: Budget
}

/** Values that are no numbers: Null and Bytes and Map have no operand. */
export function operandOf(value: Value): Operand {
  switch (value.type) {
    case 'bool':
    case 'string':
      return value.value
    case 'array':
      return value.value.map((item) => numberOf(item) ?? operandOf(item))
    default:
      return numberOf(value) ?? fail()
  }
}
