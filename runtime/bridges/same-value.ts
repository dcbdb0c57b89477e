import { isDeepStrictEqual } from 'node:util'
import type { Value } from '../../firmware-protocol/wire/value.ts'

/** Whether two values are the same, their wire types included. */
export function isSameValue(a: Value, b: Value): boolean {
  if (a.type !== b.type) return false
  if (a.type === 'null' || b.type === 'null') return true
  if (typeof a.value !== 'object') return Object.is(a.value, b.value)
  return isDeepStrictEqual(a.value, b.value)
}
