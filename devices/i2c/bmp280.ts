import { boschOptions, IDENTITY, pressureRange, setUpBoschSensor, temperatureRange } from './bosch-sensor.ts'
import { checkIdentity } from './chip-identity.ts'
import { pressure, temperature } from './quantities.ts'
import { i2cSensor } from './sensor-kind.ts'

/**
 * Bosch BMP280: temperature and pressure of the air. SDO at ground is 0x76, at its supply 0x77.
 * Source: Bosch data sheet BST-BMP280-DS001; samples of it identify themselves as 0x56 and 0x57. See `bosch-sensor.ts`.
 */
export const bmp280 = i2cSensor({
  kind: 'bmp280',
  description: 'A BMP280: temperature and air pressure.',
  addresses: [0x76, 0x77],
  options: boschOptions,
  sampleMs: 5000,
  signals: () => ({ temperature: temperature(temperatureRange), pressure: pressure(pressureRange) }),
  async setUp(chip, { options }) {
    await checkIdentity(chip, 'BMP280', IDENTITY, [0x56, 0x57, 0x58], { 96: 'BME280: set kind: bme280' })
    return setUpBoschSensor(chip, options)
  },
})
