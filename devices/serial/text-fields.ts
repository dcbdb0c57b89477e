import type { Plain, SignalSpec } from '../device.ts'
import { choice, duration, number, optional, text } from '../options.ts'
import { rowName } from '../row-names.ts'

const LIMIT = 1e12
/** Key of the event with what is sent to the device. */
export const COMMAND = 'command'

/** Columns of the table of fields that all text formats have. */
export const fieldColumns = {
  name: rowName,
  type: choice('What it is.', 'number', ['number', 'whole', 'flag', 'text']),
  unit: text('Unit of a number, such as Cel or %.'),
  min: optional(number('Smallest value; what is below is no value.', 0, { min: -LIMIT, max: LIMIT })),
  max: optional(number('Largest value; what is above is no value.', 0, { min: -LIMIT, max: LIMIT })),
  deadband: number('Smaller changes are not told. In its unit.', 0, { min: 0, max: LIMIT }),
  heartbeat: duration('An unchanged value is told again after so long; 0s = never.', 0, {
    minMs: 0,
    maxMs: 86_400_000,
  }),
  description: text('What clients show as its description.'),
}

/** A row of that table. */
export interface TextField {
  readonly name: string
  readonly type: 'number' | 'whole' | 'flag' | 'text'
  readonly unit: string | undefined
  readonly min: number | undefined
  readonly max: number | undefined
  readonly deadband: number
  readonly heartbeat: number
  readonly description: string | undefined
}

const DATATYPES = { number: 'f64', whole: 'i64', flag: 'bool', text: 'string' } as const

/** One param for each field, by name; and what all text formats take besides. */
export function fieldSignals(fields: readonly TextField[]): Readonly<Record<string, SignalSpec>> {
  const params = fields.map(({ name, type, unit, min, max, deadband, heartbeat, description }) => {
    const spec: SignalSpec = {
      type: 'param',
      datatype: DATATYPES[type],
      access: 'r',
      unit: type === 'flag' ? 'bool' : unit,
      ...(min !== undefined && max !== undefined && { range: [min, max] }),
      description: description ?? `${name} as the device tells it`,
      pace: { deadband, heartbeatMs: heartbeat, maxRateHz: 20 },
    }
    return [name, spec] as const
  })
  const command: SignalSpec = {
    type: 'event',
    datatype: 'string',
    access: 'w',
    description: 'A line to send to the device; its end is added',
  }
  return { ...Object.fromEntries(params), [COMMAND]: command }
}

/** What contradicts itself in a field. */
export function fieldProblem({ name, min, max }: TextField): string | undefined {
  return min !== undefined && max !== undefined && min >= max
    ? `fields: min of ${name} has to be below its max`
    : undefined
}

const TRUE: readonly string[] = ['true', 'on', 'yes', '1', 'open']
const FALSE: readonly string[] = ['false', 'off', 'no', '0', 'closed', 'close']

/**
 * What a device told, as the field wants it. Null: it has no value at present, or one outside of its range. Undefined: it
 * is something else than the field is to be.
 */
export function fieldValue({ type, min, max }: TextField, told: unknown): Plain | undefined {
  if (told === null || told === '') return type === 'text' && told === '' ? '' : null
  switch (type) {
    case 'text':
      return typeof told === 'object' || told === undefined ? undefined : String(told)
    case 'flag':
      return truth(told)
    default: {
      const number = numberOf(told)
      if (number === undefined) return undefined
      if (!Number.isFinite(number) || number < (min ?? number) || number > (max ?? number)) return null
      return type === 'whole' ? Math.round(number) : number
    }
  }
}

function truth(told: unknown): boolean | undefined {
  if (typeof told === 'boolean') return told
  if (typeof told === 'number') return told !== 0
  const word = typeof told === 'string' ? told.trim().toLowerCase() : ''
  return TRUE.includes(word) ? true : FALSE.includes(word) ? false : undefined
}

/** NaN for what devices say when a sensor has no value. */
function numberOf(told: unknown): number | undefined {
  if (typeof told === 'number') return told
  if (typeof told !== 'string') return undefined
  const text = told.trim()
  if (/^[+-]?(nan|inf|infinity)$/i.test(text)) return Number.NaN
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : undefined
}
