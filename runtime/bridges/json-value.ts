import type { Value } from '../../firmware-protocol/wire/value.ts'
import { numberText } from '../routes/value-text.ts'

/** JSON text and CLASP values, for all protocols that carry JSON. Source: bridges.md §2.5. */

const MAX_DEPTH = 32
/** Numbers of which a JavaScript number does not tell how they were written: `5.0` is a Float, and i64 has 19 digits. */
const TELLING_NUMBER = /\d[.eE]|\d{16}/
const TOKENS = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g
/** Stands in for such numbers while JSON.parse runs; who sends it on purpose gets a number. */
const NUMBER_KEY = '\u0000'
/** Sign and digits of the longest i64; longer ones take their time as BigInt. */
const I64_CHARACTERS = 20
const I64_MIN = -(2n ** 63n)
const I64_MAX = 2n ** 63n - 1n

export const NULL: Value = { type: 'null' }

/** Undefined when the text is no JSON, or nested deeper than 32. Whole numbers become Int when they were written so. */
export function valueFromJson(text: string): Value | undefined {
  try {
    if (!TELLING_NUMBER.test(text)) return convert(JSON.parse(text), 0)
    JSON.parse(text)
    const marked = text.replace(TOKENS, (token) => (token.startsWith('"') ? token : `{"\\u0000":"${token}"}`))
    return convert(JSON.parse(marked), 0)
  } catch {
    return undefined
  }
}

/** A value that JSON.parse made, or of the same shapes. Whole numbers become Int. Undefined when it is nested too deeply. */
export function valueFromJs(input: unknown): Value | undefined {
  try {
    return convert(input, 0)
  } catch {
    return undefined
  }
}

function convert(input: unknown, depth: number): Value {
  if (depth > MAX_DEPTH) throw new RangeError('nested too deeply')
  if (typeof input === 'string') return { type: 'string', value: input }
  if (typeof input === 'boolean') return { type: 'bool', value: input }
  if (typeof input === 'number') return numberValue(input)
  if (typeof input === 'bigint') return wholeValue(input)
  // Not as a Buffer, which compares as something else.
  if (input instanceof Uint8Array) return { type: 'bytes', value: Uint8Array.from(input) }
  if (Array.isArray(input)) return { type: 'array', value: input.map((item) => convert(item, depth + 1)) }
  if (typeof input !== 'object' || input === null) return NULL
  const entries = Object.entries(input)
  if (entries.length === 1 && entries[0][0] === NUMBER_KEY && typeof entries[0][1] === 'string') {
    return writtenNumber(entries[0][1])
  }
  return { type: 'map', value: entries.map(([key, item]) => [key, convert(item, depth + 1)] as const) }
}

function numberValue(value: number): Value {
  return Number.isSafeInteger(value) && !Object.is(value, -0) ? { type: 'i64', value } : { type: 'f64', value }
}

function writtenNumber(text: string): Value {
  const isFloat = text.length > I64_CHARACTERS || /[.eE]/.test(text)
  if (!isFloat) return wholeValue(BigInt(text))
  const value = Number(text)
  // Beyond what a Float can be, or no number at all.
  if (!Number.isFinite(value)) throw new RangeError('a number is too large')
  return { type: 'f64', value }
}

function wholeValue(value: bigint): Value {
  if (value < I64_MIN || value > I64_MAX) return { type: 'f64', value: Number(value) }
  const number = Number(value)
  return { type: 'i64', value: Number.isSafeInteger(number) ? number : value }
}

/** NaN and infinities become null, bytes a list of numbers. */
export function jsonFromValue(value: Value): string {
  switch (value.type) {
    case 'null':
      return 'null'
    case 'bool':
      return value.value ? 'true' : 'false'
    case 'string':
      return JSON.stringify(value.value)
    case 'bytes':
      return `[${value.value.join(',')}]`
    case 'array':
      return `[${value.value.map(jsonFromValue).join(',')}]`
    case 'map': {
      // Of duplicate keys the last one counts.
      const members = new Map(value.value)
      return `{${[...members].map(([key, item]) => `${JSON.stringify(key)}:${jsonFromValue(item)}`).join(',')}}`
    }
    case 'i64':
      return String(value.value)
    default:
      return Number.isFinite(value.value) ? numberText(value.value) : 'null'
  }
}

/** As a JavaScript value: maps are objects, 64-bit numbers beyond 2^53 lose their last digits. */
export function jsFromValue(value: Value): unknown {
  switch (value.type) {
    case 'null':
      return null
    case 'array':
      return value.value.map(jsFromValue)
    case 'map':
      return Object.fromEntries(value.value.map(([key, item]) => [key, jsFromValue(item)]))
    case 'i64':
      return Number(value.value)
    case 'f32':
    case 'f64':
      return Number.isFinite(value.value) ? value.value : null
    default:
      return value.value
  }
}
