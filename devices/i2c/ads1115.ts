import type { Plain, SignalSpec } from '../device.ts'
import { choice, name, number, type OptionsOf, optional, table, text, whole } from '../options.ts'
import { nameProblem } from '../row-names.ts'
import { type I2cChip, s16be, u16be } from './chip.ts'
import { i2cSensor } from './sensor-kind.ts'

/**
 * Registers, 16 bits each, high byte first:
 * 00 conversion, signed, ±32768 is full scale; the four low bits of an ADS1015 are 0.
 * 01 configuration: 15 start (reads as 1 while nothing converts), 14…12 input, 11…9 full scale, 8 single shot,
 *    7…5 data rate, 4…0 comparator (00011 = off). 8583 after power-up.
 */
const CONVERSION = 0x00
const CONFIGURATION = 0x01

const START = 0x8000
const SINGLE_SHOT = 0x0100
const COMPARATOR_OFF = 0x0003

/** By their three bits. */
const INPUTS = ['A0-A1', 'A0-A3', 'A1-A3', 'A2-A3', 'A0', 'A1', 'A2', 'A3'] as const
const FULL_SCALES_V = [6.144, 4.096, 2.048, 1.024, 0.512, 0.256]
const RATES_HZ = {
  ads1115: [8, 16, 32, 64, 128, 250, 475, 860],
  ads1015: [128, 250, 490, 920, 1600, 2400, 3300],
}
/** Its oscillator may be slower by a tenth. */
const SLOWEST = 1.1
/** Out of power-down, before it converts. */
const WAKE_UP_MS = 0.03
const POLLS = 5
const POLL_MS = 1
/** NAMUR NE 43: a loop of 4…20 mA is broken below, and shorted above (bridges.md §20.3). */
const LOOP_MA = { low: 4, high: 20, broken: 3.6, shorted: 21 }
const DEADBAND = 0.002
const HEARTBEAT_MS = 60_000

const columns = {
  name: name('Its last level in the address; without it the channel is the device itself.'),
  input: choice('What is measured: one input against ground, or the difference of two.', 'A0', INPUTS),
  range: number('Full scale, plus and minus; the next higher one of 0.256, 0.512, 1.024, 2.048, 4.096, 6.144.', 4.096, {
    min: 0.01,
    max: 6.144,
    unit: 'V',
  }),
  rate: whole('Conversions a second; slower ones are quieter. The next higher one that the chip has.', 128, {
    min: 8,
    max: 3300,
  }),
  shunt: optional(
    number('Of a current loop of 4 to 20 mA: the resistor that its current flows through.', 0, {
      min: 1,
      max: 10_000,
      unit: 'Ω',
    }),
  ),
  fromLow: optional(limit('Voltage (of a loop: mA) that stands for `toLow`.')),
  fromHigh: optional(limit('Voltage (of a loop: mA) that stands for `toHigh`.')),
  toLow: optional(limit('What is told then.')),
  toHigh: optional(limit('What is told then.')),
  unit: text('Of what is told, for example bar; V or mA when it is not scaled.'),
  deadband: optional(
    number('Smaller changes are not told. 0.2 % of the range when left out.', 0, { min: 0, max: 1e9 }),
  ),
}

type Channel = OptionsOf<typeof columns>

/**
 * ADS1115 (16 bits) and ADS1015 (12 bits): four voltages, or differences of two. The inputs must stay between ground and
 * the supply of the chip whatever the full scale is. They convert once a reading and sleep in between.
 * Source: Texas Instruments SBAS444 (ADS1115) and SBAS473 (ADS1015), sections on the multiplexer, the full-scale range, the
 * data rate and the register map.
 */
export const ads1115 = i2cSensor({
  kind: 'ads1115',
  description: 'An analogue-digital converter with four inputs (ADS1115, ADS1015).',
  namespace: 'adc',
  addresses: [0x48, 0x49, 0x4a, 0x4b],
  sampleMs: 100,
  options: {
    model: choice('Which of the two it is.', 'ads1115', ['ads1115', 'ads1015']),
    channels: table('What it measures.', columns),
  },
  check({ model, channels }) {
    if (channels.length === 0) return 'channels is empty: name at least one, such as {name: tank, input: A0}'
    if (channels.filter(({ name }) => name === undefined).length > 1) return 'only one channel can do without a name'
    const problem = nameProblem(channels.map(({ name = '' }, at) => ({ name, place: `channel ${at + 1}` })))
    if (problem !== undefined) return problem
    const fastest = RATES_HZ[model][RATES_HZ[model].length - 1]
    for (const channel of channels) {
      const { fromLow, fromHigh, toLow, toHigh, rate } = channel
      const who = `channel ${channel.name ?? channel.input}`
      if (rate > fastest) return `${who}: an ${model} converts at most ${fastest} times a second`
      const loopV = ((channel.shunt ?? 0) * LOOP_MA.high) / 1000
      if (loopV > fullScale(channel)) {
        return `${who}: ${LOOP_MA.high} mA at ${channel.shunt} Ω are ${loopV.toFixed(2)} V: take a higher range, or a smaller shunt`
      }
      if ((toLow === undefined) !== (toHigh === undefined)) return `${who}: toLow and toHigh go together`
      if ((fromLow === undefined) !== (fromHigh === undefined)) return `${who}: fromLow and fromHigh go together`
      if (fromLow !== undefined && toLow === undefined) return `${who}: fromLow and fromHigh need toLow and toHigh`
      if (fromLow !== undefined && fromLow === fromHigh) return `${who}: fromLow and fromHigh are the same`
      if (toLow !== undefined && toLow === toHigh) return `${who}: toLow and toHigh are the same`
      if (fromLow === undefined && toLow !== undefined && channel.shunt === undefined) {
        return `${who}: toLow and toHigh need fromLow and fromHigh`
      }
    }
    return undefined
  },
  signals: ({ channels }) => Object.fromEntries(channels.map((channel) => [channel.name ?? '', signalOf(channel)])),
  async setUp(chip, { options, problem }) {
    const { model, channels } = options
    await identify(chip)
    const troubles = new Map<Channel, string>()
    const told = (channel: Channel, trouble: Trouble | undefined) => {
      if (trouble !== undefined && troubles.get(channel) !== trouble.code) {
        problem(trouble.code, `${channel.name ?? channel.input}: ${trouble.message}`)
      }
      if (trouble === undefined) troubles.delete(channel)
      else troubles.set(channel, trouble.code)
    }
    return {
      async read() {
        const readings: Record<string, Plain> = {}
        for (const channel of channels) {
          const code = await convert(chip, channel, RATES_HZ[model])
          const trouble = troubleOf(channel, code)
          told(channel, trouble)
          readings[channel.name ?? ''] = trouble === undefined ? reading(channel, code) : null
        }
        return readings
      },
    }
  },
})

/** It has no number that tells what it is; but all bits of its configuration can be written, as those of few others. */
async function identify(chip: I2cChip): Promise<void> {
  for (const probe of [0x0103, 0x01e3]) {
    await chip.write(CONFIGURATION, probe >> 8, probe & 0xff)
    const kept = u16be(await chip.readFrom(CONFIGURATION, 2)) & ~START
    if (kept !== probe) throw new Error('what answers is no ADS1115 or ADS1015: check chipAddress')
  }
}

/** One conversion; the bus is free while it lasts. */
async function convert(chip: I2cChip, channel: Channel, rates: readonly number[]): Promise<number> {
  const rate = rates.findIndex((hz) => hz >= channel.rate)
  const configuration =
    (INPUTS.indexOf(channel.input) << 12) | (gainOf(channel) << 9) | SINGLE_SHOT | (rate << 5) | COMPARATOR_OFF
  await chip.write(CONFIGURATION, (configuration | START) >> 8, configuration & 0xff)
  await chip.wait((1000 / rates[rate]) * SLOWEST + WAKE_UP_MS)
  for (let poll = 0; poll < POLLS; poll++) {
    const status = u16be(await chip.readFrom(CONFIGURATION, 2))
    if ((status & ~START) !== configuration) {
      throw new Error('the converter forgot what it was told: check its supply, and whether somebody else uses it')
    }
    if ((status & START) !== 0) return s16be(await chip.readFrom(CONVERSION, 2))
    await chip.wait(POLL_MS)
  }
  throw new Error(`the converter does not finish ${channel.input}: check its supply, or take it off and on`)
}

interface Trouble {
  code: string
  message: string
}

function troubleOf(channel: Channel, code: number): Trouble | undefined {
  const { shunt } = channel
  // 7ff0 is full scale with 12 bits.
  if (code >= 0x7ff0 || code === -0x8000) {
    return { code: 'range', message: `${channel.input} is beyond ±${fullScale(channel)} V: take a higher range` }
  }
  if (shunt === undefined) return undefined
  const ma = inputOf(channel, code)
  if (ma >= LOOP_MA.broken && ma <= LOOP_MA.shorted) return undefined
  const fault = ma < LOOP_MA.broken ? 'broken' : 'shorted'
  const shown = Math.round(ma * 100) / 100
  return { code: 'loop', message: `${shown} mA: the loop is ${fault}, or its sensor says that it failed` }
}

/** Volts; of a loop, mA. */
function inputOf(channel: Channel, code: number): number {
  const volts = (code * fullScale(channel)) / 0x8000
  return channel.shunt === undefined ? volts : (volts / channel.shunt) * 1000
}

function reading(channel: Channel, code: number): number {
  const input = inputOf(channel, code)
  const { toLow, toHigh } = channel
  // Without the tail of a binary fraction.
  if (toLow === undefined || toHigh === undefined) return Number(input.toPrecision(7))
  const [fromLow, fromHigh] = fromOf(channel)
  return Number((toLow + ((input - fromLow) / (fromHigh - fromLow)) * (toHigh - toLow)).toPrecision(7))
}

function fromOf({ fromLow = LOOP_MA.low, fromHigh = LOOP_MA.high }: Channel): readonly [number, number] {
  return [fromLow, fromHigh]
}

function gainOf({ range }: Channel): number {
  return FULL_SCALES_V.findLastIndex((volts) => volts >= range)
}

function fullScale(channel: Channel): number {
  return FULL_SCALES_V[gainOf(channel)]
}

function signalOf(channel: Channel): SignalSpec {
  const { input, shunt, unit, toLow, toHigh, deadband } = channel
  const volts = fullScale(channel)
  const plain: readonly [number, number] =
    shunt !== undefined ? [LOOP_MA.broken, LOOP_MA.shorted] : [input.includes('-') ? -volts : 0, volts]
  const range: readonly [number, number] =
    toLow === undefined || toHigh === undefined ? plain : [Math.min(toLow, toHigh), Math.max(toLow, toHigh)]
  return {
    type: 'param',
    datatype: 'f64',
    access: 'r',
    unit: unit ?? (toLow !== undefined ? '1' : shunt !== undefined ? 'mA' : 'V'),
    range,
    description: `${shunt !== undefined ? 'Current loop' : 'Voltage'} at ${input}${toLow === undefined ? '' : ', scaled'}`,
    pace: { deadband: deadband ?? (range[1] - range[0]) * DEADBAND, heartbeatMs: HEARTBEAT_MS },
  }
}

function limit(description: string) {
  return number(description, 0, { min: -1e9, max: 1e9 })
}
