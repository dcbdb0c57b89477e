import type { Value } from '../../firmware-protocol/wire/value.ts'

/** Conversions that lose what kind of value it was, so they are made only when asked for. All default to false. */
export interface ValueOptions {
  /** Class E: `on`, `off`, `true`, `false` as bool, numeric text as f64. */
  textAsValue: boolean
  /** Class A: arrays and maps as the number of their elements. */
  listsAsCount: boolean
}

const MIN_I32 = -0x8000_0000
const MAX_I32 = 0x7fff_ffff

const WORDS: ReadonlyMap<string, boolean> = new Map([
  ['on', true],
  ['true', true],
  ['off', false],
  ['false', false],
])

/**
 * A value as the Arduino library reads it, undefined when it cannot. Never f64, whose eight bytes it copies into the four
 * of an AVR's `double`; never i8 or i16, which it does not know. Source: firmware reference §3.4, §5.3.
 */
export function arduinoValue(value: Value, { listsAsCount }: ValueOptions): Value | undefined {
  switch (value.type) {
    case 'i8':
    case 'i16':
    case 'i64': {
      const number = Number(value.value)
      if (number >= MIN_I32 && number <= MAX_I32) return { type: 'i32', value: number }
      return { type: 'f32', value: number }
    }
    case 'f64':
      return { type: 'f32', value: value.value }
    case 'array':
    case 'map':
      return listsAsCount ? { type: 'i32', value: value.value.length } : undefined
    default:
      return value
  }
}

/** A value as the embedded client reads it, undefined when it cannot: null, bool, i64, f64. Firmware reference §2.5, §5.3. */
export function embeddedValue(value: Value, { textAsValue }: ValueOptions): Value | undefined {
  switch (value.type) {
    case 'i8':
    case 'i16':
    case 'i32':
      return { type: 'i64', value: value.value }
    case 'f32':
      return { type: 'f64', value: value.value }
    case 'string':
      return textAsValue ? valueOfText(value.value) : undefined
    case 'bytes':
    case 'array':
    case 'map':
      return undefined
    default:
      return value
  }
}

function valueOfText(text: string): Value | undefined {
  const word = WORDS.get(text.trim().toLowerCase())
  if (word !== undefined) return { type: 'bool', value: word }
  const number = text.trim() === '' ? Number.NaN : Number(text)
  return Number.isFinite(number) ? { type: 'f64', value: number } : undefined
}
