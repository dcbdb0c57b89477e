import { choice } from '../options.ts'
import { placeOf } from './chip-identity.ts'
import { checkedReading, humidity, temperature } from './quantities.ts'
import { sensirionWords } from './sensirion-words.ts'
import { i2cSensor } from './sensor-kind.ts'

const RANGE = [-40, 125] as const

/** Commands of one measurement, and their longest duration. Those that heat are others, and never sent. */
const MEASURE = {
  high: { command: 0xfd, ms: 10 },
  medium: { command: 0xf6, ms: 6 },
  low: { command: 0xe0, ms: 3 },
} as const
const SOFT_RESET = 0x94
const SERIAL_NUMBER = 0x89
const RESET_MS = 2
const SERIAL_NUMBER_MS = 2

/**
 * Sensirion SHT40, SHT41 and SHT45: temperature and humidity. The address, 0x44, 0x45 or 0x46, is part of the part number.
 * Commands have one byte; each word that is read has a checksum. Beyond its ends the scale of the humidity is cut off.
 * Source: Sensirion data sheet SHT4x: timings, command overview, conversion of signal output.
 */
export const sht4x = i2cSensor({
  kind: 'sht4x',
  description: 'An SHT40, SHT41 or SHT45: temperature and humidity.',
  addresses: [0x44, 0x45, 0x46],
  options: { repeatability: choice('Higher takes longer and scatters less.', 'high', ['high', 'medium', 'low']) },
  sampleMs: 5000,
  signals: () => ({ temperature: temperature(RANGE), humidity: humidity() }),
  async setUp(chip, { options }) {
    const place = placeOf(chip)
    const { command, ms } = MEASURE[options.repeatability]
    await chip.write(SOFT_RESET)
    await chip.wait(RESET_MS)
    await chip.write(SERIAL_NUMBER)
    await chip.wait(SERIAL_NUMBER_MS)
    sensirionWords(await chip.read(6), place)
    return {
      async read() {
        await chip.write(command)
        await chip.wait(ms)
        const [rawTemperature, rawHumidity] = sensirionWords(await chip.read(6), place)
        const percent = -6 + (125 * rawHumidity) / 65535
        return {
          temperature: checkedReading(-45 + (175 * rawTemperature) / 65535, RANGE, 'temperature', '°C'),
          humidity: Number(Math.min(100, Math.max(0, percent)).toFixed(2)),
        }
      },
    }
  },
})
