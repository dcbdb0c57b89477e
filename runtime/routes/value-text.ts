import { isDeepStrictEqual } from 'node:util'
import type { Value } from '../../firmware-protocol/wire/value.ts'

/** Digits of an Int or Float (`1.0` is `1`), `true`, `false`, a String itself; undefined for all other types. */
export function scalarText(value: Value): string | undefined {
  switch (value.type) {
    case 'string':
      return value.value
    case 'bool':
    case 'i8':
    case 'i16':
    case 'i32':
    case 'i64':
      return String(value.value)
    case 'f32':
    case 'f64':
      return numberText(value.value)
    default:
      return undefined
  }
}

/** Without an exponent as long as the digits are few, as Rust prints it. Source: bridges.md §2.5. */
export function numberText(number: number): string {
  if (Number.isNaN(number)) return 'NaN'
  if (!Number.isFinite(number)) return number > 0 ? 'inf' : '-inf'
  const text = Object.is(number, -0) ? '-0' : String(number)
  const parts = /^(-?)(\d)(?:\.(\d+))?e([+-]\d+)$/.exec(text)
  if (parts === null) return text
  const [, sign, first, rest = '', power] = parts
  const digits = first + rest
  const point = 1 + Number(power)
  return point <= 0 ? `${sign}0.${'0'.repeat(-point)}${digits}` : sign + digits.padEnd(point, '0')
}

/** Of the same type and with the same content. */
export function isSameValue(a: Value, b: Value): boolean {
  if (a === b) return true
  if (a.type !== b.type) return false
  if (a.type === 'null' || b.type === 'null') return true
  if (typeof a.value !== 'object') return Object.is(a.value, b.value)
  return isDeepStrictEqual(a.value, b.value)
}

/** Any value for people: scalars as above, arrays and maps as JSON. */
export function valueText(value: Value): string {
  return scalarText(value) ?? JSON.stringify(plain(value))
}

function plain(value: Value): unknown {
  switch (value.type) {
    case 'null':
      return null
    case 'i64':
      return Number(value.value)
    case 'bytes':
      return [...value.value]
    case 'array':
      return value.value.map(plain)
    case 'map':
      return Object.fromEntries(value.value.map(([key, member]) => [key, plain(member)]))
    default:
      return value.value
  }
}
