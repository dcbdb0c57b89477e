import type { Plain, SignalSpec } from '../device.ts'
import { type FailSafeOptions, failSafeProblem, gradualFailSafeOptions } from '../fail-safe.ts'
import { choice, duration, number, optional, required, text, whole } from '../options.ts'
import { rowName } from '../row-names.ts'
import type { Area } from './modbus-pdu.ts'

const LIMIT = 1e12
const DAY_MS = 86_400_000

export type RegisterType = 'bool' | 'u16' | 's16' | 'u32' | 's32' | 'f32'

/** Columns of the table of registers. */
export const registerColumns = {
  name: rowName,
  slave: whole('Address of the slave that it belongs to.', 1, { min: 1, max: 247 }),
  area: choice('holding = 4xxxx, input = 3xxxx, discrete = 1xxxx, coil = 0xxxx of the manual.', 'holding', [
    'coil',
    'discrete',
    'holding',
    'input',
  ]),
  register: required(
    whole('Its number, from 0: what a manual calls 40001 is 0 of the holding ones.', 0, { min: 0, max: 65_535 }),
  ),
  type: optional(
    choice('What it holds; bool for coils and for a bit, else u16.', 'u16', [
      'bool',
      'u16',
      's16',
      'u32',
      's32',
      'f32',
    ]),
  ),
  words: choice('Which of two registers comes first: that with the high bits, or that with the low ones.', 'high', [
    'high',
    'low',
  ]),
  bit: optional(whole('A single bit of the register; 0 is the lowest.', 0, { min: 0, max: 15 })),
  scale: number('The value is what it holds times this.', 1, { min: -LIMIT, max: LIMIT }),
  offset: number('Is added to that.', 0, { min: -LIMIT, max: LIMIT }),
  unit: text('Unit of the value, such as V or Cel.'),
  every: duration('Time between readings.', 1000, { minMs: 10, maxMs: DAY_MS }),
  access: choice('rw = clients may write it.', 'r', ['r', 'rw']),
  min: optional(number('Smallest value, in its unit.', 0, { min: -LIMIT, max: LIMIT })),
  max: optional(number('Largest value, in its unit.', 0, { min: -LIMIT, max: LIMIT })),
  deadband: number('Smaller changes are not told. In its unit.', 0, { min: 0, max: LIMIT }),
  safe: optional(
    number('Written at the start, at a stop, and when it has to be safe; it is left as it is when there is none.', 0, {
      min: -LIMIT,
      max: LIMIT,
    }),
  ),
  ...gradualFailSafeOptions,
  description: text('What clients show as its description.'),
}

/** A row of that table. */
export interface Register extends FailSafeOptions {
  readonly name: string
  readonly slave: number
  readonly area: Area
  readonly register: number
  readonly type: RegisterType | undefined
  readonly words: 'high' | 'low'
  readonly bit: number | undefined
  readonly scale: number
  readonly offset: number
  readonly unit: string | undefined
  readonly every: number
  readonly access: 'r' | 'rw'
  readonly min: number | undefined
  readonly max: number | undefined
  readonly deadband: number
  readonly safe: number | undefined
  readonly description: string | undefined
}

const LIMITS: Readonly<Record<Exclude<RegisterType, 'f32'>, readonly [number, number]>> = {
  bool: [0, 1],
  u16: [0, 0xffff],
  s16: [-0x8000, 0x7fff],
  u32: [0, 0xffff_ffff],
  s32: [-0x8000_0000, 0x7fff_ffff],
}
/** Digits that are worth something: of 32 bits, and after multiplying with a decimal fraction. */
const FLOAT_DIGITS = 7
const SCALED_DIGITS = 12

export function isBits({ area }: Register): boolean {
  return area === 'coil' || area === 'discrete'
}

export function typeOf(row: Register): RegisterType {
  return isBits(row) || row.bit !== undefined ? 'bool' : (row.type ?? 'u16')
}

/** Registers that it takes, 1 or 2. */
export function wordCount(row: Register): number {
  return ['u32', 's32', 'f32'].includes(typeOf(row)) ? 2 : 1
}

export function registerSignal(row: Register): SignalSpec {
  const { name, unit, min, max, access, scale, offset, deadband, every, safe } = row
  const type = typeOf(row)
  const isWhole = type !== 'f32' && Number.isInteger(scale) && Number.isInteger(offset)
  const described = row.description ?? `${name}: ${row.area} ${row.register} of slave ${row.slave}`
  return {
    type: 'param',
    datatype: type === 'bool' ? 'bool' : isWhole ? 'i64' : 'f64',
    access,
    unit: type === 'bool' ? 'bool' : unit,
    ...(type === 'bool' ? { range: [0, 1] } : min !== undefined && max !== undefined && { range: [min, max] }),
    description: safe === undefined ? described : `${described}; safe=${safe}`,
    // A value that is written has no time to live.
    pace: { deadband, heartbeatMs: access === 'r' ? Math.max(60_000, every) : 0 },
  }
}

/** One of its limits alone makes no range, and holds all the same. */
export function withinLimits(row: Register, value: Plain): Plain {
  const { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY } = row
  return typeof value === 'number' ? Math.min(max, Math.max(min, value)) : value
}

/** Whether the runtime looks after it as an output. */
export function isOutput({ safe, initial }: Register): boolean {
  return safe !== undefined || initial === 'last'
}

/** An option that is of no use without a safe value; undefined: none is set. */
function needsSafe({ deadman, ownerTimeout, onHubLoss, requires }: Register): string | undefined {
  if (deadman > 0) return 'deadman'
  if (ownerTimeout > 0) return 'ownerTimeout'
  if (onHubLoss === 'safe') return 'onHubLoss'
  return requires === undefined ? undefined : 'requires'
}

/** What contradicts itself in a row; undefined: nothing. */
export function registerProblem(row: Register): string | undefined {
  const { name, type, area, bit, register, access, min, max, safe, scale, initial } = row
  const said = (what: string) => `registers: ${name}: ${what}`
  if (isBits(row) && bit !== undefined) return said(`a ${area} has no bits`)
  if (isBits(row) && type !== undefined && type !== 'bool') return said(`a ${area} is a bool, not ${type}`)
  if (!isBits(row) && type === 'bool' && bit === undefined) return said('bool needs the bit of the register')
  if (bit !== undefined && type !== undefined && type !== 'bool') return said(`a bit is a bool, not ${type}`)
  if (register + wordCount(row) > 0x10000) return said('its second register would be 65536')
  if (access === 'rw' && (area === 'discrete' || area === 'input')) return said(`a ${area} cannot be written`)
  if (access === 'r' && safe !== undefined) return said('safe needs access: rw')
  const idle = safe === undefined ? needsSafe(row) : undefined
  if (idle !== undefined) return said(`${idle} needs safe`)
  if (access === 'r' && initial === 'last') return said('initial: last needs access: rw')
  const problem = failSafeProblem(row)
  if (problem !== undefined) return said(problem)
  if (scale === 0) return said('scale is 0')
  return min !== undefined && max !== undefined && min >= max ? said('min has to be below max') : undefined
}

/** What a client sees of the contents of its registers or bit; null: no number. */
export function decodeRegister(row: Register, words: readonly number[]): Plain {
  const { bit, scale, offset } = row
  const type = typeOf(row)
  if (type === 'bool') return ((words[0] >> (bit ?? 0)) & 1) === 1
  const raw = rawOf(row, type, words)
  if (!Number.isFinite(raw)) return null
  return Number((raw * scale + offset).toPrecision(type === 'f32' ? FLOAT_DIGITS : SCALED_DIGITS))
}

function rawOf({ words: order }: Register, type: RegisterType, words: readonly number[]): number {
  if (type === 's16') return (words[0] << 16) >> 16
  if (words.length === 1) return words[0]
  const [high, low] = order === 'high' ? words : [words[1], words[0]]
  const view = new DataView(new ArrayBuffer(4))
  view.setUint16(0, high)
  view.setUint16(2, low)
  return type === 'f32' ? view.getFloat32(0) : type === 's32' ? view.getInt32(0) : view.getUint32(0)
}

/** Contents of its registers for a value; `before` is what they hold, for a bit among others. Of coils 0 or 1. */
export function encodeRegister(row: Register, value: Plain, before: readonly number[] = [0]): number[] {
  const { bit, scale, offset, words: order } = row
  const type = typeOf(row)
  const number = Number(value)
  if (type === 'bool') {
    if (bit === undefined) return [number === 0 ? 0 : 1]
    return [number === 0 ? before[0] & ~(1 << bit) : before[0] | (1 << bit)]
  }
  const view = new DataView(new ArrayBuffer(4))
  const raw = (number - offset) / scale
  if (type === 'f32') view.setFloat32(0, raw)
  else {
    const [lowest, highest] = LIMITS[type]
    view.setInt32(0, Math.min(highest, Math.max(lowest, Math.round(raw))))
  }
  const [high, low] = [view.getUint16(0), view.getUint16(2)]
  if (wordCount(row) === 1) return [low]
  return order === 'high' ? [high, low] : [low, high]
}
