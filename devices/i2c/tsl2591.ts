import { choice } from '../options.ts'
import { type I2cChip, u16le } from './chip.ts'
import { checkIdentity, placeOf } from './chip-identity.ts'
import { LightLimit } from './light-limit.ts'
import { illuminance } from './quantities.ts'
import { i2cSensor } from './sensor-kind.ts'

/** Each register is addressed with the command bit and the one for a normal transaction. */
const COMMAND = 0xa0
const ENABLE = COMMAND | 0x00
const CONTROL = COMMAND | 0x01
const IDENTITY = COMMAND | 0x12
const STATUS = COMMAND | 0x13

const SLEEP = 0x00
const MEASURE = 0x03
const IS_VALID = 0x01

const MAX_LX = 88_000
const COUNTS_LX_MS = 408
const LIMIT = 0xffff
/** In 100 ms it cannot count further. */
const LIMIT_100_MS = 0x8fff
/** A step that would be used for more than this share of its counts is not tried. */
const FILL = 0.5
/** The oscillator may be so much slow. */
const SLOWEST = 1.08
const AGAIN_MS = 10
const ATTEMPTS = 5

/** Bits of the control register, and the gain of both channels. */
const GAINS = {
  low: { bits: 0x00, full: 1, infrared: 1 },
  medium: { bits: 0x10, full: 24.5, infrared: 24.5 },
  high: { bits: 0x20, full: 400, infrared: 400 },
  max: { bits: 0x30, full: 9200, infrared: 9900 },
} as const
const gainNames = ['low', 'medium', 'high', 'max'] as const
const integrationNames = ['100ms', '200ms', '300ms', '400ms', '500ms', '600ms'] as const

/** A gain and an integration time. */
interface Step {
  readonly gain: (typeof GAINS)[keyof typeof GAINS]
  readonly ms: number
}

interface Counts {
  /** Visible and infrared light. */
  readonly full: number
  readonly infrared: number
}

/**
 * ams TSL2591: illuminance from 0.0002 to 88000 lx, with two channels so that infrared light does not count. Its only
 * address is 0x29. With automatic gain and integration it is measured again until the counts fit; the step is kept for the
 * next reading. Between readings it sleeps.
 * Source: ams data sheet TSL2591 v2-04 (2018-Jun-05): optical characteristics (gain), register description. The data sheet
 * leaves the way from counts to lux to the housing; what is taken is lux = (full - infrared) · (1 - infrared / full) ·
 * 408 / (ms · gain), the usual one for the bare chip (driver of Adafruit); `gain` of the signal corrects it.
 */
export const tsl2591 = i2cSensor({
  kind: 'tsl2591',
  description: 'A TSL2591: illuminance from moonlight to sunlight.',
  addresses: [0x29],
  options: {
    gain: choice('Analog gain.', 'auto', ['auto', ...gainNames]),
    integration: choice('Time over which light is counted.', 'auto', ['auto', ...integrationNames]),
  },
  sampleMs: 1000,
  signals: () => ({ illuminance: illuminance(MAX_LX) }),
  async setUp(chip, context) {
    const { gain, integration } = context.options
    await checkIdentity(chip, 'TSL2591', IDENTITY, [0x50], {
      68: 'TCS34725: set kind: tcs34725',
      77: 'TCS34727: set kind: tcs34725',
    })
    const range = new AutoRange(stepsOf(gain, integration))
    const limit = new LightLimit(context, 'choose less gain and integration, or put a filter in front of it')
    return {
      async read() {
        const counts = await range.measure((step) => countsOf(chip, step))
        limit.tell(counts === null)
        return { illuminance: counts === null ? null : illuminanceLx(counts, range.step) }
      },
    }
  },
})

/** From the least sensitive one to the most sensitive one. */
function stepsOf(gain: 'auto' | keyof typeof GAINS, integration: 'auto' | (typeof integrationNames)[number]): Step[] {
  const gains = gain === 'auto' ? gainNames : [gain]
  const ms = integration === 'auto' ? 100 : Number.parseInt(integration, 10)
  const steps = gains.map((name) => ({ gain: GAINS[name], ms }))
  return integration === 'auto' ? [...steps, { gain: steps[steps.length - 1].gain, ms: 600 }] : steps
}

/** Finds the step that fits the light. */
class AutoRange {
  private readonly steps: readonly Step[]
  private at = 0

  constructor(steps: readonly Step[]) {
    this.steps = steps
  }

  /** The one of the last measurement. */
  get step(): Step {
    return this.steps[this.at]
  }

  /** Null: there is too much light for the least sensitive step. */
  async measure(countsAt: (step: Step) => Promise<Counts>): Promise<Counts | null> {
    let mayRise = true
    for (;;) {
      const counts = await countsAt(this.step)
      if (largest(counts) >= limitOf(this.step)) {
        if (this.at === 0) return null
        this.at--
        // Light that flickers would lead up and down without end.
        mayRise = false
        continue
      }
      const best = mayRise ? this.bestFor(counts) : this.at
      if (best <= this.at) return counts
      this.at = best
    }
  }

  private bestFor(counts: Counts): number {
    const light = largest(counts) / sensitivity(this.step)
    let best = this.at
    while (best + 1 < this.steps.length) {
      const next = this.steps[best + 1]
      if (light * sensitivity(next) > FILL * limitOf(next)) break
      best++
    }
    return best
  }
}

function largest({ full, infrared }: Counts): number {
  return Math.max(full, infrared)
}

function sensitivity({ gain, ms }: Step): number {
  return gain.infrared * ms
}

function limitOf({ ms }: Step): number {
  return ms === 100 ? LIMIT_100_MS : LIMIT
}

/** One integration from its start, so that nothing of the step before is in it. */
async function countsOf(chip: I2cChip, { gain, ms }: Step): Promise<Counts> {
  await chip.write(ENABLE, SLEEP)
  await chip.write(CONTROL, gain.bits | (ms / 100 - 1))
  await chip.write(ENABLE, MEASURE)
  await chip.wait(Math.ceil(ms * SLOWEST))
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const bytes = await chip.readFrom(STATUS, 5)
    if (bytes[0] & IS_VALID) {
      await chip.write(ENABLE, SLEEP)
      return { full: u16le(bytes, 1), infrared: u16le(bytes, 3) }
    }
    await chip.wait(AGAIN_MS)
  }
  throw new Error(`the TSL2591 at ${placeOf(chip)} does not finish its measurement: check its wires and its supply`)
}

function illuminanceLx(counts: Counts, { gain, ms }: Step): number {
  const full = counts.full / gain.full
  const infrared = counts.infrared / gain.infrared
  if (full <= infrared) return 0
  return Number((((full - infrared) * (1 - infrared / full) * COUNTS_LX_MS) / ms).toPrecision(4))
}
