import type { Value } from '../../../firmware-protocol/wire/value.ts'
import { float, int, isFloat, isInt, numberOf, numericStep, truncated } from '../numbers.ts'
import type { Settings } from '../settings.ts'
import type { Step } from '../step.ts'
import { scalarText } from '../value-text.ts'
import type { TransformTable } from './transform.ts'
import { unitConversion, unitNames } from './units.ts'

/** From one type to another. Source: bridges.md §18.3. */

const TRUE = new Set(['true', 'on', '1'])
const FALSE = new Set(['false', 'off', '0'])

const toInt: Step = {
  run(value, _state, moment) {
    if (isInt(value)) return value.type === 'i64' ? value : int(value.value)
    const number = numberOf(value, moment)
    return number === undefined ? value : int(truncated(number))
  },
}

const toFloat: Step = numericStep((number) => number)

/** By the text of a number, Bool or String; see `scalarText`. */
function lookup(table: ReadonlyMap<string, Value>, otherwise: Value | undefined): Step {
  const reversed = new Map<string, Value>()
  for (const [key, value] of table) {
    const text = scalarText(value)
    if (text !== undefined) reversed.set(text, keyValue(key))
  }
  return {
    run(value) {
      const key = scalarText(value)
      return (key === undefined ? undefined : table.get(key)) ?? otherwise ?? value
    },
    // Two entries with one result have no way back.
    ...(reversed.size === table.size && { inverse: () => lookup(reversed, undefined) }),
  }
}

/** What a key was before it was text. */
function keyValue(key: string): Value {
  if (key === 'true' || key === 'false') return { type: 'bool', value: key === 'true' }
  if (/^-?(0|[1-9]\d{0,14})$/.test(key)) return int(Number(key))
  return /^-?\d{1,15}\.\d{1,15}$/.test(key) ? float(Number(key)) : { type: 'string', value: key }
}

function readLookup(settings: Settings): Step {
  const node = settings.source('table')
  const entries = node?.entries()
  if (entries === undefined) {
    settings.problem(node ?? settings.node, 'it has no table', 'expected table: {key: value}')
    return lookup(new Map(), undefined)
  }
  const table = new Map(entries.map(({ key, node: given }) => [key, settings.value(given)] as const))
  return lookup(table, settings.has('default') ? settings.value(settings.source('default')) : undefined)
}

function readMapType(settings: Settings): Step {
  // What it comes from is seen.
  settings.has('fromType')
  const type = settings.choice('toType', ['int', 'float', 'bool', 'string'])
  const convert = { int: asInt, float: asFloat, bool: asBool, string: asText }[type]
  return { run: (value) => convert(value) ?? value }
}

function asInt(value: Value): Value | undefined {
  if (isInt(value)) return value
  if (isFloat(value)) return int(truncated(value.value))
  if (value.type !== 'string' || !/^[+-]?\d{1,19}$/.test(value.value)) return undefined
  const whole = BigInt(value.value.replace(/^\+/, ''))
  return BigInt.asIntN(64, whole) === whole ? int(whole) : undefined
}

function asFloat(value: Value): Value | undefined {
  const number = numberOf(value)
  if (number !== undefined) return float(number)
  const isNumber = value.type === 'string' && /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?$/.test(value.value)
  return isNumber && Number.isFinite(Number(value.value)) ? float(Number(value.value)) : undefined
}

function asBool(value: Value): Value | undefined {
  const number = numberOf(value)
  if (number !== undefined) return { type: 'bool', value: number !== 0 }
  const word = value.type === 'string' ? value.value.toLowerCase() : ''
  if (TRUE.has(word)) return { type: 'bool', value: true }
  return FALSE.has(word) ? { type: 'bool', value: false } : undefined
}

function asText(value: Value): Value | undefined {
  const text = scalarText(value)
  return text === undefined ? undefined : { type: 'string', value: text }
}

function readUnit(settings: Settings): Step {
  const from = settings.choice('from', unitNames)
  const to = settings.choice('to', unitNames)
  const there = unitConversion(from, to)
  const back = unitConversion(to, from)
  if (there === undefined || back === undefined) {
    settings.problem(settings.node, `${from} cannot become ${to}`, 'name two units of the same quantity')
    return toFloat
  }
  const step = (): Step => numericStep(there, () => numericStep(back, step))
  return step()
}

export const conversion: TransformTable = {
  to_int: () => toInt,
  to_float: () => toFloat,
  lookup: readLookup,
  map_type: readMapType,
  unit: readUnit,
}
