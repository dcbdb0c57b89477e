import { isUtf8 } from 'node:buffer'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import { numberText } from '../../routes/value-text.ts'
import { jsonFromValue, valueFromJson } from '../json-value.ts'

/**
 * | mode | value of a payload |
 * |---|---|
 * | auto | JSON, else a decimal number, else text; bytes when it is not UTF-8 |
 * | json | JSON; everything else is refused |
 * | raw | text as it is; bytes when it is not UTF-8 |
 * | string | always text |
 * | bytes | always bytes |
 */
export const PAYLOAD_MODES = ['auto', 'json', 'raw', 'string', 'bytes'] as const
export type PayloadMode = (typeof PAYLOAD_MODES)[number]

/** Decimal numbers that are not JSON: `007`, `+5`, `.5`, `5.` */
const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/
/** As JSON writes them, fraction and exponent apart. */
const JSON_NUMBER = /^-?(?:0|[1-9]\d*)((?:\.\d+)?(?:[eE][+-]?\d+)?)$/
/** Digits that are always a safe integer. */
const SAFE_CHARACTERS = 15
/** Longer ones are no i64. */
const I64_CHARACTERS = 20
const NUMERIC_WORD = /^([+-]?)(inf|infinity|nan)$/i

/** Undefined: the mode does not allow it. `hasNumericWords`: `nan` and `inf` are numbers. Source: bridges.md §9.2. */
export function valueFromPayload(payload: Buffer, mode: PayloadMode, hasNumericWords: boolean): Value | undefined {
  if (mode === 'bytes' || (mode !== 'string' && !isUtf8(payload))) {
    return mode === 'json' ? undefined : { type: 'bytes', value: Uint8Array.from(payload) }
  }
  const text = payload.toString('utf8')
  if (mode === 'raw' || mode === 'string' || (mode === 'auto' && text === '')) return { type: 'string', value: text }
  const value = numberFromJson(text) ?? valueFromJson(text)
  if (value !== undefined || mode === 'json') return value
  if (NUMBER.test(text)) return { type: 'f64', value: Number(text) }
  const word = hasNumericWords ? NUMERIC_WORD.exec(text) : null
  if (word !== null) {
    const size = word[2].toLowerCase() === 'nan' ? Number.NaN : Number.POSITIVE_INFINITY
    return { type: 'f64', value: word[1] === '-' ? -size : size }
  }
  return { type: 'string', value: text }
}

/** What most payloads are, in a quarter of the time that `valueFromJson` takes; undefined: that has to say. */
function numberFromJson(text: string): Value | undefined {
  const written = JSON_NUMBER.exec(text)
  if (written === null) return undefined
  const value = Number(text)
  const isFloat = written[1] !== '' || text.length > I64_CHARACTERS
  if (isFloat) return Number.isFinite(value) ? { type: 'f64', value } : undefined
  return text.length <= SAFE_CHARACTERS && text !== '-0' ? { type: 'i64', value } : undefined
}

/** Bytes and text as they are, the rest as JSON. `quotesStrings`: text as JSON too. Source: bridges.md §9.3. */
export function payloadFromValue(value: Value, quotesStrings: boolean): Buffer {
  switch (value.type) {
    case 'bytes':
      return Buffer.from(value.value)
    case 'string':
      return Buffer.from(quotesStrings ? JSON.stringify(value.value) : value.value)
    case 'f32':
    case 'f64':
      return Buffer.from(floatText(value.value))
    default:
      return Buffer.from(jsonFromValue(value))
  }
}

function floatText(value: number): string {
  if (Number.isNaN(value)) return 'NaN'
  if (Number.isFinite(value)) return numberText(value)
  return value > 0 ? 'inf' : '-inf'
}
