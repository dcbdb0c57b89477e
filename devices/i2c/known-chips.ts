import type { DeviceClock } from '../device.ts'
import { type I2cBus, I2cError } from './bus.ts'
import { sensirionCrc } from './sensirion-words.ts'

/** A part that tells what it is when it is asked. */
interface Identity {
  part: string
  /** The driver for it, where there is one. */
  kind?: string
  addresses: readonly number[]
  /** What is written to ask, how long the answer takes, and how many bytes it has. */
  ask: readonly number[]
  waitMs?: number
  count: number
  isIt(answer: Uint8Array): boolean
}

/** Parts without a driver here that share an address with others and cannot be asked. */
const MUTE: readonly { part: string; addresses: readonly number[] }[] = [
  { part: 'HTU21D or SHT2x', addresses: [0x40] },
  { part: 'LM75 or TMP102', addresses: range(0x48, 0x4f) },
  { part: 'EEPROM 24C…', addresses: range(0x50, 0x57) },
  { part: 'clock DS3231 or DS1307', addresses: [0x68] },
  { part: 'switch TCA9548A', addresses: range(0x70, 0x77) },
]

const isByte =
  (...values: number[]) =>
  (answer: Uint8Array) =>
    values.includes(answer[0])
const isChecked = (answer: Uint8Array) =>
  [0, 3].every((at) => at >= answer.length || sensirionCrc(answer.subarray(at, at + 2)) === answer[at + 2])

/**
 * In this order. Nothing is asked at addresses of expanders, where the number of a register would switch outputs (0x20…0x27,
 * 0x38…0x3f), of memories, and where the question resets another part (0x40).
 */
const IDENTITIES: readonly Identity[] = [
  {
    // ams data sheet TSL2591, register ID (0x12).
    part: 'TSL2591',
    kind: 'tsl2591',
    addresses: [0x29],
    ask: [0xb2],
    count: 1,
    isIt: isByte(0x50),
  },
  {
    // ams data sheet TCS3472, ID register (0x12), by the same command.
    part: 'TCS34725',
    kind: 'tcs34725',
    addresses: [0x29],
    ask: [0xb2],
    count: 1,
    isIt: isByte(0x44, 0x4d),
  },
  {
    // ST data sheet VL53L0X, I2C interface, reference registers.
    part: 'VL53L0X',
    kind: 'vl53l0x',
    addresses: [0x29],
    ask: [0xc0],
    count: 2,
    isIt: (answer) => answer[0] === 0xee && answer[1] === 0xaa,
  },
  {
    // Honeywell data sheet HMC5883L, identification registers.
    part: 'HMC5883L',
    addresses: [0x1e],
    ask: [0x0a],
    count: 3,
    isIt: (answer) => Buffer.from(answer).toString('latin1') === 'H43',
  },
  {
    // Sensirion data sheet SHT3x-DIS, status register.
    part: 'SHT3x',
    kind: 'sht3x',
    addresses: [0x44, 0x45],
    ask: [0xf3, 0x2d],
    count: 3,
    isIt: isChecked,
  },
  {
    // Sensirion data sheet SHT4x, serial number.
    part: 'SHT4x',
    kind: 'sht4x',
    addresses: [0x44, 0x45, 0x46],
    ask: [0x89],
    waitMs: 2,
    count: 6,
    isIt: isChecked,
  },
  {
    // ScioSense data sheet CCS811, HW_ID register (0x20).
    part: 'CCS811',
    addresses: [0x5a, 0x5b],
    ask: [0x20],
    count: 1,
    isIt: isByte(0x81),
  },
  {
    // InvenSense register map MPU-6000/6050, WHO_AM_I (register 117).
    part: 'MPU-6050',
    kind: 'mpu6050',
    addresses: [0x68, 0x69],
    ask: [0x75],
    count: 1,
    isIt: isByte(0x68),
  },
  {
    // Bosch data sheet BME280, register id (0xd0).
    part: 'BME280',
    kind: 'bme280',
    addresses: [0x76, 0x77],
    ask: [0xd0],
    count: 1,
    isIt: isByte(0x60),
  },
  {
    // Bosch data sheet BMP280, register id (0xd0); samples had the others.
    part: 'BMP280',
    kind: 'bmp280',
    addresses: [0x76, 0x77],
    ask: [0xd0],
    count: 1,
    isIt: isByte(0x58, 0x57, 0x56),
  },
  {
    // Bosch data sheet BME680, register id (0xd0).
    part: 'BME680',
    addresses: [0x76, 0x77],
    ask: [0xd0],
    count: 1,
    isIt: isByte(0x61),
  },
  {
    // Bosch data sheet BMP180, register id (0xd0).
    part: 'BMP180',
    addresses: [0x77],
    ask: [0xd0],
    count: 1,
    isIt: isByte(0x55),
  },
]

export interface ChipGuess {
  /** It said so itself; undefined: it was not asked, or is none of those that are known. */
  part?: string
  /** The driver for that part. */
  kind?: string
  /** Kinds that were ruled out by its answers. */
  notKinds: readonly string[]
  /** Parts without a driver that it may be. */
  others: readonly string[]
}

/** Asks the chip at an address what it is, if it is `asked`. Rejects with an I2cError when the bus is stuck or gone. */
export async function identifyChip(
  bus: I2cBus,
  address: number,
  { clock, asked = true }: { clock: DeviceClock; asked?: boolean },
): Promise<ChipGuess> {
  const answers = new Map<string, Uint8Array | undefined>()
  const candidates = asked ? IDENTITIES.filter(({ addresses }) => addresses.includes(address)) : []
  for (const { part, kind, ask, waitMs = 0, count, isIt } of candidates) {
    const question = `${ask} ${count}`
    if (!answers.has(question)) answers.set(question, await answerTo(bus, address, { ask, waitMs, count, clock }))
    const answer = answers.get(question)
    if (answer !== undefined && isIt(answer)) return { part, kind, notKinds: [], others: [] }
  }
  const others = MUTE.filter(({ addresses }) => addresses.includes(address)).map(({ part }) => part)
  return { notKinds: candidates.flatMap(({ kind }) => kind ?? []), others }
}

/** Undefined: it does not take the question. */
async function answerTo(
  bus: I2cBus,
  address: number,
  { ask, waitMs, count, clock }: { ask: readonly number[]; waitMs: number; count: number; clock: DeviceClock },
): Promise<Uint8Array | undefined> {
  try {
    if (waitMs === 0) return await bus.transfer(address, Uint8Array.from(ask), count)
    await bus.transfer(address, Uint8Array.from(ask), 0)
    await new Promise<void>((resolve) => {
      clock.timer(waitMs, resolve)
    })
    return await bus.transfer(address, new Uint8Array(0), count)
  } catch (error) {
    if (error instanceof I2cError && (error.code === 'stuck' || error.code === 'lost')) throw error
    return undefined
  }
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i)
}
