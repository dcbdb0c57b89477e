import type { Plain } from '../device.ts'
import { choice, duration } from '../options.ts'
import { type I2cChip, u16le } from './chip.ts'
import { checkIdentity, placeOf } from './chip-identity.ts'
import { LightLimit } from './light-limit.ts'
import { illuminance, reading } from './quantities.ts'
import { i2cSensor } from './sensor-kind.ts'

/** Each register is addressed with the command bit and the one for addresses that move on. */
const COMMAND = 0xa0
const ENABLE = COMMAND | 0x00
const CONTROL = COMMAND | 0x0f
const IDENTITY = COMMAND | 0x12
const STATUS = COMMAND | 0x13

const SLEEP = 0x00
const POWER_ON = 0x01
const MEASURE = 0x03
const IS_VALID = 0x01

const WARM_UP_MS = 3
const CYCLE_MS = 2.4
const MAX_CYCLES = 256
const COUNTS_A_CYCLE = 1024
const MAX_COUNT = 0xffff
/** Up to so many cycles, light of lamps that flicker may have been cut off although the mean is below the limit. */
const RIPPLE_CYCLES = 64
const RIPPLE_LIMIT = 0.75
const AGAIN_MS = 5
const ATTEMPTS = 5

const GAINS = { x1: 0, x4: 1, x16: 2, x60: 3 } as const
type Gain = keyof typeof GAINS

/** For the bare chip: device factor, shares of the colours in the illuminance, and the line of the colour temperature. */
const DEVICE_FACTOR = 310
const RED_SHARE = 0.136
const BLUE_SHARE = -0.444
const KELVIN_PER_RATIO = 3810
const KELVIN_OFFSET = 1391

const MAX_LX = 120_000
const temperatureRange = [KELVIN_OFFSET, 25_000] as const
const colour = { deadband: 0.002, deadbandRelative: 0.02, heartbeatMs: 60_000 }

/** Counts of one measurement. */
interface Colours {
  readonly clear: number
  readonly red: number
  readonly green: number
  readonly blue: number
}

/**
 * ams (TAOS) TCS34725 and TCS34727: light of four colours, and from these illuminance and colour temperature. Its only
 * address is 0x29. Colours are shares of what it can count at the chosen gain and integration, all on the same scale.
 * Between readings it sleeps.
 * Source: TAOS data sheet TCS3472, TAOS135 (August 2012): register set; ams application note DN40 Rev 1.0 (26/08/13), Lux
 * and CCT Calculations using ams Color Sensors: 3.1 to 3.7, and the coefficients of the TCS3472.
 */
export const tcs34725 = i2cSensor({
  kind: 'tcs34725',
  description: 'A TCS34725: colour, illuminance and colour temperature.',
  addresses: [0x29],
  options: {
    gain: choice('Analog gain.', 'x4', ['x1', 'x4', 'x16', 'x60']),
    integration: duration('Time over which light is counted; whole periods of the mains keep lamps steady.', 154, {
      minMs: 3,
      maxMs: 614,
    }),
  },
  sampleMs: 1000,
  signals: () => ({
    red: { ...reading('normalized', [0, 1], 'Red light'), pace: colour },
    green: { ...reading('normalized', [0, 1], 'Green light'), pace: colour },
    blue: { ...reading('normalized', [0, 1], 'Blue light'), pace: colour },
    clear: { ...reading('normalized', [0, 1], 'Light of all colours'), pace: colour },
    illuminance: illuminance(MAX_LX),
    colour_temperature: {
      ...reading(
        'K',
        temperatureRange,
        'Correlated colour temperature; null in the dark, and of light that is not white',
      ),
      pace: { deadband: 20, heartbeatMs: 60_000 },
    },
  }),
  async setUp(chip, context) {
    const { gain, integration } = context.options
    await checkIdentity(chip, 'TCS34725', IDENTITY, [0x44, 0x4d], { 80: 'TSL2591: set kind: tsl2591' })
    const cycles = Math.min(MAX_CYCLES, Math.max(1, Math.round(integration / CYCLE_MS)))
    const scale = Math.min(MAX_COUNT, COUNTS_A_CYCLE * cycles)
    const limit = new LightLimit(context, 'choose less gain or a shorter integration')
    const share = (count: number) => Number(Math.min(1, count / scale).toFixed(4))
    return {
      async read() {
        const colours = await measure(chip, cycles, gain)
        const isSaturated = colours.clear >= (cycles < RIPPLE_CYCLES ? RIPPLE_LIMIT : 1) * scale
        limit.tell(isSaturated)
        return {
          red: share(colours.red),
          green: share(colours.green),
          blue: share(colours.blue),
          clear: share(colours.clear),
          ...(isSaturated
            ? { illuminance: null, colour_temperature: null }
            : whiteLight(colours, cycles * CYCLE_MS * Number(gain.slice(1)))),
        }
      },
    }
  },
})

async function measure(chip: I2cChip, cycles: number, gain: Gain): Promise<Colours> {
  // Enable and integration time are neighbours.
  await chip.write(ENABLE, POWER_ON, MAX_CYCLES - cycles)
  await chip.write(CONTROL, GAINS[gain])
  await chip.wait(WARM_UP_MS)
  await chip.write(ENABLE, MEASURE)
  await chip.wait(Math.ceil((cycles + 1) * CYCLE_MS))
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const bytes = await chip.readFrom(STATUS, 9)
    if (bytes[0] & IS_VALID) {
      await chip.write(ENABLE, SLEEP)
      return { clear: u16le(bytes, 1), red: u16le(bytes, 3), green: u16le(bytes, 5), blue: u16le(bytes, 7) }
    }
    await chip.wait(AGAIN_MS)
  }
  throw new Error(`the TCS34725 at ${placeOf(chip)} does not finish its measurement: check its wires and its supply`)
}

/** Infrared light is in all four channels alike, and taken out first. `sensitivity`: ms · gain. */
function whiteLight({ clear, red, green, blue }: Colours, sensitivity: number): Readonly<Record<string, Plain>> {
  const infrared = Math.max(0, (red + green + blue - clear) / 2)
  const [r, g, b] = [red - infrared, green - infrared, blue - infrared]
  const lx = ((RED_SHARE * r + g + BLUE_SHARE * b) * DEVICE_FACTOR) / sensitivity
  const kelvin = r > 0 && b > 0 ? Math.round(KELVIN_PER_RATIO * (b / r) + KELVIN_OFFSET) : null
  return {
    illuminance: Number(Math.max(0, lx).toFixed(2)),
    colour_temperature: kelvin !== null && kelvin <= temperatureRange[1] ? kelvin : null,
  }
}
