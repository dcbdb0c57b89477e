import { MAX_VALUE_DEPTH } from './constants.ts'
import type { Value } from './value.ts'

/**
 * A value as plain JavaScript: integers as number up to 2^53−1 and bigint beyond, floats as number, bytes as Uint8Array,
 * maps as objects without a prototype (a key `__proto__` is just a key). The difference between 1 and 1.0 is lost.
 */
export function toJs(value: Value): unknown {
  switch (value.type) {
    case 'null':
      return null
    case 'array':
      return value.value.map(toJs)
    case 'map': {
      const object: Record<string, unknown> = Object.create(null)
      for (const [key, item] of value.value) object[key] = toJs(item)
      return object
    }
    default:
      return value.value
  }
}

/**
 * Plain JavaScript as a value: integral numbers and bigints as i64, other numbers as f64, undefined as null. Throws a
 * TypeError for functions, symbols, bigints beyond 64 bits, structures that contain themselves, and structures nested
 * deeper than MAX_VALUE_DEPTH.
 */
export function fromJs(input: unknown): Value {
  return convert(input, [])
}

function convert(input: unknown, parents: readonly object[]): Value {
  switch (typeof input) {
    case 'undefined':
      return { type: 'null' }
    case 'boolean':
      return { type: 'bool', value: input }
    case 'string':
      return { type: 'string', value: input }
    case 'number':
      return Number.isSafeInteger(input) && !Object.is(input, -0)
        ? { type: 'i64', value: input }
        : { type: 'f64', value: input }
    case 'bigint':
      if (BigInt.asIntN(64, input) !== input) throw new TypeError(`${input} does not fit 64 bits`)
      return { type: 'i64', value: Number.isSafeInteger(Number(input)) ? Number(input) : input }
    case 'object':
      break
    default:
      throw new TypeError(`a ${typeof input} has no CLASP value`)
  }
  if (input === null) return { type: 'null' }
  if (input instanceof Uint8Array) return { type: 'bytes', value: input }
  if (parents.includes(input)) throw new TypeError('a structure that contains itself has no CLASP value')
  if (parents.length >= MAX_VALUE_DEPTH) throw new TypeError(`values are nested deeper than ${MAX_VALUE_DEPTH}`)
  const path = [...parents, input]
  if (Array.isArray(input)) return { type: 'array', value: input.map((item) => convert(item, path)) }
  return { type: 'map', value: Object.entries(input).map(([key, item]) => [key, convert(item, path)]) }
}

/** A value on one line for people: JSON, with floats always as floats (1.0) and bytes as `0x…`. */
export function formatValue(value: Value): string {
  switch (value.type) {
    case 'null':
      return 'null'
    case 'string':
      return quoted(value.value)
    case 'f32':
    case 'f64':
      return formatFloat(value.value)
    case 'bytes':
      return `0x${Array.from(value.value, (byte) => byte.toString(16).padStart(2, '0')).join('')}`
    case 'array':
      return `[${value.value.map(formatValue).join(', ')}]`
    case 'map':
      return `{${value.value.map(([key, item]) => `${quoted(key)}: ${formatValue(item)}`).join(', ')}}`
    default:
      return `${value.value}`
  }
}

/** 1.0, -0.0, 1e+21, NaN: never the look of an integer. */
function formatFloat(value: number): string {
  const text = Object.is(value, -0) ? '-0' : `${value}`
  return /^-?\d+$/.test(text) ? `${text}.0` : text
}

/** As JSON, and also without the characters behind ASCII that break a line or steer a terminal. */
function quoted(text: string): string {
  return JSON.stringify(text).replace(
    /[\x7f-\x9f\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
