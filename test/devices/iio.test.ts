import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { parseConfig } from '../../runtime/config/load.ts'
import { FakeSysfs } from './fake-sysfs.ts'
import { becomes } from './passing.ts'
import { Scene } from './scene.ts'

const CHIP = 'devices/platform/soc/i2c-1/1-0076/iio:device0'
const ADC = 'devices/platform/soc/i2c-1/1-0048/iio:device1'

/** A BME280 and an ADS1115, as the kernel shows them. */
function board(t: TestContext): FakeSysfs {
  const sysfs = new FakeSysfs(t)
  sysfs.write(CHIP, {
    name: 'bme280',
    in_temp_input: 23_450,
    in_pressure_input: '101.325000000',
    in_humidityrelative_input: 45_125,
  })
  sysfs.link('bus/iio/devices/iio:device0', CHIP)
  sysfs.write(ADC, {
    name: 'ads1015',
    in_voltage0_raw: 8000,
    in_voltage0_scale: '0.125000000',
    in_voltage1_raw: 16_000,
    in_voltage_scale: '0.187500000',
    'in_voltage0-voltage1_raw': -800,
    'in_voltage-voltage_scale': '0.5',
    in_temp_raw: 100,
    in_temp_offset: 20,
    in_temp_scale: 250,
  })
  sysfs.link('bus/iio/devices/iio:device1', ADC)
  sysfs.write('bus/iio/devices/trigger0', { name: 'a trigger' })
  return sysfs
}

async function start(t: TestContext, sysfs: FakeSysfs, options: string): Promise<Scene> {
  return Scene.start(t, `- {name: x, kind: iio, simulate: false, ${options}}`, { sysfs: sysfs.root })
}

test('a usual chip is read without a list of its channels, in the units that clients see', async (t) => {
  const sysfs = board(t)
  const scene = await start(t, sysfs, 'device: bme280')
  await becomes(scene, '/iio/x/temperature', 23.45)
  await becomes(scene, '/iio/x/humidity', 45.125)
  await becomes(scene, '/iio/x/pressure', 1013.25)
  const units = scene.signals.filter(({ address }) => /temperature|humidity|pressure/.test(address))
  assert.deepEqual(
    units.map(({ meta }) => meta?.unit),
    ['Cel', 'hPa', '%'],
  )
})

test('raw readings take the offset and the scale of the channel, or those that all of its kind share', async (t) => {
  const scene = await start(
    t,
    board(t),
    `device: 1-0048, channels: [{channel: voltage0}, {channel: voltage1},
      {channel: voltage0-voltage1, key: difference}, {channel: temp},
      {channel: voltage1, key: level, gain: 40, offset: -20, unit: '%', min: 0, max: 100}]`,
  )
  // 8000 · 0.125 mV, 16000 · 0.1875 mV, -800 · 0.5 mV, (100 + 20) · 250 m°C, 3 V · 40 - 20.
  await becomes(scene, '/iio/x/voltage0', 1)
  await becomes(scene, '/iio/x/voltage1', 3)
  await becomes(scene, '/iio/x/difference', -0.4)
  await becomes(scene, '/iio/x/temp', 30)
  await becomes(scene, '/iio/x/level', 100)
  const level = scene.signals.find(({ address }) => address === '/iio/x/level')
  assert.deepEqual([level?.meta?.unit, level?.meta?.range], ['%', [0, 100]])
})

test('a sensor that goes has no values, and has them again when it is back', async (t) => {
  const sysfs = board(t)
  const scene = await start(t, sysfs, 'device: bme280')
  await becomes(scene, '/iio/x/temperature', 23.45)
  sysfs.remove(CHIP)
  await becomes(scene, '/iio/x/temperature', null)
  sysfs.write(CHIP, { name: 'bme280', in_temp_input: 21_000, in_pressure_input: 100, in_humidityrelative_input: 1 })
  await becomes(scene, '/iio/x/temperature', 21)
})

test('what is missing is said with what there is', async (t) => {
  const sysfs = board(t)
  const problem = async (options: string) => (await start(t, sysfs, options)).devices.reports[0].problem
  assert.equal(
    await problem('device: bmp280'),
    'there is no IIO device bmp280: there are bme280 (1-0076, iio:device0); ads1015 (1-0048, iio:device1)',
  )
  assert.equal(
    await problem('device: bme280, channels: [{channel: accel_x}]'),
    'bme280 has no channel accel_x: there are humidityrelative, pressure, temp',
  )
  sysfs.link('bus/iio/devices/iio:device2', CHIP)
  assert.match(await problem('device: bme280'), /^2 IIO devices are called bme280: name one of .*iio:device2/)
  const none = await start(t, new FakeSysfs(t), 'device: bme280')
  assert.match(none.devices.reports[0].problem, /this machine has none: load its driver/)
})

test('channels that cannot be guessed, and two at one address, are mistakes of the configuration', async () => {
  const config = (options: string) => parseConfig(`devices:\n  - {name: x, kind: iio, ${options}}\n`, 'test.yaml')
  await assert.rejects(config('device: scd30'), /channels of "scd30" are not known: list them/)
  await assert.rejects(
    config('device: a, channels: [{channel: temp}, {channel: TEMP}]'),
    /two channels have the key temp/,
  )
  await assert.rejects(config('device: a, channels: [{channel: temp, key: ok}]'), /no channel can have the key ok/)
  await assert.rejects(config('device: a, channels: [{channel: temp, min: 5, max: 5}]'), /min must be less than max/)
})

test('a simulated sensor has readings in the range of what it measures', async (t) => {
  const scene = await Scene.start(t, '- {name: x, kind: iio, device: bme280}')
  await scene.pass(6000, 1000)
  const pressure = Number(scene.params.get('/iio/x/pressure'))
  assert.ok(pressure > 600 && pressure < 800, `${pressure}`)
  await scene.set('/iio/x/simulated/temperature', 30)
  await scene.pass(6000, 1000)
  assert.equal(scene.params.get('/iio/x/temperature'), 30)
})
