import type { SignalSpec } from '../device.ts'
import { number, whole } from '../options.ts'
import { s16be, u16be } from './chip.ts'
import { i2cSensor } from './sensor-kind.ts'

/**
 * Registers, 16 bits each, high byte first:
 * 00 configuration: 15 reset, 13 bus range (1 = 32 V), 12…11 gain of the shunt, 10…7 and 6…3 averaging of bus and shunt,
 *    2…0 mode (7 = both, continuously). 399f after power-up.
 * 01 shunt voltage, signed, 10 µV.
 * 02 bus voltage: 15…3 in 4 mV, 1 conversion ready, 0 overflow of current or power.
 * 04 current, signed, in the unit that the calibration sets: shunt · calibration / 4096.
 * 05 calibration: 0.04096 / (unit of the current · shunt); bit 0 is always 0. 0 after power-up.
 */
const CONFIGURATION = 0x00
const SHUNT_VOLTAGE = 0x01
const BUS_VOLTAGE = 0x02
const CURRENT = 0x04
const CALIBRATION = 0x05

const RESET = 0x8000
const AFTER_RESET = 0x399f
const BUS_RANGE_32_V = 0x2000
const CONTINUOUS = 0x0007
const OVERFLOW = 0x0001

const SHUNT_UNIT_MV = 0.01
const CALIBRATED_V = 0.04096
/** The current is eight times finer than the shunt voltage then, and chips are said to spoil the low byte of higher ones. */
const MAX_CALIBRATION = 0x7ffe
const BUS_UNIT_V = 0.004
/** Full scale of the shunt voltage by its two bits. */
const SHUNT_RANGES_MV = [40, 80, 160, 320]
/** The bus pins take no more. */
const MAX_BUS_V = 26
/** One conversion of 12 bits, typically; those of bus and shunt follow one another. */
const CONVERSION_MS = 0.532
const DEADBAND = 0.002
const HEARTBEAT_MS = 60_000

/**
 * INA219: voltage and current of a direct-current supply, with a shunt in its positive wire.
 * Source: Texas Instruments SBOS448 (INA219), "Programming the Calibration Register", "Register Information" and
 * "Absolute Maximum Ratings".
 */
export const ina219 = i2cSensor({
  kind: 'ina219',
  description: 'Voltage, current and power of a direct-current supply (INA219).',
  addresses: Array.from({ length: 16 }, (_, at) => 0x40 + at),
  sampleMs: 1000,
  options: {
    shunt: number('Its shunt; usual boards have 0.1.', 0.1, { min: 0.0001, max: 100, unit: 'Ω' }),
    maxCurrent: number('The highest current to be told; a lower one makes readings finer.', 3.2, {
      min: 0.001,
      max: 1000,
      unit: 'A',
    }),
    average: whole('Conversions that make a reading; the next higher one of 1, 2, 4 … 128.', 8, { min: 1, max: 128 }),
  },
  check({ shunt, maxCurrent }) {
    const mv = shunt * maxCurrent * 1000
    const most = SHUNT_RANGES_MV[SHUNT_RANGES_MV.length - 1]
    return mv > most + SHUNT_UNIT_MV / 2
      ? `maxCurrent ${maxCurrent} A is ${Math.round(mv)} mV at the shunt of ${shunt} Ω, and the chip measures up to ${most} mV`
      : undefined
  },
  signals: ({ maxCurrent, shunt }) => ({
    voltage: reading('V', [0, MAX_BUS_V], 'Voltage of the load'),
    shunt: reading('mV', [-maxCurrent * shunt * 1000, maxCurrent * shunt * 1000], 'Voltage across the shunt'),
    current: reading('A', [-maxCurrent, maxCurrent], 'Current'),
    power: reading('W', [-maxCurrent * MAX_BUS_V, maxCurrent * MAX_BUS_V], 'Power of the load; below 0 it comes back'),
  }),
  async setUp(chip, { options, clock, problem }) {
    const scale = currentScale(options)
    const averages = Math.ceil(Math.log2(options.average))
    const configuration = configurationFor(options, averages)
    let readyAt = 0
    let isOverflowing = false
    const word = async (register: number) => u16be(await chip.readFrom(register, 2))
    const put = (register: number, value: number) => chip.write(register, value >> 8, value & 0xff)
    const configure = async () => {
      await put(CONFIGURATION, configuration)
      await put(CALIBRATION, scale.calibration)
      readyAt = clock.now() + 2 * CONVERSION_MS * 2 ** averages
    }
    await put(CONFIGURATION, RESET)
    const found = await word(CONFIGURATION)
    if (found !== AFTER_RESET) {
      const hex = found.toString(16).padStart(4, '0')
      throw new Error(`what answers is no INA219: it says 0x${hex} after a reset, not 0x399f: check chipAddress`)
    }
    await configure()
    return {
      async read() {
        if (clock.now() < readyAt) await chip.wait(readyAt - clock.now())
        if ((await word(CALIBRATION)) !== scale.calibration) {
          await configure()
          throw new Error('the INA219 lost its calibration and got it anew: check whether its supply breaks down')
        }
        const bus = await word(BUS_VOLTAGE)
        const voltage = (bus >> 3) * BUS_UNIT_V
        const shunt = s16be(await chip.readFrom(SHUNT_VOLTAGE, 2))
        // At the end of its range the shunt voltage stands still, and the chip's own flag stays down.
        const isBeyond = (bus & OVERFLOW) !== 0 || Math.abs(shunt) >= scale.maxShunt
        if (isBeyond && !isOverflowing) {
          problem(
            'overflow',
            `the current is beyond maxCurrent ${options.maxCurrent} A: raise it, or use a smaller shunt`,
          )
        }
        isOverflowing = isBeyond
        if (isBeyond) return { voltage: rounded(voltage), shunt: null, current: null, power: null }
        const current = s16be(await chip.readFrom(CURRENT, 2)) * scale.unitA
        return {
          voltage: rounded(voltage),
          shunt: rounded(shunt * SHUNT_UNIT_MV),
          current: rounded(current),
          power: rounded(voltage * current),
        }
      },
    }
  },
})

interface CurrentOptions {
  shunt: number
  maxCurrent: number
}

interface CurrentScale {
  calibration: number
  /** Of the current register. */
  unitA: number
  /** Full scale of the shunt register. */
  maxShunt: number
}

/** As fine as the highest current allows; what was cut off the calibration is put right by the unit. */
function currentScale({ shunt, maxCurrent }: CurrentOptions): CurrentScale {
  const finest = (CALIBRATED_V * 0x7fff) / (maxCurrent * shunt)
  const calibration = Math.trunc(Math.min(MAX_CALIBRATION, finest)) & ~1
  const maxShunt = SHUNT_RANGES_MV[shuntRange(shunt * maxCurrent * 1000)] / SHUNT_UNIT_MV
  return { calibration, unitA: CALIBRATED_V / (calibration * shunt), maxShunt: Math.round(maxShunt) }
}

function shuntRange(mv: number): number {
  // 0.1 Ω times 0.4 A is a little more than 40 mV in binary fractions.
  const at = SHUNT_RANGES_MV.findIndex((range) => mv <= range + SHUNT_UNIT_MV / 2)
  return at < 0 ? SHUNT_RANGES_MV.length - 1 : at
}

function configurationFor({ shunt, maxCurrent }: CurrentOptions, averages: number): number {
  // 1000 is one conversion, 1001 is two of them, 1111 is 128.
  const averaging = 0x8 + averages
  return (
    BUS_RANGE_32_V | (shuntRange(shunt * maxCurrent * 1000) << 11) | (averaging << 7) | (averaging << 3) | CONTINUOUS
  )
}

function reading(unit: string, range: readonly [number, number], description: string): SignalSpec {
  return {
    type: 'param',
    datatype: 'f64',
    access: 'r',
    unit,
    range,
    description,
    pace: { deadband: (range[1] - Math.max(0, range[0])) * DEADBAND, heartbeatMs: HEARTBEAT_MS },
  }
}

/** Without the tail of a binary fraction. */
function rounded(value: number): number {
  return Number(value.toPrecision(7))
}
