import type { SignalSpec } from '../device.ts'
import {
  chipAddress,
  choice,
  number,
  type OptionsOf,
  optional,
  required,
  requiredText,
  table,
  text,
  whole,
} from '../options.ts'
import { nameProblem, rowName } from '../row-names.ts'
import { type BitField, byteCount, isFloat, rawRange, rawValue, registerTypes } from './register-value.ts'
import { i2cSensor } from './sensor-kind.ts'

const LIMIT = 1e12
const HEARTBEAT_MS = 60_000
/** Digits that are worth something: of a float with 32 bits, and after multiplying with a decimal fraction. */
const FLOAT_DIGITS = 7
const SCALED_DIGITS = 12
/** All that a chip may have: the others mean something else. Source: UM10204 (I2C-bus specification), reserved addresses. */
const ADDRESSES = Array.from({ length: 0x78 - 0x08 }, (_, i) => 0x08 + i)
const HEX_BYTES = /^[\da-f]{2}(?: ?[\da-f]{2}){0,31}$/i

const columns = {
  name: rowName,
  register: required(whole('Its number.', 0, { min: 0, max: 0xff })),
  type: choice(
    'What it holds: u unsigned, s signed, f float, bits, high (be) or low (le) byte first.',
    'u8',
    registerTypes,
  ),
  bit: optional(whole('Only some bits of it count: the lowest one; 0 is the last of all.', 0, { min: 0, max: 31 })),
  bits: whole('How many count from there.', 1, { min: 1, max: 32 }),
  scale: number('The value is what it holds times this.', 1, { min: -LIMIT, max: LIMIT }),
  offset: number('Is added to that.', 0, { min: -LIMIT, max: LIMIT }),
  unit: text('Unit of the value, such as V or Cel.'),
  min: optional(number('Smallest value; what is below is no value.', 0, { min: -LIMIT, max: LIMIT })),
  max: optional(number('Largest value; what is above is no value.', 0, { min: -LIMIT, max: LIMIT })),
  deadband: number('Smaller changes are not told. In its unit.', 0, { min: 0, max: LIMIT }),
  description: text('What clients show as its description.'),
}

const setupColumns = {
  register: required(whole('Its number.', 0, { min: 0, max: 0xff })),
  bytes: requiredText(
    'What is written there, hexadecimal and in quotes: 18, or 00 18 in the order in which they are sent.',
  ),
}

type Row = OptionsOf<typeof columns>

/**
 * A chip without a driver of its own whose readings are in registers: thermometers such as LM75 and TMP102, light sensors
 * such as VEML7700, power monitors such as INA226. It is only read: what would be an output needs a driver that knows what
 * is safe. Source: bridges.md §20.7; registers from the data sheet of the chip.
 */
export const i2cRegisters = i2cSensor({
  kind: 'i2c-registers',
  description: 'Any I2C chip whose readings are in registers, by a table of these.',
  addresses: ADDRESSES,
  options: {
    chipAddress: required(chipAddress(ADDRESSES)),
    setup: table('What the chip is told when it is opened, in this order.', setupColumns),
    registers: table('What is read.', columns),
  },
  sampleMs: 1000,
  signals: ({ registers }) => Object.fromEntries(registers.map((row) => [row.name, signalOf(row)])),
  check({ registers, setup }) {
    if (registers.length === 0) return 'registers: at least one is needed'
    const odd = setup.find(({ bytes }) => !HEX_BYTES.test(bytes))
    if (odd !== undefined) return `setup: ${odd.bytes} is not up to 32 bytes in hexadecimal, such as 00 18`
    for (const row of registers) {
      const problem = rowProblem(row)
      if (problem !== undefined) return `registers: ${row.name}: ${problem}`
    }
    return nameProblem(registers.map((row) => ({ name: row.name, place: placeOf(row) })))
  },
  async setUp(chip, { options }) {
    for (const { register, bytes } of options.setup) {
      await chip.write(register, ...Buffer.from(bytes.replaceAll(' ', ''), 'hex'))
    }
    return {
      async read() {
        const readings: Record<string, number | boolean | null> = {}
        for (const row of options.registers) {
          const bytes = await chip.readFrom(row.register, byteCount(row.type))
          readings[row.name] = readingOf(row, rawValue(bytes, row.type, fieldOf(row)))
        }
        return readings
      },
    }
  },
})

function fieldOf({ bit, bits }: Row): BitField | undefined {
  return bit === undefined ? undefined : { bit, bits }
}

/** One bit is a truth. */
function isFlag({ bit, bits }: Row): boolean {
  return bit !== undefined && bits === 1
}

/** For words about it: two rows may read one register, but not the same of it. */
function placeOf({ register, type, bit, bits }: Row): string {
  const part = bit === undefined ? '' : ` bit ${bit}${bits > 1 ? `…${bit + bits - 1}` : ''}`
  return `the ${type} in register 0x${register.toString(16).padStart(2, '0')}${part}`
}

function rowProblem(row: Row): string | undefined {
  const { type, bit, bits, scale, min, max } = row
  if (scale === 0) return 'scale is 0'
  if (min !== undefined && max !== undefined && min >= max) return 'min has to be below max'
  if (bit === undefined && bits > 1) return 'bits count from a bit: say which one is the lowest'
  if (bit !== undefined && isFloat(type)) return 'a float has no bits that count alone'
  const most = byteCount(type) * 8
  if (bit !== undefined && bit + bits > most) return `${type} has the bits 0 to ${most - 1} only`
  const [lowest, highest] = endsOf(row) ?? [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY]
  if (isFlag(row) || ((min ?? lowest) <= highest && (max ?? highest) >= lowest)) return undefined
  return `min and max leave no value: it can be ${lowest} to ${highest}`
}

function readingOf(row: Row, raw: number): number | boolean | null {
  // In a signed type, one that is set is -1.
  if (isFlag(row)) return raw !== 0
  const { scale, offset, type, min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY } = row
  const value = Number((raw * scale + offset).toPrecision(isFloat(type) ? FLOAT_DIGITS : SCALED_DIGITS))
  // NaN is outside as well.
  return value >= min && value <= max ? value : null
}

function signalOf(row: Row): SignalSpec {
  const { name, unit, scale, offset, type, deadband, description } = row
  const isWhole = !isFloat(type) && Number.isInteger(scale) && Number.isInteger(offset)
  const range = rangeOf(row)
  return {
    type: 'param',
    datatype: isFlag(row) ? 'bool' : isWhole ? 'i64' : 'f64',
    access: 'r',
    unit: isFlag(row) ? 'bool' : unit,
    ...(range !== undefined && { range }),
    description: description ?? `${name}: ${placeOf(row)}`,
    pace: { deadband, heartbeatMs: HEARTBEAT_MS },
  }
}

/** Where the configuration does not tell both ends, what the bits can hold. */
function rangeOf(row: Row): readonly [min: number, max: number] | undefined {
  if (isFlag(row)) return [0, 1]
  const ends = endsOf(row)
  const min = row.min ?? ends?.[0]
  const max = row.max ?? ends?.[1]
  return min === undefined || max === undefined ? undefined : [min, max]
}

/** The values that it can have, whatever the configuration takes for one; of floats undefined. */
function endsOf(row: Row): readonly [min: number, max: number] | undefined {
  const raw = rawRange(row.type, fieldOf(row))
  if (raw === undefined) return undefined
  const ends = raw.map((end) => end * row.scale + row.offset)
  return [Math.min(...ends), Math.max(...ends)]
}
