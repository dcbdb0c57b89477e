import { choice } from '../options.ts'
import { placeOf } from './chip-identity.ts'
import { checkedReading, humidity, temperature } from './quantities.ts'
import { sensirionWords } from './sensirion-words.ts'
import { i2cSensor } from './sensor-kind.ts'

const RANGE = [-40, 125] as const

/** Commands of one measurement without clock stretching, and their longest duration. */
const MEASURE = {
  high: { command: [0x24, 0x00], ms: 16 },
  medium: { command: [0x24, 0x0b], ms: 7 },
  low: { command: [0x24, 0x16], ms: 5 },
} as const
const BREAK = [0x30, 0x93]
const SOFT_RESET = [0x30, 0xa2]
const STATUS = [0xf3, 0x2d]
const BREAK_MS = 1
const RESET_MS = 2

/**
 * Sensirion SHT30, SHT31 and SHT35: temperature and humidity. ADDR low is 0x44, high 0x45. Commands have two bytes; each
 * word that is read has a checksum. The reset switches off the heater, which nothing here switches on.
 * Source: Sensirion data sheet SHT3x-DIS: timing of the sensor system, measurement commands for single shot mode, soft
 * reset, conversion of signal output.
 */
export const sht3x = i2cSensor({
  kind: 'sht3x',
  description: 'An SHT30, SHT31 or SHT35: temperature and humidity.',
  addresses: [0x44, 0x45],
  options: { repeatability: choice('Higher takes longer and scatters less.', 'high', ['high', 'medium', 'low']) },
  sampleMs: 5000,
  signals: () => ({ temperature: temperature(RANGE), humidity: humidity() }),
  async setUp(chip, { options }) {
    const place = placeOf(chip)
    const { command, ms } = MEASURE[options.repeatability]
    // It takes no reset while somebody before has left it measuring by itself.
    await chip.write(...BREAK)
    await chip.wait(BREAK_MS)
    await chip.write(...SOFT_RESET)
    await chip.wait(RESET_MS)
    sensirionWords(await chip.bus.transfer(chip.address, Uint8Array.from(STATUS), 3), place)
    return {
      async read() {
        await chip.write(...command)
        await chip.wait(ms)
        const [rawTemperature, rawHumidity] = sensirionWords(await chip.read(6), place)
        return {
          temperature: checkedReading(-45 + (175 * rawTemperature) / 65535, RANGE, 'temperature', '°C'),
          humidity: Number(((100 * rawHumidity) / 65535).toFixed(2)),
        }
      },
    }
  },
})
