import { duration, flag } from '../options.ts'
import { hexAddress } from './bus.ts'
import { type I2cChip, u16be } from './chip.ts'
import { i2cSensor } from './sensor-kind.ts'
import { TUNING } from './vl53l0x-settings.ts'

/** Registers, one byte each, two bytes high byte first; those of page 1 and of the inner pages are written as numbers. */
const RANGE_START = 0x00
const SEQUENCE = 0x01
const INTERRUPT_CONFIGURATION = 0x0a
const INTERRUPT_CLEAR = 0x0b
const INTERRUPT_STATUS = 0x13
/** 12 bytes: 0 status in bits 6…3, 2…3 SPADs, 6…7 signal, 8…9 ambient light, 10…11 distance in mm. */
const RESULT = 0x14
const SIGNAL_LIMIT = 0x44
/** Two bytes; 0099 after power-up, and 0096 by the tuning settings. */
const PRE_RANGE_TIMEOUT = 0x51
const LIMIT_CHECKS = 0x60
const FINAL_RANGE_TIMEOUT = 0x71
const INTERRUPT_POLARITY = 0x84
const IO_VOLTAGE = 0x89
const REFERENCE_SPADS = 0xb0
const REFERENCE_START = 0xb6
const MODEL = 0xc0

const MODEL_ID = [0xee, 0xaa]
const TUNED_PRE_RANGE_TIMEOUT = 0x0096
/** Steps of a measurement: dynamic choice of SPADs, a first and a final range. */
const RANGE_SEQUENCE = 0xe8
/** 0.25 million counts a second in 1/128. */
const SIGNAL_LIMIT_COUNTS = 32
const FIRST_APERTURE_SPAD = 12

/**
 * All but the final range, with the timeouts of the tuning settings: start 1910 and end 960, twice the choice of SPADs
 * 2029 + 690, the first range 8061 + 660, and 550 before the final one.
 */
const OTHER_STEPS_US = 17_579
const PRE_RANGE_PERIODS = 151
/** 2304 clocks of 1655 ps for each of the 10 of a laser pulse. */
const FINAL_PERIOD_US = 38.131
const POLL_MS = 2
const POLLS = 50

/** No target, in mm. */
const NOTHING = 8190
const VALID = 11
const STATUS: Readonly<Record<number, string>> = {
  [VALID]: 'valid',
  4: 'weak',
  6: 'phase',
  9: 'phase',
  8: 'near',
  10: 'near',
}
const HARDWARE_FAILURES: Readonly<Record<number, string>> = {
  1: 'its laser fails the continuity test',
  2: 'the watchdog of its laser stopped it',
  3: 'it finds no voltage for its detectors',
}

/**
 * VL53L0X: distance by the time of flight of laser light, 3 cm to 2 m. Its data sheet (ST DocID029104) tells only the
 * registers of the model, 3.2; how it is started and read comes from ST's API (STSW-IMG005, user manual UM2039): stop
 * variable, reference SPADs, tuning settings, two reference calibrations, single ranging, meaning of the status. The
 * API's estimate of the deviation (sigma) and the compensation of a cover glass are not there. As all of them start at
 * the same address, one of them fits on a bus.
 */
export const vl53l0x = i2cSensor({
  kind: 'vl53l0x',
  description: 'Distance by laser light (VL53L0X).',
  addresses: [0x29],
  sampleMs: 100,
  options: {
    budget: duration('Time for a measurement; four times as long halves the noise.', 33, { minMs: 20, maxMs: 500 }),
    lowVoltage: flag('The bus runs at 1.8 V; boards for makers have 2.8 V or more.', false),
  },
  signals: () => ({
    distance: {
      type: 'param',
      datatype: 'f64',
      access: 'r',
      unit: 'm',
      range: [0, 2],
      description: 'Distance; null = nothing within reach',
      pace: { deadband: 0.002, deadbandRelative: 0.005, heartbeatMs: 10_000 },
    },
    status: {
      type: 'param',
      datatype: 'string',
      access: 'r',
      description: 'valid, weak (too little light comes back), phase (beyond reach), near (too near), or none',
      pace: { heartbeatMs: 10_000 },
    },
  }),
  async setUp(chip, { options }) {
    // Whoever was killed while it measured left it on another page.
    await writeAll(chip, [
      [0xff, 0x00],
      [0x80, 0x00],
    ])
    const model = await chip.readFrom(MODEL, MODEL_ID.length)
    if (MODEL_ID.some((byte, at) => byte !== model[at])) {
      throw new Error(
        `what answers is no VL53L0X: it says ${[...model].map(hexAddress).join(' ')}, not 0xee 0xaa; chips that share the address are VL53L1X, TCS34725 and TSL2591`,
      )
    }
    const start = async () => {
      const stop = await prepare(chip, options.lowVoltage)
      await setReferenceSpads(chip)
      await writeAll(chip, TUNING)
      await writeAll(chip, [[INTERRUPT_CONFIGURATION, 0x04]])
      await chip.write(INTERRUPT_POLARITY, (await chip.readByte(INTERRUPT_POLARITY)) & ~0x10)
      await chip.write(INTERRUPT_CLEAR, 0x01)
      const timeout = encodedTimeout(options.budget * 1000)
      await chip.write(FINAL_RANGE_TIMEOUT, timeout >> 8, timeout & 0xff)
      await calibrate(chip, 0x01, 0x41)
      await calibrate(chip, 0x02, 0x01)
      await chip.write(SEQUENCE, RANGE_SEQUENCE)
      return stop
    }
    /** Undefined: it was not started to the end. */
    let stop: number | undefined = await start()
    return {
      async read() {
        const isTuned = u16be(await chip.readFrom(PRE_RANGE_TIMEOUT, 2)) === TUNED_PRE_RANGE_TIMEOUT
        if (stop === undefined || !isTuned) {
          stop = undefined
          stop = await start()
          throw new Error('the VL53L0X lost its settings and got them anew: check whether its supply breaks down')
        }
        const result = await range(chip, stop, options.budget)
        const status = (result[0] >> 3) & 0x0f
        const failure = HARDWARE_FAILURES[status]
        if (failure !== undefined) throw new Error(`the VL53L0X does not measure: ${failure}`)
        const mm = u16be(result, 10)
        if (status === VALID && mm < NOTHING) return { distance: mm / 1000, status: STATUS[VALID] }
        return { distance: null, status: (status === VALID ? undefined : STATUS[status]) ?? 'none' }
      },
    }
  },
})

type Writes = readonly (readonly [register: number, value: number])[]

async function writeAll(chip: I2cChip, writes: Writes): Promise<void> {
  for (const [register, value] of writes) await chip.write(register, value)
}

/** Bus voltage, limits of the checks; resolves with the stop variable, which every measurement needs. */
async function prepare(chip: I2cChip, isLowVoltage: boolean): Promise<number> {
  const pads = await chip.readByte(IO_VOLTAGE)
  await chip.write(IO_VOLTAGE, isLowVoltage ? pads & ~0x01 : pads | 0x01)
  await writeAll(chip, [
    [0x88, 0x00],
    [0x80, 0x01],
    [0xff, 0x01],
    [0x00, 0x00],
  ])
  const stop = await chip.readByte(0x91)
  await writeAll(chip, [
    [0x00, 0x01],
    [0xff, 0x00],
    [0x80, 0x00],
  ])
  // No checks of the signal before the final range.
  await chip.write(LIMIT_CHECKS, (await chip.readByte(LIMIT_CHECKS)) | 0x12)
  await chip.write(SIGNAL_LIMIT, 0, SIGNAL_LIMIT_COUNTS)
  await chip.write(SEQUENCE, 0xff)
  return stop
}

/** Of the detectors for the reference those stay on that the factory found good: so many of one sort. */
async function setReferenceSpads(chip: I2cChip): Promise<void> {
  await writeAll(chip, [
    [0x80, 0x01],
    [0xff, 0x01],
    [0x00, 0x00],
    [0xff, 0x06],
  ])
  await chip.write(0x83, (await chip.readByte(0x83)) | 0x04)
  await writeAll(chip, [
    [0xff, 0x07],
    [0x81, 0x01],
    [0x80, 0x01],
    [0x94, 0x6b],
    [0x83, 0x00],
  ])
  await poll(chip, 0x83, 0xff, 'its memory')
  await chip.write(0x83, 0x01)
  const found = await chip.readByte(0x92)
  await writeAll(chip, [
    [0x81, 0x00],
    [0xff, 0x06],
  ])
  await chip.write(0x83, (await chip.readByte(0x83)) & ~0x04)
  await writeAll(chip, [
    [0xff, 0x01],
    [0x00, 0x01],
    [0xff, 0x00],
    [0x80, 0x00],
  ])
  const good = await chip.readFrom(REFERENCE_SPADS, 6)
  await writeAll(chip, [
    [0xff, 0x01],
    [0x4f, 0x00],
    [0x4e, 0x2c],
    [0xff, 0x00],
    [REFERENCE_START, 0xb4],
  ])
  const chosen = referenceSpads(good, found & 0x7f, (found & 0x80) !== 0)
  await chip.write(REFERENCE_SPADS, ...chosen)
}

/** The first `count` bits that are set in `good`, low bit first, beginning where those of the sort do. */
function referenceSpads(good: Uint8Array, count: number, isAperture: boolean): Uint8Array {
  const chosen = new Uint8Array(good.length)
  let left = count
  for (let spad = isAperture ? FIRST_APERTURE_SPAD : 0; spad < good.length * 8 && left > 0; spad++) {
    const bit = 1 << (spad & 7)
    if ((good[spad >> 3] & bit) === 0) continue
    chosen[spad >> 3] |= bit
    left--
  }
  return chosen
}

async function calibrate(chip: I2cChip, sequence: number, start: number): Promise<void> {
  await chip.write(SEQUENCE, sequence)
  await chip.write(RANGE_START, start)
  await poll(chip, INTERRUPT_STATUS, 0x07, 'its calibration')
  await chip.write(INTERRUPT_CLEAR, 0x01)
  await chip.write(RANGE_START, 0x00)
}

/** One measurement; the bus is free while it lasts. */
async function range(chip: I2cChip, stop: number, budgetMs: number): Promise<Uint8Array> {
  // What an interrupted measurement left is not to be taken for the result.
  await chip.write(INTERRUPT_CLEAR, 0x01)
  await writeAll(chip, [
    [0x80, 0x01],
    [0xff, 0x01],
    [0x00, 0x00],
    [0x91, stop],
    [0x00, 0x01],
    [0xff, 0x00],
    [0x80, 0x00],
    [RANGE_START, 0x01],
  ])
  await chip.wait(budgetMs)
  await poll(chip, INTERRUPT_STATUS, 0x07, 'a measurement')
  const result = await chip.readFrom(RESULT, 12)
  await chip.write(INTERRUPT_CLEAR, 0x01)
  return result
}

async function poll(chip: I2cChip, register: number, mask: number, what: string): Promise<void> {
  for (let at = 0; at < POLLS; at++) {
    if (((await chip.readByte(register)) & mask) !== 0) return
    await chip.wait(POLL_MS)
  }
  throw new Error(`the VL53L0X does not finish ${what}: check its supply, or take it off and on`)
}

/**
 * Timeout of the final range, together with the first one, in periods: mantissa in the low byte, shift in the high one,
 * and one is added.
 */
function encodedTimeout(budgetUs: number): number {
  let mantissa = Math.round((budgetUs - OTHER_STEPS_US) / FINAL_PERIOD_US) + PRE_RANGE_PERIODS - 1
  let shift = 0
  for (; mantissa > 0xff; shift++) mantissa >>= 1
  return (shift << 8) | mantissa
}
