import { flag, number, whole } from '../options.ts'
import type { I2cChip } from './chip.ts'
import { placeOf } from './chip-identity.ts'
import { checkedReading, humidity, reading, temperature } from './quantities.ts'
import { sensirionCrc, sensirionWords } from './sensirion-words.ts'
import { i2cSensor } from './sensor-kind.ts'

const RANGE_C = [-10, 60] as const
/** What bridges.md §20.5 announces; the chip tells up to 40 000. */
const RANGE_PPM = [400, 5000] as const
const MOST_PPM = 40_000

/** Commands; while it measures by itself it takes READY, MEASUREMENT and STOP only. */
const START = 0x21b1
const STOP = 0x3f86
const READY = 0xe4b8
const MEASUREMENT = 0xec05
const TEMPERATURE_OFFSET = 0x241d
const ALTITUDE = 0x2427
const SELF_CALIBRATION = 0x2416
const SERIAL_NUMBER = 0x3682

const STOP_MS = 500
const COMMAND_MS = 1
/** A new value every 5 s, by its own clock. */
const POLL_MS = 250
const MOST_WAIT_MS = 6000

/**
 * Sensirion SCD40, SCD41 and SCD43: carbon dioxide, temperature and humidity, always at 0x62. Measures by itself every 5 s.
 * Words as those of the SHT3x, each with a checksum. Self-calibration takes the lowest value of a week for fresh air
 * (400 ppm): switch it off where there never is any. Settings are not stored in the chip, whose memory wears out.
 * Source: Sensirion data sheet SCD4x: I2C commands, basic commands, on-chip output signal compensation, field calibration.
 */
export const scd4x = i2cSensor({
  kind: 'scd4x',
  description: 'An SCD40, SCD41 or SCD43: carbon dioxide, temperature and humidity.',
  addresses: [0x62],
  options: {
    altitude: whole('Of the place, above the sea: the air is thinner higher up.', 0, { min: 0, max: 3000, unit: 'm' }),
    temperatureOffset: number('The chip is warmer than the air around it by so much.', 4, {
      min: 0,
      max: 20,
      unit: 'Cel',
    }),
    selfCalibration: flag('Take the lowest value of a week for fresh air.', true),
  },
  sampleMs: 5000,
  signals: () => ({
    co2: {
      ...reading('[ppm]', RANGE_PPM, 'Carbon dioxide'),
      pace: { deadband: 20, heartbeatMs: 60_000 },
    },
    temperature: temperature(RANGE_C),
    humidity: humidity(),
  }),
  async setUp(chip, { options, clock }) {
    const { altitude, temperatureOffset, selfCalibration } = options
    // It measures already when only the router was away, and takes nothing else then.
    await send(chip, STOP)
    await chip.wait(STOP_MS)
    await ask(chip, SERIAL_NUMBER, 3)
    await send(chip, TEMPERATURE_OFFSET, Math.round((temperatureOffset * 65535) / 175))
    await chip.wait(COMMAND_MS)
    await send(chip, ALTITUDE, altitude)
    await chip.wait(COMMAND_MS)
    await send(chip, SELF_CALIBRATION, selfCalibration ? 1 : 0)
    await chip.wait(COMMAND_MS)
    await send(chip, START)
    return {
      async read() {
        const deadline = clock.now() + MOST_WAIT_MS
        // The low 11 bits are 0 as long as there is nothing new.
        while (((await ask(chip, READY, 1))[0] & 0x07ff) === 0) {
          if (clock.now() >= deadline) {
            throw new Error('the SCD4x does not measure: check its supply, of which it draws much for moments')
          }
          await chip.wait(POLL_MS)
        }
        const [ppm, rawTemperature, rawHumidity] = await ask(chip, MEASUREMENT, 3)
        return {
          co2: checkedReading(ppm, [0, MOST_PPM], 'carbon dioxide', 'ppm'),
          temperature: checkedReading(-45 + (175 * rawTemperature) / 65535, [-45, 130], 'temperature', '°C'),
          humidity: Number(((100 * rawHumidity) / 65535).toFixed(2)),
        }
      },
    }
  },
})

async function send(chip: I2cChip, command: number, ...words: readonly number[]): Promise<void> {
  const checked = words.flatMap((word) => {
    const bytes = [word >> 8, word & 0xff]
    return [...bytes, sensirionCrc(Uint8Array.from(bytes))]
  })
  await chip.write(command >> 8, command & 0xff, ...checked)
}

/** Words that a command answers with. */
async function ask(chip: I2cChip, command: number, count: number): Promise<number[]> {
  await send(chip, command)
  await chip.wait(COMMAND_MS)
  return sensirionWords(await chip.read(3 * count), placeOf(chip))
}
