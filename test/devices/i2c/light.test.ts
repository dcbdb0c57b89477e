import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Scene } from '../scene.ts'
import { Bh1750Chip } from './bh1750-chip.ts'
import { Tcs34725Chip } from './tcs34725-chip.ts'
import { Tsl2591Chip } from './tsl2591-chip.ts'

test('a BH1750 is read as in the example of its data sheet', async (t) => {
  const scene = await Scene.start(t, '- {name: desk, kind: bh1750, simulate: false}')
  const chip = new Bh1750Chip(scene.clock)
  // 83 90 is 33680 counts, of which 1.2 are a lux.
  chip.lx = 28066.6667
  scene.i2c.attach('1', 0x23, chip)
  await scene.pass(3000, 10)
  assert.equal(scene.params.get('/i2c/desk/illuminance'), 28066.67)
  const signal = scene.signals.find(({ address }) => address === '/i2c/desk/illuminance')
  assert.deepEqual([signal?.meta?.unit, signal?.meta?.range], ['lx', [0, 121556]])
})

test('a BH1750 measures finer and longer when it is told to, also after a dip of its supply', async (t) => {
  const options = 'resolution: high2, measurementTime: 254, every: 700ms, simulate: false'
  const scene = await Scene.start(t, `- {name: desk, kind: bh1750, chipAddress: 0x5c, ${options}}`)
  const chip = new Bh1750Chip(scene.clock)
  chip.lx = 0.4529
  scene.i2c.attach('1', 0x5c, chip)
  await scene.pass(4000, 10)
  // 4 counts of 1 / 2.4 · 69 / 254 lx
  assert.equal(scene.params.get('/i2c/desk/illuminance'), 0.45)
  assert.deepEqual(chip.commands.slice(0, 4), [0x01, 0x40 | 7, 0x60 | 30, 0x21])
  chip.reset()
  chip.lx = 10
  await scene.pass(1500, 10)
  // 88 counts
  assert.equal(scene.params.get('/i2c/desk/illuminance'), 9.96)
})

test('a BH1750 in the sun measures shorter, and beyond its end says so and has no value', async (t) => {
  const scene = await Scene.start(t, '- {name: roof, kind: bh1750, simulate: false}')
  const chip = new Bh1750Chip(scene.clock)
  chip.lx = 80_000
  scene.i2c.attach('1', 0x23, chip)
  await scene.pass(3000, 10)
  // 43130 counts at 31 instead of 69
  assert.equal(scene.params.get('/i2c/roof/illuminance'), 79999.19)
  scene.events.length = 0
  chip.lx = 130_000
  await scene.pass(12_000, 20)
  assert.equal(scene.params.get('/i2c/roof/illuminance'), null)
  assert.equal(scene.params.get('/i2c/roof/ok'), true)
  assert.equal(scene.devices.reports[0].state, 'running')
  chip.lx = 100
  await scene.pass(2000, 10)
  assert.equal(scene.params.get('/i2c/roof/illuminance'), 100)
})

test('a TSL2591 finds the gain and the time that fit the light', async (t) => {
  const scene = await Scene.start(t, '- {name: sky, kind: tsl2591, every: 2s, simulate: false}')
  const chip = new Tsl2591Chip(scene.clock)
  const lxAt = async (full: number, infrared: number) => {
    Object.assign(chip, { full, infrared })
    chip.controls.length = 0
    await scene.pass(4000, 20)
    return [scene.params.get('/i2c/sky/illuminance'), chip.controls.at(-1)]
  }
  scene.i2c.attach('1', 0x29, chip)
  // 1600 and 400 counts at 400 times and 100 ms: (4 - 1) · (1 - 1 / 4) · 408 / 100
  assert.deepEqual(await lxAt(0.04, 0.01), [9.18, 0x20])
  // 1104 and 297 counts at 9200 and 9900 times and 600 ms: (0.12 - 0.03) · (1 - 1 / 4) · 408 / 600
  assert.deepEqual(await lxAt(0.0002, 0.00005), [0.0459, 0x35])
  // 30000 and 7500 counts at the least gain: 22500 · (1 - 1 / 4) · 408 / 100
  assert.deepEqual(await lxAt(300, 75), [68850, 0x00])
  // Infrared light alone is dark.
  assert.equal((await lxAt(1, 1))[0], 0)
})

test('a TSL2591 with too much light has no value, says so, and is back when it can measure', async (t) => {
  const scene = await Scene.start(t, '- {name: sky, kind: tsl2591, gain: medium, integration: 200ms, simulate: false}')
  const chip = new Tsl2591Chip(scene.clock)
  Object.assign(chip, { full: 14, infrared: 2 })
  scene.i2c.attach('1', 0x29, chip)
  await scene.pass(12_000, 20)
  assert.equal(scene.params.get('/i2c/sky/illuminance'), null)
  assert.equal(scene.params.get('/i2c/sky/ok'), true)
  Object.assign(chip, { full: 4, infrared: 2 })
  await scene.pass(3000, 20)
  // 19600 and 9800 counts: (800 - 400) · (1 - 1 / 2) · 408 / 200
  assert.equal(scene.params.get('/i2c/sky/illuminance'), 408)
  Object.assign(chip, { full: 14 })
  await scene.pass(2000, 20)
  assert.deepEqual(scene.told('/i2c/sky/error', 'code').at(-1), 'saturated')
  assert.equal(
    chip.controls.every((control) => control === 0x11),
    true,
  )
})

test('a TCS34725 tells colours, illuminance and colour temperature', async (t) => {
  const scene = await Scene.start(t, '- {name: cue, kind: tcs34725, simulate: false}')
  const chip = new Tcs34725Chip(scene.clock)
  chip.counts = [8000, 3000, 3500, 2500]
  scene.i2c.attach('1', 0x29, chip)
  await scene.pass(3000, 5)
  // 64 cycles of 2.4 ms, 4 times.
  assert.deepEqual([chip.registers[0xa1], chip.registers[0xaf]], [256 - 64, 1])
  // By DN40: infrared 500; 0.136 · 2500 + 3000 - 0.444 · 2000 = 2452; · 310 / (153.6 · 4); 3810 · 2000 / 2500 + 1391
  const told = (key: string) => scene.params.get(`/i2c/cue/${key}`)
  assert.deepEqual([told('illuminance'), told('colour_temperature')], [1237.17, 4439])
  // Of 65535.
  assert.deepEqual(['red', 'green', 'blue', 'clear'].map(told), [0.0458, 0.0534, 0.0381, 0.1221])
  chip.counts = [65535, 40000, 40000, 20000]
  await scene.pass(2000, 5)
  assert.deepEqual([told('illuminance'), told('colour_temperature'), told('clear')], [null, null, 1])
  chip.counts = [0, 0, 0, 0]
  await scene.pass(2000, 5)
  assert.deepEqual([told('illuminance'), told('colour_temperature'), told('clear')], [0, null, 0])
})

test('two chips with the same address are told apart', async (t) => {
  const scene = await Scene.start(
    t,
    '- {name: a, kind: tsl2591, simulate: false}\n- {name: b, kind: tcs34725, bus: 2, simulate: false}',
    {
      prepare: ({ i2c, clock }) => {
        i2c.attach('1', 0x29, new Tcs34725Chip(clock))
        i2c.attach('2', 0x29, new Tsl2591Chip(clock))
      },
    },
  )
  const [a, b] = scene.devices.reports
  assert.match(a.problem, /0x29 of the I2C bus 1 is not a TSL2591 but a TCS34725: set kind: tcs34725/)
  assert.match(b.problem, /0x29 of the I2C bus 2 is not a TCS34725 but a TSL2591: set kind: tsl2591/)
})

test('a chip that nobody knows is refused with what it says', async (t) => {
  const scene = await Scene.start(t, '- {name: a, kind: tsl2591, simulate: false}', {
    prepare: ({ i2c, clock }) => {
      const chip = new Tsl2591Chip(clock)
      chip.registers.fill(0xff)
      i2c.attach('1', 0x29, chip)
    },
  })
  assert.match(scene.devices.reports[0].problem, /0x29 .*identifies itself as 0xff, a TSL2591 as 0x50/)
})
