import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RegisterChip } from '../../../devices/i2c/simulated-i2c.ts'
import { parseConfig } from '../../../runtime/config/load.ts'
import { Scene } from '../scene.ts'
import { Ina219Chip } from './ina219-chip.ts'

const KEYS = ['voltage', 'shunt', 'current', 'power']

function readings(scene: Scene): (number | null)[] {
  return KEYS.map((key) => scene.params.get(`/i2c/battery/${key}`) as number | null)
}

function near(actual: readonly (number | null)[], expected: readonly number[], within: number): void {
  for (const [at, value] of expected.entries()) {
    assert.ok(Math.abs((actual[at] ?? Number.NaN) - value) <= within * Math.abs(value), `${KEYS[at]}: ${actual[at]}`)
  }
}

test('the worked example of the data sheet: 20 mV at 2 mΩ and 11.98 V are 10 A and 119.8 W', async (t) => {
  const chip = new Ina219Chip()
  chip.shuntMv = 20
  chip.busV = 11.98
  const scene = await Scene.start(
    t,
    '- {name: battery, kind: ina219, simulate: false, shunt: 0.002, maxCurrent: 15, average: 1}',
    { prepare: ({ i2c }) => i2c.attach('1', 0x40, chip) },
  )
  await scene.pass(2000, 10)
  near(readings(scene), [11.98, 20, 10, 119.8], 1e-4)
  // 32 V, ±40 mV, one conversion of 12 bits of either, continuously.
  assert.equal(chip.configuration, 0x2447)
  assert.ok(chip.calibration > 0 && chip.calibration < 0x8000)
  const metas = KEYS.map((key) => scene.signals.find(({ address }) => address === `/i2c/battery/${key}`)?.meta)
  assert.deepEqual(
    metas.map((meta) => [meta?.unit, meta?.range]),
    [
      ['V', [0, 26]],
      ['mV', [-30, 30]],
      ['A', [-15, 15]],
      ['W', [-390, 390]],
    ],
  )
})

test('a current that flows back is below zero, and so is its power', async (t) => {
  const chip = new Ina219Chip()
  chip.shuntMv = -160
  chip.busV = 5
  const scene = await Scene.start(t, '- {name: battery, kind: ina219, simulate: false, chipAddress: 0x4f}', {
    prepare: ({ i2c }) => i2c.attach('1', 0x4f, chip),
  })
  await scene.pass(2000, 10)
  near(readings(scene), [5, -160, -1.6, -8], 1e-3)
  // 0.1 Ω and 3.2 A are 320 mV; 8 conversions of either.
  assert.equal(chip.configuration, 0x3ddf)
})

test('a current beyond the range has no value, the voltage has one, and operators are told once', async (t) => {
  const chip = new Ina219Chip()
  chip.shuntMv = 100
  chip.busV = 12
  const scene = await Scene.start(t, '- {name: battery, kind: ina219, simulate: false, maxCurrent: 0.4}', {
    prepare: ({ i2c }) => i2c.attach('1', 0x40, chip),
  })
  await scene.pass(4000, 10)
  assert.deepEqual(readings(scene), [12, null, null, null])
  assert.equal(chip.configuration & 0x1800, 0, '0.4 A at 0.1 Ω fit into ±40 mV')
  assert.equal(scene.params.get('/i2c/battery/ok'), true)
  assert.deepEqual(scene.told('/i2c/battery/error', 'message'), [
    'the current is beyond maxCurrent 0.4 A: raise it, or use a smaller shunt',
  ])
  chip.shuntMv = 20
  await scene.pass(2000, 10)
  near(readings(scene), [12, 20, 0.2, 2.4], 1e-3)
})

test('the overflow flag of the chip counts, whatever its current register says', async (t) => {
  class Overflowing extends Ina219Chip {
    override read(count: number): Uint8Array {
      const bytes = super.read(count)
      // Bus voltage 12 V.
      return bytes[0] === 0x5d ? Uint8Array.of(bytes[0], bytes[1] | 0x01) : bytes
    }
  }
  const chip = new Overflowing()
  chip.shuntMv = 20
  chip.busV = 12
  const scene = await Scene.start(t, '- {name: battery, kind: ina219, simulate: false}', {
    prepare: ({ i2c }) => i2c.attach('1', 0x40, chip),
  })
  await scene.pass(2000, 10)
  assert.deepEqual(readings(scene), [12, null, null, null])
})

test('a chip that lost its calibration gets it anew, and is not believed before', async (t) => {
  const chip = new Ina219Chip()
  chip.shuntMv = 100
  chip.busV = 12
  const scene = await Scene.start(t, '- {name: battery, kind: ina219, simulate: false}', {
    prepare: ({ i2c }) => i2c.attach('1', 0x40, chip),
  })
  await scene.pass(2000, 10)
  const { calibration, configuration } = chip
  chip.breakDown()
  await scene.pass(1000, 10)
  assert.deepEqual([chip.calibration, chip.configuration], [calibration, configuration])
  await scene.pass(1000, 10)
  const currents = scene.sets.filter(({ address }) => address === '/i2c/battery/current')
  assert.deepEqual(
    currents.map(({ value }) => Number(value).toFixed(2)),
    ['1.00'],
    'never the 0 of a chip without calibration',
  )
})

test('a chip that is missing is awaited, and one that is no INA219 is named', async (t) => {
  const scene = await Scene.start(
    t,
    `- {name: battery, kind: ina219, simulate: false}
- {name: other, kind: ina219, simulate: false, chipAddress: 0x41}`,
    { prepare: ({ i2c }) => i2c.attach('1', 0x41, new RegisterChip()) },
  )
  assert.match(scene.devices.reports[0].problem, /no chip answers at 0x40/)
  assert.match(scene.devices.reports[1].problem, /what answers is no INA219: it says 0x8000 after a reset, not 0x399f/)
  const chip = new Ina219Chip()
  chip.busV = 3.3
  scene.i2c.attach('1', 0x40, chip)
  await scene.pass(5000, 10)
  assert.equal(readings(scene)[0], 3.3)
})

test('a shunt that is too large for the current is refused', async () => {
  await assert.rejects(
    parseConfig('devices:\n  - {name: a, kind: ina219, shunt: 0.1, maxCurrent: 5}\n', 'test.yaml'),
    /maxCurrent 5 A is 500 mV at the shunt of 0.1 Ω, and the chip measures up to 320 mV/,
  )
})

test('the smallest shunt and current that can be set make no calibration that the chip cannot hold', async (t) => {
  const chip = new Ina219Chip()
  chip.busV = 5
  const scene = await Scene.start(t, '- {name: a, kind: ina219, simulate: false, shunt: 0.0001, maxCurrent: 0.004}', {
    prepare: ({ i2c }) => i2c.attach('1', 0x40, chip),
  })
  await scene.pass(3000, 100)
  assert.equal(chip.calibration, 0x7ffe)
})
