import { join } from 'node:path'
import { type Quantity, quantities } from './quantity.ts'
import { readNumber } from './sysfs-file.ts'

const MILLI = 0.001
const DEGREES = 180 / Math.PI

/** Quantity, and what a reading is multiplied by to have its unit. */
type Conversion = readonly [quantity: Quantity, factor: number]

/**
 * The kernel's units by the first word of a channel: temp is in m°C, humidityrelative in m%, pressure in kPa, voltage in mV,
 * current in mA, power in mW, concentration in %, anglvel and angl in rad. Source: Documentation/ABI/testing/sysfs-bus-iio
 * of Linux.
 */
const CONVERSIONS: Readonly<Record<string, Conversion>> = {
  temp: [quantities.temperature, MILLI],
  humidityrelative: [quantities.humidity, MILLI],
  pressure: [quantities.pressure, 10],
  illuminance: [quantities.illuminance, 1],
  intensity: [quantities.intensity, 1],
  concentration: [quantities.concentration, 10_000],
  massconcentration: [quantities.particles, 1],
  voltage: [quantities.voltage, MILLI],
  altvoltage: [quantities.voltage, MILLI],
  current: [quantities.current, MILLI],
  power: [quantities.power, MILLI],
  energy: [quantities.energy, 1],
  resistance: [quantities.resistance, 1],
  capacitance: [quantities.capacitance, 1],
  accel: [quantities.acceleration, 1],
  gravity: [quantities.acceleration, 1],
  anglvel: [quantities.angularRate, DEGREES],
  angl: [quantities.angle, DEGREES],
  incli: [quantities.angle, 1],
  magn: [quantities.magneticField, 1],
  distance: [quantities.distance, 1],
  ph: [quantities.acidity, 1],
}

/** Of a channel such as `temp`, `voltage0`, `accel_x` or `voltage0-voltage1`. */
export function iioConversion(channel: string): Conversion {
  const [word] = /^[a-z]+/.exec(channel) ?? ['']
  return CONVERSIONS[word] ?? [quantities.count, 1]
}

/** A channel of a device: one file with the reading, or one with what the converter says. Paths. */
export interface IioChannel {
  readonly name: string
  readonly reading: string
  /** What a raw reading is converted by; undefined: it is not. */
  readonly offset: string | undefined
  readonly scale: string | undefined
}

/** The channels of a device, in order, from the names of its files. */
export function iioChannels(folder: string, files: readonly string[]): IioChannel[] {
  const named = files.map((file) => /^in_(.+)_(?:raw|input)$/.exec(file)?.[1]).filter((name) => name !== undefined)
  const there = new Set(files)
  return [...new Set(named)].sort().map((name) => {
    const input = `in_${name}_input`
    if (there.has(input)) return { name, reading: join(folder, input), offset: undefined, scale: undefined }
    const shared = (what: string) => {
      const file = sharedFiles(name, what).find((one) => there.has(one))
      return file === undefined ? undefined : join(folder, file)
    }
    return { name, reading: join(folder, `in_${name}_raw`), offset: shared('offset'), scale: shared('scale') }
  })
}

/** A reading in the kernel's unit: (raw + offset) · scale. Rejects with a SysfsError. */
export async function readIioChannel({ reading, offset, scale }: IioChannel): Promise<number> {
  const raw = await readNumber(reading)
  const shift = offset === undefined ? 0 : await readNumber(offset)
  return (raw + shift) * (scale === undefined ? 1 : await readNumber(scale))
}

/** From the channel's own file to that of all channels: in_voltage0_scale, in_voltage_scale, in_scale, scale. */
function sharedFiles(channel: string, what: string): string[] {
  const unnumbered = channel.replace(/\d+/g, '')
  const [kind] = /^[a-z]+(-[a-z]+)?/.exec(unnumbered) ?? [channel]
  return [`in_${channel}_${what}`, `in_${unnumbered}_${what}`, `in_${kind}_${what}`, `in_${what}`, what]
}
