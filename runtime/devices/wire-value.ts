import type { Plain, SignalSpec } from '../../devices/device.ts'
import type { Value } from '../../firmware-protocol/wire/value.ts'

const ON: readonly string[] = ['on', 'true', '1', 'open']
const OFF: readonly string[] = ['off', 'false', '0', 'close']

/** A driver's value as it goes over the wire: whole numbers of an `i64` signal as such, everything else by its type. */
export function wireValue(plain: Plain, datatype: SignalSpec['datatype']): Value {
  if (plain === null) return { type: 'null' }
  if (typeof plain === 'boolean') return { type: 'bool', value: plain }
  if (typeof plain === 'string') return { type: 'string', value: plain }
  if (typeof plain === 'number') {
    return datatype === 'i64' && Number.isSafeInteger(plain)
      ? { type: 'i64', value: plain }
      : { type: 'f64', value: plain }
  }
  return { type: 'map', value: Object.entries(plain).map(([key, member]) => [key, memberValue(member)] as const) }
}

/** Whole numbers inside of a map are counts, times or the like. */
function memberValue(member: number | boolean | string | null): Value {
  return wireValue(member, 'i64')
}

/**
 * What a client wrote, in the datatype of the signal and within its range; undefined: it cannot be taken for one.
 * Source: bridges.md §20.6.
 */
export function writtenValue(
  value: Value,
  { datatype, range }: Pick<SignalSpec, 'datatype' | 'range'>,
): Plain | undefined {
  const plain = plainOf(value)
  if (plain === undefined) return undefined
  if (datatype === 'bool') return truth(plain)
  if (datatype === 'i64' || datatype === 'f64') {
    const number = typeof plain === 'boolean' ? Number(plain) : plain
    if (typeof number !== 'number' || Number.isNaN(number)) return undefined
    const [min, max] = range ?? [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY]
    const inside = Math.min(max, Math.max(min, number))
    return datatype === 'i64' ? Math.round(inside) : inside
  }
  if (datatype === 'string') return typeof plain === 'string' ? plain : undefined
  // A number stands for a map with one member, and nothing for one with none.
  return plain
}

function truth(plain: Plain): boolean | undefined {
  if (typeof plain === 'boolean') return plain
  if (typeof plain === 'number') return Number.isNaN(plain) ? undefined : plain !== 0
  if (typeof plain !== 'string') return undefined
  const word = plain.trim().toLowerCase()
  return ON.includes(word) ? true : OFF.includes(word) ? false : undefined
}

/** Undefined for lists and bytes, which no device takes. */
export function plainOf(value: Value): Plain | undefined {
  switch (value.type) {
    case 'null':
      return null
    case 'array':
    case 'bytes':
      return undefined
    case 'map': {
      const members = value.value.map(([key, member]) => [key, plainOf(member)] as const)
      const simple = members.filter(([, member]) => member !== undefined && !isMap(member))
      return Object.fromEntries(simple) as Plain
    }
    case 'i64':
      return Number(value.value)
    default:
      return value.value
  }
}

function isMap(plain: Plain | undefined): boolean {
  return typeof plain === 'object' && plain !== null
}
