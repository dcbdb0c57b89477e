import {
  boschOptions,
  IDENTITY,
  oversampling,
  pressureRange,
  setUpBoschSensor,
  temperatureRange,
} from './bosch-sensor.ts'
import { checkIdentity } from './chip-identity.ts'
import { humidity, pressure, temperature } from './quantities.ts'
import { i2cSensor } from './sensor-kind.ts'

/**
 * Bosch BME280: temperature, humidity and pressure of the air. SDO at ground is 0x76, at its supply 0x77.
 * Source: Bosch data sheet BST-BME280-DS002; see `bosch-sensor.ts`.
 */
export const bme280 = i2cSensor({
  kind: 'bme280',
  description: 'A BME280: temperature, humidity and air pressure.',
  addresses: [0x76, 0x77],
  options: { ...boschOptions, humidityOversampling: oversampling('humidity') },
  sampleMs: 5000,
  signals: () => ({
    temperature: temperature(temperatureRange),
    humidity: humidity(),
    pressure: pressure(pressureRange),
  }),
  async setUp(chip, { options }) {
    const bmp280 = 'BMP280, which has no humidity: set kind: bmp280'
    await checkIdentity(chip, 'BME280', IDENTITY, [0x60], { 86: bmp280, 87: bmp280, 88: bmp280 })
    return setUpBoschSensor(chip, options)
  },
})
