import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sensirionWords } from '../../../devices/i2c/sensirion-words.ts'
import { Scene } from '../scene.ts'
import { Aht20Chip, Scd4xChip, Sht3xChip, Sht4xChip } from './sensirion-chip.ts'

test('checksums are those of the data sheet', () => {
  assert.deepEqual(sensirionWords(Uint8Array.of(0xbe, 0xef, 0x92), 'here'), [0xbeef])
  assert.throws(() => sensirionWords(Uint8Array.of(0xbe, 0xef, 0x93), 'here'), /checksum from the chip at here/)
  assert.throws(() => sensirionWords(new Uint8Array(6).fill(0xff), 'here'))
  assert.throws(() => sensirionWords(new Uint8Array(6), 'here'))
})

test('an SHT3x that somebody left heating and measuring is reset, and read', async (t) => {
  const scene = await Scene.start(t, '- {name: bath, kind: sht3x, simulate: false}')
  const chip = new Sht3xChip(scene.clock)
  scene.i2c.attach('1', 0x44, chip)
  await scene.pass(3000, 5)
  assert.deepEqual([scene.params.get('/i2c/bath/temperature'), scene.params.get('/i2c/bath/humidity')], [25, 60])
  assert.equal(chip.isHeating, false)
})

test('an SHT4x is read, and beyond its scale humidity is all or nothing', async (t) => {
  const scene = await Scene.start(t, '- {name: bath, kind: sht4x, chipAddress: 0x46, every: 100ms, simulate: false}')
  const chip = new Sht4xChip(scene.clock)
  scene.i2c.attach('1', 0x46, chip)
  await scene.pass(3000, 5)
  // 125 · 0.6 - 6
  assert.deepEqual([scene.params.get('/i2c/bath/temperature'), scene.params.get('/i2c/bath/humidity')], [25, 69])
  chip.humidity = 0x0100
  await scene.pass(200, 5)
  assert.equal(scene.params.get('/i2c/bath/humidity'), 0)
  chip.humidity = 0xff00
  await scene.pass(200, 5)
  assert.equal(scene.params.get('/i2c/bath/humidity'), 100)
})

test('the repeatability chooses the command, and none of them heats', async (t) => {
  const scene = await Scene.start(
    t,
    `- {name: a, kind: sht3x, repeatability: medium, simulate: false}
- {name: b, kind: sht3x, chipAddress: 0x45, repeatability: low, simulate: false}
- {name: c, kind: sht4x, bus: 2, repeatability: medium, simulate: false}
- {name: d, kind: sht4x, bus: 2, chipAddress: 0x45, repeatability: low, simulate: false}`,
  )
  const chips = [new Sht3xChip(scene.clock), new Sht3xChip(scene.clock)]
  const others = [new Sht4xChip(scene.clock), new Sht4xChip(scene.clock)]
  for (const at of [0, 1]) {
    scene.i2c.attach('1', 0x44 + at, chips[at])
    scene.i2c.attach('2', 0x44 + at, others[at])
  }
  await scene.pass(3000, 5)
  assert.deepEqual(
    [...chips, ...others].map(({ commands }) => commands.at(-1)),
    [0x240b, 0x2416, 0xf6, 0xe0],
  )
  for (const name of ['a', 'b', 'c', 'd']) assert.equal(scene.params.get(`/i2c/${name}/temperature`), 25)
})

test('a wrong checksum is no reading; after three there is no value until it is right again', async (t) => {
  const scene = await Scene.start(t, '- {name: bath, kind: sht3x, every: 100ms, simulate: false}')
  const chip = new Sht3xChip(scene.clock)
  scene.i2c.attach('1', 0x44, chip)
  await scene.pass(3000, 5)
  chip.noise = 0x40
  await scene.pass(150, 5)
  assert.equal(scene.params.get('/i2c/bath/humidity'), 60)
  await scene.pass(400, 5)
  assert.equal(scene.params.get('/i2c/bath/humidity'), null)
  assert.match(scene.devices.reports[0].problem, /checksum from the chip at 0x44 of the I2C bus 1 is wrong/)
  chip.noise = 0
  await scene.pass(10_000, 10)
  assert.equal(scene.params.get('/i2c/bath/humidity'), 60)
})

test('an SCD41 that measures already is set up anew, and read as often as it has something new', async (t) => {
  const scene = await Scene.start(
    t,
    '- {name: air, kind: scd4x, altitude: 500, temperatureOffset: 3, selfCalibration: false, simulate: false}',
  )
  const chip = new Scd4xChip(scene.clock)
  scene.i2c.attach('1', 0x62, chip)
  await scene.pass(10_000, 100)
  assert.deepEqual(
    ['co2', 'temperature', 'humidity'].map((key) => scene.params.get(`/i2c/air/${key}`)),
    [800, 25, 37],
  )
  // 3 · 65535 / 175 is 1123.
  assert.deepEqual(
    [...chip.settings],
    [
      [0x241d, 1123],
      [0x2427, 500],
      [0x2416, 0],
    ],
  )
  chip.ppm = 1500
  await scene.pass(6000, 100)
  assert.equal(scene.params.get('/i2c/air/co2'), 1500)
  const { meta } = scene.signals.find(({ address }) => address === '/i2c/air/co2') ?? {}
  assert.deepEqual([meta?.unit, meta?.range], ['[ppm]', [400, 5000]])
})

test('an SCD41 that was without power and does not measure is told of, and started again', async (t) => {
  const scene = await Scene.start(t, '- {name: air, kind: scd4x, simulate: false}')
  scene.i2c.attach('1', 0x62, new Scd4xChip(scene.clock))
  await scene.pass(10_000, 100)
  assert.equal(scene.params.get('/i2c/air/co2'), 800)
  const chip = new Scd4xChip(scene.clock)
  chip.isMeasuring = false
  scene.i2c.attach('1', 0x62, chip)
  await scene.pass(40_000, 250)
  assert.match(String(scene.told('/i2c/air/error', 'message').at(-1)), /the SCD4x does not measure: check/)
  assert.deepEqual([scene.params.get('/i2c/air/ok'), chip.isMeasuring], [true, true])
})

test('an AHT20 loads its calibration and is read; a wrong checksum is no reading', async (t) => {
  const scene = await Scene.start(t, '- {name: bath, kind: aht20, every: 500ms, simulate: false}')
  const chip = new Aht20Chip(scene.clock)
  scene.i2c.attach('1', 0x38, chip)
  await scene.pass(3000, 20)
  const readings = () => ['temperature', 'humidity'].map((key) => scene.params.get(`/i2c/bath/${key}`))
  assert.deepEqual([...readings(), chip.isCalibrated], [25, 50, true])
  // -10 °C: 200 · 0.2 - 50; 0.75 of the scale.
  chip.temperature = 0x33333
  chip.humidity = 0xc0000
  await scene.pass(1000, 20)
  assert.deepEqual(readings(), [-10, 75])
  chip.noise = 1
  await scene.pass(2000, 20)
  assert.deepEqual(readings(), [null, null])
  const { problem } = scene.params.get('/_meta/hw/i2c/bath') as Record<string, string>
  assert.match(problem, /the checksum from the chip at 0x38/)
  chip.noise = 0
  chip.isCalibrated = false
  await scene.pass(4000, 20)
  assert.deepEqual([...readings(), chip.isCalibrated], [-10, 75, true])
})
