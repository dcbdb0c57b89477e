import type { Plain } from '../device.ts'
import { choice } from '../options.ts'
import {
  decodeHumidityTrim,
  decodeTrim,
  fineTemperature,
  type HumidityTrim,
  humidityPercent,
  pressurePa,
} from './bosch-compensation.ts'
import type { I2cChip } from './chip.ts'
import { placeOf } from './chip-identity.ts'
import { checkedReading } from './quantities.ts'

/**
 * What the BME280 and the BMP280 have in common: they sleep until one measurement is asked for (forced mode).
 * Source: Bosch BME280 data sheet BST-BME280-DS002, 3.3 (modes), 5.3 and 5.4 (registers), the appendix on measurement time.
 *
 * | register | what |
 * | --- | --- |
 * | d0 | identification |
 * | e0 | reset, when b6 is written |
 * | f2 | bits 2…0: oversampling of the humidity; counts from the next write to f4 on |
 * | f3 | bit 3: measures, bit 0: copies its trimming |
 * | f4 | bits 7…5: oversampling of the temperature, 4…2: of the pressure, 1…0: mode, 01 = one measurement |
 * | f5 | bits 4…2: filter |
 * | f7 | pressure (20 bits, left in 3 bytes), temperature (the same), humidity (16 bits); high byte first |
 */
export const IDENTITY = 0xd0
const TRIM = 0x88
const HUMIDITY_TRIM_FIRST = 0xa1
const HUMIDITY_TRIM = 0xe1
const RESET = 0xe0
const HUMIDITY_CONTROL = 0xf2
const STATUS = 0xf3
const CONTROL = 0xf4
const CONFIG = 0xf5
const DATA = 0xf7

const MEASURING = 0x08
const COPYING = 0x01
const ONE_MEASUREMENT = 0x01
/** Start-up time, with some to spare. */
const START_MS = 3
const AGAIN_MS = 2
const ATTEMPTS = 10
/** What the chip says instead of a value that it did not measure. */
const NO_VALUE = 0x80000
const NO_HUMIDITY = 0x8000

export const temperatureRange = [-40, 85] as const
export const pressureRange = [300, 1100] as const

const times = ['x1', 'x2', 'x4', 'x8', 'x16'] as const
type Times = (typeof times)[number]

export function oversampling(quantity: string) {
  return choice(`Measurements of the ${quantity} that make one reading.`, 'x1', times)
}

export const boschOptions = {
  temperatureOversampling: oversampling('temperature'),
  pressureOversampling: oversampling('pressure'),
  filter: choice('Smoothing of pressure and temperature, against slammed doors and wind.', 'off', [
    'off',
    'x2',
    'x4',
    'x8',
    'x16',
  ]),
}

export interface BoschOptions {
  temperatureOversampling: Times
  pressureOversampling: Times
  filter: 'off' | Times
  /** Undefined: the chip has no humidity. */
  humidityOversampling?: Times
}

/** Sets up a chip of which the identity is known. */
export async function setUpBoschSensor(chip: I2cChip, options: BoschOptions) {
  const { temperatureOversampling, pressureOversampling, humidityOversampling, filter } = options
  await chip.write(RESET, 0xb6)
  await chip.wait(START_MS)
  await cleared(chip, COPYING)
  const trim = decodeTrim(await chip.readFrom(TRIM, 24))
  if (trim === undefined) {
    throw new Error(`the chip at ${placeOf(chip)} has lost its calibration: check its supply, or replace it`)
  }
  const humidityTrim = humidityOversampling === undefined ? undefined : await readHumidityTrim(chip)
  if (humidityOversampling !== undefined) await chip.write(HUMIDITY_CONTROL, code(humidityOversampling))
  await chip.write(CONFIG, filter === 'off' ? 0 : (code(filter) - 1) << 2)
  const control = (code(temperatureOversampling) << 5) | (code(pressureOversampling) << 2) | ONE_MEASUREMENT
  const measuringMs = longestMs(options)
  return {
    async read(): Promise<Readonly<Record<string, Plain>>> {
      await chip.write(CONTROL, control)
      await chip.wait(measuringMs)
      await cleared(chip, MEASURING)
      const bytes = await chip.readFrom(DATA, humidityTrim === undefined ? 6 : 8)
      const rawPressure = u20(bytes, 0)
      const rawTemperature = u20(bytes, 3)
      if (rawTemperature === NO_VALUE || rawPressure === NO_VALUE) throw new Error(forgot(chip))
      const fine = fineTemperature(trim, rawTemperature)
      const readings = {
        temperature: checkedReading(fine / 5120, temperatureRange, 'temperature', '°C'),
        pressure: checkedReading(pressurePa(trim, fine, rawPressure) / 100, pressureRange, 'pressure', 'hPa'),
      }
      if (humidityTrim === undefined) return readings
      const rawHumidity = bytes[6] * 0x100 + bytes[7]
      if (rawHumidity === NO_HUMIDITY) throw new Error(forgot(chip))
      return { ...readings, humidity: Number(humidityPercent(humidityTrim, fine, rawHumidity).toFixed(2)) }
    },
  }
}

async function readHumidityTrim(chip: I2cChip): Promise<HumidityTrim> {
  return decodeHumidityTrim(await chip.readByte(HUMIDITY_TRIM_FIRST), await chip.readFrom(HUMIDITY_TRIM, 7))
}

/** The chip has done with what a bit of its status stands for. */
async function cleared(chip: I2cChip, bit: number): Promise<void> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    if (((await chip.readByte(STATUS)) & bit) === 0) return
    await chip.wait(AGAIN_MS)
  }
  throw new Error(`the chip at ${placeOf(chip)} does not get ready: check its wires and its supply`)
}

function forgot(chip: I2cChip): string {
  return `the chip at ${placeOf(chip)} did not measure: it has lost its set-up, check its supply`
}

/** In a register: 1 is once, 5 is 16 times. */
function code(times: Times): number {
  return Math.log2(count(times)) + 1
}

function count(times: Times): number {
  return Number(times.slice(1))
}

function longestMs({ temperatureOversampling, pressureOversampling, humidityOversampling }: BoschOptions): number {
  const humidityMs = humidityOversampling === undefined ? 0 : 2.3 * count(humidityOversampling) + 0.575
  return Math.ceil(1.25 + 2.3 * count(temperatureOversampling) + 2.3 * count(pressureOversampling) + 0.575 + humidityMs)
}

function u20(bytes: Uint8Array, at: number): number {
  return bytes[at] * 0x1000 + bytes[at + 1] * 0x10 + (bytes[at + 2] >> 4)
}
