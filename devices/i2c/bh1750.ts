import { choice, whole } from '../options.ts'
import type { I2cChip } from './chip.ts'
import { u16be } from './chip.ts'
import { LightLimit } from './light-limit.ts'
import { illuminance } from './quantities.ts'
import { i2cSensor } from './sensor-kind.ts'

const POWER_ON = 0x01
/** With the high 3 bits of the measurement time. */
const TIME_HIGH = 0x40
/** With the low 5 bits of it. */
const TIME_LOW = 0x60
const USUAL_TIME = 69
const SHORTEST_TIME = 31
const LONGEST_TIME = 254
const COUNTS_PER_LX = 1.2
const MAX_COUNT = 0xffff

/** Commands of one measurement, after which the chip sleeps; the longest duration at the usual measurement time. */
const MODES = {
  high: { command: 0x20, ms: 180, countsPerStep: 1 },
  high2: { command: 0x21, ms: 180, countsPerStep: 2 },
  low: { command: 0x23, ms: 24, countsPerStep: 1 },
} as const
type Mode = keyof typeof MODES

const MAX_LX = Math.floor(illuminanceLx(MAX_COUNT, 'high', SHORTEST_TIME))

/**
 * ROHM BH1750FVI, the chip of the GY-30 and GY-302: illuminance. ADDR low is 0x23, high 0x5c. It has no registers: a byte
 * is a command, and what is read is the last measurement. Its measurement time (MTreg, 31…254, usually 69) makes it more
 * sensitive, and slower, in proportion. It is told with each measurement, for after a dip of the supply it would be the
 * usual one again. When that is too bright, the shortest one is taken.
 * Source: ROHM data sheet BH1750FVI, Technical Note 11046EDT01 (2011.11 Rev. D): instruction set, measurement mode,
 * changing of the measurement time.
 */
export const bh1750 = i2cSensor({
  kind: 'bh1750',
  description: 'A BH1750: illuminance.',
  addresses: [0x23, 0x5c],
  options: {
    resolution: choice('Steps: low 4 lx within 24 ms, high 1 lx and high2 0.5 lx within 180 ms.', 'high', [
      'low',
      'high',
      'high2',
    ]),
    measurementTime: whole('Register MTreg: higher is slower and finer, for light behind dark glass.', USUAL_TIME, {
      min: SHORTEST_TIME,
      max: LONGEST_TIME,
    }),
  },
  sampleMs: 1000,
  signals: () => ({ illuminance: illuminance(MAX_LX) }),
  async setUp(chip, context) {
    const { resolution, measurementTime } = context.options
    const limit = new LightLimit(context, `it ends at ${MAX_LX} lx, put a filter in front of it`)
    await chip.write(POWER_ON)
    return {
      async read() {
        let lx = await measure(chip, resolution, measurementTime)
        lx ??= await measure(chip, 'high', SHORTEST_TIME)
        limit.tell(lx === null)
        return { illuminance: lx }
      },
    }
  },
})

/** Lux; null: too bright. */
async function measure(chip: I2cChip, mode: Mode, time: number): Promise<number | null> {
  await chip.write(TIME_HIGH | (time >> 5))
  await chip.write(TIME_LOW | (time & 0x1f))
  await chip.write(MODES[mode].command)
  await chip.wait(Math.ceil((MODES[mode].ms * time) / USUAL_TIME))
  const count = u16be(await chip.read(2))
  return count === MAX_COUNT ? null : Number(illuminanceLx(count, mode, time).toFixed(2))
}

function illuminanceLx(count: number, mode: Mode, time: number): number {
  return (count / COUNTS_PER_LX / MODES[mode].countsPerStep) * (USUAL_TIME / time)
}
