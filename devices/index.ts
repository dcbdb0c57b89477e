import type { AnyDeviceKind } from './device.ts'
import { button } from './gpio/button.ts'
import { counter } from './gpio/counter.ts'
import { encoder } from './gpio/encoder.ts'
import { led } from './gpio/led.ts'
import { output } from './gpio/output.ts'
import { pir } from './gpio/pir.ts'
import { pwm } from './gpio/pwm.ts'
import { relay } from './gpio/relay.ts'
import { servo } from './gpio/servo.ts'
import { stepper } from './gpio/stepper.ts'
import { contactSwitch } from './gpio/switch.ts'
import { ultrasonic } from './gpio/ultrasonic.ts'
import { keypad } from './hid/keypad.ts'
import { ads1115 } from './i2c/ads1115.ts'
import { aht20 } from './i2c/aht20.ts'
import { bh1750 } from './i2c/bh1750.ts'
import { bme280 } from './i2c/bme280.ts'
import { bmp280 } from './i2c/bmp280.ts'
import { i2cBusScan } from './i2c/i2c-bus.ts'
import { i2cRegisters } from './i2c/i2c-registers.ts'
import { ina219 } from './i2c/ina219.ts'
import { mcp23017 } from './i2c/mcp23017.ts'
import { mpr121 } from './i2c/mpr121.ts'
import { mpu6050 } from './i2c/mpu6050.ts'
import { pca9685 } from './i2c/pca9685.ts'
import { pcf8574 } from './i2c/pcf8574.ts'
import { scd4x } from './i2c/scd4x.ts'
import { sht3x } from './i2c/sht3x.ts'
import { sht4x } from './i2c/sht4x.ts'
import { ssd1306 } from './i2c/ssd1306.ts'
import { tcs34725 } from './i2c/tcs34725.ts'
import { tsl2591 } from './i2c/tsl2591.ts'
import { vl53l0x } from './i2c/vl53l0x.ts'
import { hwmon } from './kernel/hwmon.ts'
import { iio } from './kernel/iio.ts'
import { kernelLed } from './kernel/kernel-led.ts'
import { system } from './kernel/system.ts'
import { ds18b20 } from './one-wire/ds18b20.ts'
import { csv } from './serial/csv.ts'
import { json } from './serial/json.ts'
import { lines } from './serial/lines.ts'
import { modbus } from './serial/modbus.ts'
import { modbusTcp } from './serial/modbus-tcp.ts'
import { nmea } from './serial/nmea.ts'

/** The drivers: one line each. Libraries that they need are imported when a device is opened, not here. */
export const deviceKinds: readonly AnyDeviceKind[] = [
  button,
  contactSwitch,
  pir,
  encoder,
  counter,
  output,
  relay,
  led,
  pwm,
  servo,
  stepper,
  ultrasonic,
  ds18b20,
  iio,
  hwmon,
  system,
  kernelLed,
  keypad,
  mcp23017,
  pca9685,
  pcf8574,
  ssd1306,
  bme280,
  bmp280,
  sht3x,
  sht4x,
  aht20,
  scd4x,
  bh1750,
  tsl2591,
  tcs34725,
  mpr121,
  ads1115,
  ina219,
  mpu6050,
  vl53l0x,
  i2cRegisters,
  i2cBusScan,
  nmea,
  lines,
  json,
  csv,
  modbus,
  modbusTcp,
]
