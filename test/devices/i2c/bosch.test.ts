import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Scene } from '../scene.ts'
import { BoschChip, type BoschParts } from './bosch-chip.ts'

/** The worked example of the BMP280 data sheet, 3.12: 25.08 °C and 100653.27 Pa. */
const example = {
  trim: [27504, 26435, -1000, 36477, -10685, 3024, 2855, 140, -7, 15500, -14600, 6000],
  temperature: 519888,
  pressure: 415148,
}
/** By the integer formula of the BME280 data sheet, 4.2.3, with the temperature above: 44.262 %. */
const bme280: BoschParts = { identity: 0x60, ...example, humidityTrim: [75, 360, 3, 314, -7, 30], humidity: 28000 }
const bmp280: BoschParts = { identity: 0x58, ...example }

const yaml = '- {name: shed, kind: bme280, simulate: false}'

function near(actual: unknown, expected: number, tolerance: number): void {
  assert.ok(Math.abs(Number(actual) - expected) <= tolerance, `${actual} is not ${expected}`)
}

test('a BME280 is compensated as its data sheet says', async (t) => {
  const scene = await Scene.start(t, yaml)
  scene.i2c.attach('1', 0x76, new BoschChip(scene.clock, bme280))
  await scene.pass(3000, 5)
  near(scene.params.get('/i2c/shed/temperature'), 25.08, 0.005)
  near(scene.params.get('/i2c/shed/pressure'), 1006.5327, 0.005)
  near(scene.params.get('/i2c/shed/humidity'), 44.262, 0.01)
  const announced = scene.signals.map(({ address, meta }) => [address, meta?.unit, meta?.range])
  assert.deepEqual(announced.slice(0, 3), [
    ['/i2c/shed/temperature', 'Cel', [-40, 85]],
    ['/i2c/shed/humidity', '%', [0, 100]],
    ['/i2c/shed/pressure', 'hPa', [300, 1100]],
  ])
})

test('a BMP280 measures without humidity, with the oversampling and the filter that it is told', async (t) => {
  const options = 'chipAddress: 0x77, temperatureOversampling: x2, pressureOversampling: x16, filter: x4'
  const scene = await Scene.start(t, `- {name: shed, kind: bmp280, ${options}, simulate: false}`)
  const chip = new BoschChip(scene.clock, bmp280)
  scene.i2c.attach('1', 0x77, chip)
  await scene.pass(3000, 5)
  near(scene.params.get('/i2c/shed/temperature'), 25.08, 0.005)
  near(scene.params.get('/i2c/shed/pressure'), 1006.5327, 0.005)
  // Twice is 2, 16 times is 5; a filter of 4 is 2; one measurement is mode 1.
  assert.equal(chip.registers[0xf4], (2 << 5) | (5 << 2) | 1)
  assert.equal(chip.registers[0xf5], 2 << 2)
})

test('a sensor that is absent at the start is read once it is there', async (t) => {
  const scene = await Scene.start(t, yaml)
  assert.equal(scene.params.get('/i2c/shed/ok'), false)
  assert.match(scene.devices.reports[0].problem, /no chip answers at 0x76/)
  scene.i2c.attach('1', 0x76, new BoschChip(scene.clock, bme280))
  await scene.pass(3000, 5)
  assert.equal(scene.params.get('/i2c/shed/ok'), true)
  near(scene.params.get('/i2c/shed/temperature'), 25.08, 0.005)
})

test('a sensor that was unplugged has no values, and is set up anew when it is back', async (t) => {
  const options = 'every: 100ms, humidityOversampling: x4'
  const scene = await Scene.start(t, `- {name: shed, kind: bme280, ${options}, simulate: false}`)
  const chip = new BoschChip(scene.clock, bme280)
  scene.i2c.attach('1', 0x76, chip)
  await scene.pass(3000, 10)
  near(scene.params.get('/i2c/shed/humidity'), 44.262, 0.01)
  scene.i2c.detach('1', 0x76)
  await scene.pass(500, 10)
  assert.equal(scene.params.get('/i2c/shed/humidity'), null)
  assert.equal(scene.params.get('/i2c/shed/ok'), false)
  chip.reset()
  scene.i2c.attach('1', 0x76, chip)
  await scene.pass(10_000, 10)
  near(scene.params.get('/i2c/shed/humidity'), 44.262, 0.01)
  assert.equal(chip.registers[0xf2], 3)
})

test('a sensor that forgot its set-up between two readings is set up anew', async (t) => {
  const scene = await Scene.start(t, '- {name: shed, kind: bme280, every: 100ms, simulate: false}')
  const chip = new BoschChip(scene.clock, bme280)
  scene.i2c.attach('1', 0x76, chip)
  await scene.pass(3000, 10)
  chip.reset()
  await scene.pass(450, 10)
  assert.match(scene.devices.reports[0].problem, /0x76 of the I2C bus 1 .*lost its set-up/)
  await scene.pass(5000, 10)
  near(scene.params.get('/i2c/shed/humidity'), 44.262, 0.01)
})

test('the wrong one of the two is said with the kind to set', async (t) => {
  const scene = await Scene.start(
    t,
    '- {name: a, kind: bme280, simulate: false}\n- {name: b, kind: bmp280, chipAddress: 0x77, simulate: false}',
  )
  scene.i2c.attach('1', 0x76, new BoschChip(scene.clock, bmp280))
  scene.i2c.attach('1', 0x77, new BoschChip(scene.clock, bme280))
  await scene.pass(2000, 20)
  const [a, b] = scene.devices.reports
  assert.match(a.problem, /0x76 of the I2C bus 1 is not a BME280 but a BMP280, .* set kind: bmp280/)
  assert.match(b.problem, /0x77 of the I2C bus 1 is not a BMP280 but a BME280: set kind: bme280/)
})

test('readings and calibrations that cannot be are refused', async (t) => {
  const entry = (name: string, address: string) =>
    `- {name: ${name}, kind: bme280, chipAddress: ${address}, every: 100ms, simulate: false}`
  const scene = await Scene.start(t, `${entry('hot', '0x76')}\n${entry('blank', '0x77')}`)
  // By the integer formula 96.58 °C.
  scene.i2c.attach('1', 0x76, new BoschChip(scene.clock, { ...bme280, temperature: 750_000 }))
  scene.i2c.attach('1', 0x77, new BoschChip(scene.clock, { ...bme280, trim: new Array(12).fill(0xffff) }))
  // Attempts are made at random times, and a sensor that is opened again has no problem until its readings fail.
  const said = new Set<string>()
  for (let i = 0; i < 100; i++) {
    await scene.pass(20)
    for (const { name, problem } of scene.devices.reports) said.add(`${name}: ${problem}`)
  }
  const all = [...said].join('\n')
  assert.match(all, /hot: a temperature of 96\.6 °C is outside .*-40…85 °C/)
  assert.match(all, /blank: the chip at 0x77 .* lost its calibration/)
  assert.equal(scene.params.has('/i2c/hot/temperature'), false)
  // No attempt is under way at the end, when time stands still.
  for (const address of [0x76, 0x77]) scene.i2c.detach('1', address)
  await scene.pass(60, 20)
})
