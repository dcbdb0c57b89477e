import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { readAttribute, readNumber, SysfsError } from '../kernel/sysfs-file.ts'

const TEMPERATURE = 'temperature'
/** Kernels before 5.8 have only this one. */
const SCRATCHPAD = 'w1_slave'
/** Of all families but the thermocouple converters: data sheet of the DS18B20, "-55°C to +125°C". */
export const RANGE_C = [-55, 125] as const
/** Data sheet of the DS18B20, table 1: the temperature register after power-on reset. */
const POWER_ON_C = 85
/** No air or water warms up faster between two readings. */
const NEAR_C = 5
/** Byte 4 of the scratchpad, of which bits 0 to 4 are always 1; data sheet of the DS18B20, "Configuration Register". */
const CONFIGURATION_BYTE = 4

/** Whether the module for thermometers is loaded, and has taken the sensor. */
export async function hasDriver(folder: string): Promise<boolean> {
  const files = [TEMPERATURE, SCRATCHPAD].map((name) => access(join(folder, name)))
  return Promise.any(files).then(
    () => true,
    () => false,
  )
}

/**
 * Lets the sensor convert, unless it has just done so with all others, and takes the reading: ms to 750 ms. Rejects with
 * what is wrong. Source: Documentation/w1/slaves/w1_therm.rst of Linux.
 */
export async function readCelsius(folder: string): Promise<number> {
  // Kernels before 5.8 have only the other file.
  const celsius = await readNumber(join(folder, TEMPERATURE)).then(
    (milli) => milli / 1000,
    (error: SysfsError) => (error.isGone ? readScratchpad(join(folder, SCRATCHPAD)) : Promise.reject(error)),
  )
  if (celsius >= RANGE_C[0] && celsius <= RANGE_C[1]) return celsius
  throw new SysfsError(`${folder} says ${celsius} °C, which it cannot measure: check its wires and the pull-up`, false)
}

/**
 * 85 °C is what a sensor says that lost its power and has not converted since: true only next to other such readings.
 * `last` is the reading before, if any.
 */
export function isPowerOnValue(celsius: number, last: number | undefined): boolean {
  return celsius === POWER_ON_C && (last === undefined || Math.abs(last - POWER_ON_C) > NEAR_C)
}

/**
 * Two lines, each beginning with the nine bytes of the scratchpad: `… : crc=57 YES` and `… t=23125`, in thousandths of a
 * degree.
 */
async function readScratchpad(path: string): Promise<number> {
  const text = await readAttribute(path)
  const [, bytes, milli] = /^([\da-f ]+) : crc=[\da-f]{2} YES\n.* t=(-?\d+)$/.exec(text) ?? []
  if (milli === undefined) {
    throw new SysfsError(`${path}: the checksum is wrong: check the wires, their length and the pull-up`, false)
  }
  // A bus that is held low reads as zeros, the checksum of which is 0 as well.
  if (Number.parseInt(bytes.split(' ')[CONFIGURATION_BYTE] ?? '0', 16) === 0) {
    throw new SysfsError(`${path}: the bus reads zeros only: is the data wire shorted to ground?`, false)
  }
  return Number(milli) / 1000
}
