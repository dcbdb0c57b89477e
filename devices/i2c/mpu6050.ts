import type { Plain, SignalSpec } from '../device.ts'
import { flag, type OptionsOf, whole } from '../options.ts'
import { repeat } from '../repeat.ts'
import { hexAddress } from './bus.ts'
import { s16be } from './chip.ts'
import { i2cSensor } from './sensor-kind.ts'

/**
 * Registers, one byte each; values are signed, 16 bits, high byte first:
 * 19 sample rate: 1 kHz / (1 + it), with the low pass on.
 * 1a low pass: 1…6 are 184, 94, 44, 21, 10 and 5 Hz.
 * 1b range of the gyroscope: bits 4…3 are ±250, 500, 1000, 2000 deg/s.
 * 1c range of the accelerometer: bits 4…3 are ±2, 4, 8, 16 g.
 * 1d (not of the MPU-6050) low pass of the accelerometer: bits 2…0 as above.
 * 3b acceleration x, y, z; 41 temperature; 43 angular rate x, y, z.
 * 6b power: 6 sleep, 2…0 clock (1 = that of the gyroscope, which is the steadiest).
 * 75 which chip it is.
 * After power-up 19…1c are 0, and an MPU-6050 sleeps.
 */
const SETTINGS = 0x19
const ACCELERATION_LOW_PASS = 0x1d
const VALUES = 0x3b
const POWER = 0x6b
const WHO_AM_I = 0x75

const VALUE_BYTES = 14
const CLOCK_OF_GYROSCOPE = 0x01
const LOW_PASSES_HZ = [184, 94, 44, 21, 10, 5]
const ACCELERATIONS_G = [2, 4, 8, 16]
const ROTATIONS_DEG_S = [250, 500, 1000, 2000]
const STANDARD_GRAVITY = 9.80665
const FULL_SCALE = 0x8000
/** The gyroscope takes 30 ms to start, and the low pass its time. */
const WAKE_UP_MS = 100
const PARAM_HZ = 5
const HEARTBEAT_MS = 60_000
const DEG = 180 / Math.PI

/** The temperature is raw / perDegree + zeroC. */
interface Model {
  readonly name: string
  readonly perDegree: number
  readonly zeroC: number
  readonly hasOwnLowPass: boolean
}

const LATER = { perDegree: 333.87, zeroC: 21, hasOwnLowPass: true }
const MODELS: Readonly<Record<number, Model>> = {
  104: { name: 'MPU-6050', perDegree: 340, zeroC: 36.53, hasOwnLowPass: false },
  112: { name: 'MPU-6500', ...LATER },
  113: { name: 'MPU-9250', ...LATER },
  115: { name: 'MPU-9255', ...LATER },
}

const options = {
  stream: flag('Whether samples are streamed; the params are told up to five times a second anyway.', true),
  rate: whole('Samples a second in the stream.', 50, { min: 1, max: 100, unit: 'Hz' }),
  acceleration: whole('Range of the accelerometer; the next higher one of 2, 4, 8, 16.', 2, {
    min: 1,
    max: 16,
    unit: 'g',
  }),
  rotation: whole('Range of the gyroscope; the next higher one of 250, 500, 1000, 2000.', 250, {
    min: 1,
    max: 2000,
    unit: 'deg/s',
  }),
  lowPass: whole('Faster movements are left out; the next higher one of 5, 10, 21, 44, 94, 184.', 21, {
    min: 1,
    max: 184,
    unit: 'Hz',
  }),
}

type Options = OptionsOf<typeof options>

/**
 * MPU-6050, and the later MPU-6500, MPU-9250 and MPU-9255 (without their magnetometer): acceleration, angular rate and tilt.
 * Lying flat it reads one g upwards, z. The gyroscope is off by up to 20 deg/s: `offset` of its signals puts the params
 * right. Sources: InvenSense RM-MPU-6000A-00 and RM-MPU-6500A-00 (register maps), PS-MPU-6000A-00 and PS-MPU-6500A-01
 * (sensitivities, start-up); tilt: NXP AN3461, rotation in the order x, y, z.
 */
export const mpu6050 = i2cSensor({
  kind: 'mpu6050',
  description: 'Acceleration, angular rate and tilt (MPU-6050, MPU-6500, MPU-9250).',
  addresses: [0x68, 0x69],
  sampleMs: 1000 / PARAM_HZ,
  options,
  signals: signalsOf,
  simulatedStream({ stream, rate }) {
    if (!stream) return undefined
    return {
      key: 'motion',
      rateHz: rate,
      sample: (readings) => motion(vectorOf(readings, 'acceleration'), vectorOf(readings, 'rotation')),
    }
  },
  async setUp(chip, { options, clock, signal, emit, problem }) {
    const identity = await chip.readByte(WHO_AM_I)
    const model = MODELS[identity]
    if (model === undefined) {
      throw new Error(
        `what answers is no MPU-6050: it calls itself ${hexAddress(identity)}; check chipAddress, which a clock DS3231 shares`,
      )
    }
    const settings = settingsFor(options)
    let readyAt = 0
    let isClipped = false
    const configure = async () => {
      await chip.write(POWER, CLOCK_OF_GYROSCOPE)
      if (model.hasOwnLowPass) await chip.write(ACCELERATION_LOW_PASS, lowPassOf(options))
      // Last, for it is by these that it is known to be set up.
      await chip.write(SETTINGS, ...settings)
      readyAt = clock.now() + WAKE_UP_MS
    }
    const sample = async () => sampleOf(await chip.readFrom(VALUES, VALUE_BYTES), options, model)
    await configure()
    if (options.stream) {
      repeat(1000 / options.rate, clock, signal, async () => {
        if (clock.now() < readyAt) return
        const { acceleration, rotation } = await sample()
        if (signal.aborted) return
        emit('motion', motion(acceleration, rotation))
      })
    }
    return {
      async read() {
        const kept = await chip.readFrom(SETTINGS, settings.length)
        if (settings.some((byte, at) => byte !== kept[at])) {
          await configure()
          throw new Error(`the ${model.name} lost its settings and got them anew: check whether its supply breaks down`)
        }
        if (clock.now() < readyAt) await chip.wait(readyAt - clock.now())
        const { acceleration, rotation, temperature } = await sample()
        const wasClipped = isClipped
        isClipped = [...acceleration, ...rotation].includes(null)
        if (isClipped && !wasClipped) {
          const which = acceleration.includes(null) ? 'acceleration' : 'rotation'
          problem('range', `it moves beyond its range: raise ${which}, which is ${options[which]}`)
        }
        return {
          ...axes('acceleration', acceleration),
          ...axes('rotation', rotation),
          temperature,
          ...tilt(acceleration),
        }
      },
    }
  },
})

type Vector = readonly [x: number | null, y: number | null, z: number | null]

interface Sample {
  /** m/s2; null: beyond the range. */
  acceleration: Vector
  /** deg/s; null: beyond the range. */
  rotation: Vector
  temperature: number
}

/** `bytes`: 3b…48. */
function sampleOf(bytes: Uint8Array, options: Options, { perDegree, zeroC }: Model): Sample {
  const perG = (ACCELERATIONS_G[accelerationRange(options)] * STANDARD_GRAVITY) / FULL_SCALE
  const perDegS = ROTATIONS_DEG_S[rotationRange(options)] / FULL_SCALE
  return {
    acceleration: [scaled(bytes, 0, perG), scaled(bytes, 2, perG), scaled(bytes, 4, perG)],
    temperature: rounded(s16be(bytes, 6) / perDegree + zeroC, 2),
    rotation: [scaled(bytes, 8, perDegS), scaled(bytes, 10, perDegS), scaled(bytes, 12, perDegS)],
  }
}

function scaled(bytes: Uint8Array, at: number, unit: number): number | null {
  const raw = s16be(bytes, at)
  return raw === -FULL_SCALE || raw === FULL_SCALE - 1 ? null : rounded(raw * unit, 3)
}

/** Of a chip at rest; while it is shaken they are wrong. */
function tilt([x, y, z]: Vector): { pitch: number | null; roll: number | null } {
  if (x === null || y === null || z === null) return { pitch: null, roll: null }
  return {
    pitch: rounded(Math.atan2(-x, Math.hypot(y, z)) * DEG, 2),
    roll: rounded(Math.atan2(y, z) * DEG, 2),
  }
}

function motion([ax, ay, az]: Vector, [rx, ry, rz]: Vector): Plain {
  return { ax, ay, az, rx, ry, rz }
}

function axes(name: string, [x, y, z]: Vector): Record<string, Plain> {
  return { [`${name}/x`]: x, [`${name}/y`]: y, [`${name}/z`]: z }
}

function vectorOf(readings: Readonly<Record<string, Plain>>, name: string): Vector {
  const axis = (key: string) => {
    const value = readings[`${name}/${key}`]
    return typeof value === 'number' ? value : null
  }
  return [axis('x'), axis('y'), axis('z')]
}

/** 19…1c. The chip takes samples at least as often as they are asked for. */
function settingsFor(options: Options): number[] {
  const divider = Math.min(0xff, Math.floor(1000 / Math.max(options.rate, PARAM_HZ)) - 1)
  return [divider, lowPassOf(options), rotationRange(options) << 3, accelerationRange(options) << 3]
}

function lowPassOf({ lowPass }: Options): number {
  return LOW_PASSES_HZ.findLastIndex((hz) => hz >= lowPass) + 1
}

function accelerationRange({ acceleration }: Options): number {
  return ACCELERATIONS_G.findIndex((g) => g >= acceleration)
}

function rotationRange({ rotation }: Options): number {
  return ROTATIONS_DEG_S.findIndex((degS) => degS >= rotation)
}

function signalsOf(options: Options): Record<string, SignalSpec> {
  const mostMs2 = ACCELERATIONS_G[accelerationRange(options)] * STANDARD_GRAVITY
  const mostDegS = ROTATIONS_DEG_S[rotationRange(options)]
  const params = {
    ...vector('acceleration', 'Acceleration', 'm/s2', mostMs2, 0.02),
    ...vector('rotation', 'Angular rate', 'deg/s', mostDegS, 0.2),
    temperature: param('Cel', [-40, 85], 'Temperature of the chip', 0.1),
    pitch: param('deg', [-90, 90], 'Tilt of the x axis, downwards', 0.2),
    roll: param('deg', [-180, 180], 'Turn about the x axis', 0.2),
  }
  if (!options.stream) return params
  return {
    ...params,
    motion: {
      type: 'stream',
      datatype: 'map',
      access: 'r',
      description: 'Acceleration ax, ay, az in m/s2 and angular rate rx, ry, rz in deg/s; null = beyond the range',
    },
  }
}

function vector(key: string, what: string, unit: string, most: number, deadband: number): Record<string, SignalSpec> {
  return Object.fromEntries(
    ['x', 'y', 'z'].map((axis) => [`${key}/${axis}`, param(unit, [-most, most], `${what} ${axis}`, deadband)]),
  )
}

function param(unit: string, range: readonly [number, number], description: string, deadband: number): SignalSpec {
  const pace = { deadband, maxRateHz: PARAM_HZ, heartbeatMs: HEARTBEAT_MS }
  return { type: 'param', datatype: 'f64', access: 'r', unit, range, description, pace }
}

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits))
}
