import type { I2cChip } from './chip.ts'
import { placeOf } from './chip-identity.ts'
import { checkedReading, humidity, temperature } from './quantities.ts'
import { sensirionCrc } from './sensirion-words.ts'
import { i2cSensor } from './sensor-kind.ts'

const RANGE = [-40, 85] as const
const FULL_SCALE = 2 ** 20

const STATUS = 0x71
const INITIALIZE = [0xbe, 0x08, 0x00]
const MEASURE = [0xac, 0x33, 0x00]
/** Of the status. */
const BUSY = 0x80
const CALIBRATED = 0x08
const INITIALIZE_MS = 10
const MEASURE_MS = 80
const POLL_MS = 10
const POLLS = 5

/**
 * Aosong AHT20, and the AHT10 and AHT21 as far as they send a checksum: temperature and humidity, always at 0x38. Seven
 * bytes: status, 20 bits of humidity and 20 of temperature, high bits first, and a CRC-8 as that of Sensirion.
 * Source: Aosong data sheet AHT20: sensor communication, signal transformation.
 */
export const aht20 = i2cSensor({
  kind: 'aht20',
  description: 'An AHT20 or AHT21: temperature and humidity.',
  addresses: [0x38],
  options: {},
  sampleMs: 5000,
  signals: () => ({ temperature: temperature(RANGE), humidity: humidity() }),
  async setUp(chip) {
    await initialize(chip)
    return {
      async read() {
        const bytes = await measure(chip)
        if ((bytes[0] & CALIBRATED) === 0) {
          await initialize(chip)
          throw new Error('the AHT20 lost its calibration and got it anew: check whether its supply breaks down')
        }
        const rawHumidity = (bytes[1] << 12) | (bytes[2] << 4) | (bytes[3] >> 4)
        const rawTemperature = ((bytes[3] & 0x0f) << 16) | (bytes[4] << 8) | bytes[5]
        return {
          temperature: checkedReading((200 * rawTemperature) / FULL_SCALE - 50, RANGE, 'temperature', '°C'),
          humidity: Number(((100 * rawHumidity) / FULL_SCALE).toFixed(2)),
        }
      },
    }
  },
})

/** After power-up it has no calibration yet. */
async function initialize(chip: I2cChip): Promise<void> {
  if (((await chip.readByte(STATUS)) & CALIBRATED) !== 0) return
  await chip.write(...INITIALIZE)
  await chip.wait(INITIALIZE_MS)
  if (((await chip.readByte(STATUS)) & CALIBRATED) !== 0) return
  throw new Error(
    `the chip at ${placeOf(chip)} does not load its calibration: is it an AHT20? An expander may be there`,
  )
}

/** The seven bytes of one measurement; the bus is free while it lasts. */
async function measure(chip: I2cChip): Promise<Uint8Array> {
  await chip.write(...MEASURE)
  await chip.wait(MEASURE_MS)
  for (let poll = 0; poll < POLLS; poll++) {
    const bytes = await chip.read(7)
    if ((bytes[0] & BUSY) === 0) {
      if (sensirionCrc(bytes.subarray(0, 6)) === bytes[6]) return bytes
      throw new Error(`the checksum from the chip at ${placeOf(chip)} is wrong: check its wires, or shorten them`)
    }
    await chip.wait(POLL_MS)
  }
  throw new Error('the AHT20 does not finish a measurement: check its supply, or take it off and on')
}
