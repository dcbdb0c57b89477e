import type { Value } from '../../firmware-protocol/wire/value.ts'
import { fromJs } from '../../firmware-protocol/wire/values.ts'
import { UsageError } from './command.ts'

/** Options that say what a value is. */
export const valueOptions = {
  int: { type: 'boolean', help: 'The value is an integer, up to 64 bits.' },
  float: { type: 'boolean', help: 'The value is a floating-point number; also nan, inf, -inf.' },
  bool: { type: 'boolean', help: 'The value is true or false (on, off, yes, no, 1, 0).' },
  string: { type: 'boolean', help: 'The value is text, as it is.' },
  json: { type: 'boolean', help: 'The value is JSON; numbers without a fraction become integers.' },
  bytes: { type: 'boolean', help: 'The value is hexadecimal: 00ff12.' },
  null: { type: 'boolean', help: 'Null; there is no value to give.' },
} as const

type Kind = keyof typeof valueOptions

export const VALUE_HELP =
  'Without one of the options that say what the value is, true, false, null, numbers and JSON ({…}, […], "…") are taken\n' +
  'for what they look like (5 is an integer, 5.0 a float), and everything else for text.'

/** The value that the options and the argument stand for. Throws a UsageError. */
export function inputValue(values: { readonly [K in Kind]?: boolean }, text: string | undefined): Value {
  const kinds = (Object.keys(valueOptions) as Kind[]).filter((kind) => values[kind])
  if (kinds.length > 1) throw new UsageError(`--${kinds[0]} and --${kinds[1]} exclude each other`)
  const [kind] = kinds
  if (kind === 'null') {
    if (text !== undefined) throw new UsageError(`--null takes no value, got "${text}"`)
    return { type: 'null' }
  }
  if (text === undefined) throw new UsageError('the value is missing')
  return kind === undefined ? guessValue(text) : PARSERS[kind](text)
}

/** Takes text for what it looks like. Throws a UsageError for broken JSON and for integers beyond 64 bits. */
export function guessValue(text: string): Value {
  if (text === 'true' || text === 'false') return { type: 'bool', value: text === 'true' }
  if (text === 'null') return { type: 'null' }
  if (/^[+-]?\d+$/.test(text)) return integer(text)
  if (/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) return { type: 'f64', value: Number(text) }
  return /^[[{"]/.test(text) ? json(text) : { type: 'string', value: text }
}

const PARSERS: Record<Exclude<Kind, 'null'>, (text: string) => Value> = {
  int: integer,
  float: floating,
  bool: boolean,
  string: (text) => ({ type: 'string', value: text }),
  json,
  bytes,
}

function integer(text: string): Value {
  if (!/^[+-]?\d+$/.test(text)) throw new UsageError(`"${text}" is not an integer`)
  const exact = BigInt(text.replace('+', ''))
  if (BigInt.asIntN(64, exact) !== exact) throw new UsageError(`${text} does not fit 64 bits`)
  const value = Number(exact)
  return { type: 'i64', value: Number.isSafeInteger(value) ? value : exact }
}

const SPECIAL_FLOATS: Record<string, number> = {
  nan: Number.NaN,
  inf: Number.POSITIVE_INFINITY,
  '-inf': Number.NEGATIVE_INFINITY,
}

function floating(text: string): Value {
  const value = SPECIAL_FLOATS[text.toLowerCase()] ?? (text.trim() === '' ? Number.NaN : Number(text))
  if (Number.isNaN(value) && text.toLowerCase() !== 'nan') throw new UsageError(`"${text}" is not a number`)
  return { type: 'f64', value }
}

function boolean(text: string): Value {
  const word = text.toLowerCase()
  if (['true', 'on', 'yes', '1'].includes(word)) return { type: 'bool', value: true }
  if (['false', 'off', 'no', '0'].includes(word)) return { type: 'bool', value: false }
  throw new UsageError(`"${text}" is neither true nor false`)
}

function json(text: string): Value {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch (error) {
    throw new UsageError(`this is not JSON: ${(error as Error).message}; --string takes it as text`)
  }
  return fromJs(parsed)
}

function bytes(text: string): Value {
  const digits = text.replace(/^0x/i, '').replace(/[\s:]/g, '')
  if (!/^([\da-f]{2})*$/i.test(digits)) throw new UsageError(`"${text}" is not hexadecimal bytes such as 00ff12`)
  return { type: 'bytes', value: Uint8Array.from(Buffer.from(digits, 'hex')) }
}
