import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RegisterChip } from '../../../devices/i2c/simulated-i2c.ts'
import { Scene } from '../scene.ts'
import { Vl53l0xChip } from './vl53l0x-chip.ts'

async function started(
  t: Parameters<typeof Scene.start>[0],
  options = '',
  { isAperture = true } = {},
): Promise<{ scene: Scene; chip: Vl53l0xChip }> {
  let chip: Vl53l0xChip | undefined
  const scene = await Scene.start(t, `- {name: gate, kind: vl53l0x, simulate: false${options}}`, {
    prepare(scene) {
      chip = new Vl53l0xChip(scene.clock, { isAperture })
      scene.i2c.attach('1', 0x29, chip)
    },
  })
  assert.ok(chip)
  return { scene, chip }
}

const seen = (scene: Scene) => [scene.params.get('/i2c/gate/distance'), scene.params.get('/i2c/gate/status')]

test('a VL53L0X is started as ST does it, and tells the distance', async (t) => {
  const { scene, chip } = await started(t)
  chip.target.mm = 1234
  await scene.pass(300, 5)
  assert.deepEqual(seen(scene), [1.234, 'valid'])
  const registers = chip.registers(0)
  // 33 ms less 17.579 ms for the other steps are 404 periods of 38.131 µs; with 151 of the first range 555, less 1: 138 · 2².
  assert.deepEqual([...registers.subarray(0x71, 0x73)], [2, 0x8a])
  // Five aperture SPADs that are good, from the twelfth on: 13…17, as the factory left out 12.
  assert.deepEqual([...registers.subarray(0xb0, 0xb6)], [0, 0xe0, 0x03, 0, 0, 0])
  assert.deepEqual([registers[0x89] & 1, registers[0x60], registers[0x0a], registers[0x84]], [1, 0, 4, 0])
  const meta = scene.signals.find(({ address }) => address === '/i2c/gate/distance')?.meta
  assert.deepEqual([meta?.unit, meta?.range], ['m', [0, 2]])
})

test('the time of a measurement and the voltage of the bus can be set', async (t) => {
  const { chip: fast } = await started(t, ', budget: 20ms')
  // 2.421 ms are 63 periods: 63 + 151 - 1 fits without a shift.
  assert.deepEqual([...fast.registers(0).subarray(0x71, 0x73)], [0, 213])
  const { chip } = await started(t, ', budget: 200ms, lowVoltage: true', { isAperture: false })
  const registers = chip.registers(0)
  // 4784 + 151 - 1 = 4934 is 154 · 2⁵ and a bit.
  assert.deepEqual([...registers.subarray(0x71, 0x73)], [5, 0x9a])
  assert.equal(registers[0x89] & 1, 0)
  // Three without aperture, from the first on.
  assert.deepEqual([...registers.subarray(0xb0, 0xb6)], [0x07, 0, 0, 0, 0, 0])
})

test('what the chip does not trust is no distance, and the status says why', async (t) => {
  const { scene, chip } = await started(t)
  for (const [status, mm, word] of [
    [4, 700, 'weak'],
    [6, 1900, 'phase'],
    [9, 8190, 'phase'],
    [10, 2, 'near'],
    [11, 8190, 'none'],
    [7, 8191, 'none'],
  ] as const) {
    chip.target = { status, mm }
    await scene.pass(200, 5)
    assert.deepEqual(seen(scene), [null, word], `status ${status}`)
  }
  assert.equal(scene.params.get('/i2c/gate/ok'), true, 'nothing in front of it is no failure')
})

test('a laser that fails is a failure, and the chip comes back', async (t) => {
  const { scene, chip } = await started(t)
  chip.target = { status: 2, mm: 0 }
  await scene.pass(600, 5)
  assert.equal(scene.params.get('/i2c/gate/ok'), false)
  assert.match(scene.devices.reports[0].problem, /does not measure: the watchdog of its laser stopped it/)
  chip.target = { status: 11, mm: 500 }
  await scene.pass(3000, 5)
  assert.deepEqual(seen(scene), [0.5, 'valid'])
})

test('after its supply broke down it is started anew; unplugged it has no value, and comes back', async (t) => {
  const { scene, chip } = await started(t)
  await scene.pass(300, 5)
  chip.breakDown()
  await scene.pass(300, 5)
  chip.target.mm = 800
  await scene.pass(300, 5)
  assert.deepEqual(seen(scene), [0.8, 'valid'])
  scene.i2c.detach('1', 0x29)
  await scene.pass(600, 5)
  assert.deepEqual([...seen(scene), scene.params.get('/i2c/gate/ok')], [null, null, false])
  chip.breakDown()
  scene.i2c.attach('1', 0x29, chip)
  await scene.pass(3000, 5)
  assert.deepEqual([...seen(scene), scene.params.get('/i2c/gate/ok')], [0.8, 'valid', true])
})

test('a chip that could not be started to the end is not believed', async (t) => {
  const { scene, chip } = await started(t)
  await scene.pass(300, 5)
  chip.breakDown()
  chip.isCalibrationStuck = true
  await scene.pass(150, 2)
  chip.isCalibrationStuck = false
  chip.target.mm = 600
  await scene.pass(500, 2)
  assert.deepEqual(seen(scene), [0.6, 'valid'])
  const states = scene.sets.filter(({ address }) => address === '/i2c/gate/status').map(({ value }) => value)
  assert.deepEqual(states, ['valid'], 'without its calibration it would say none')
})

test('a chip that was left on another page is found', async (t) => {
  let chip: Vl53l0xChip | undefined
  const scene = await Scene.start(t, '- {name: gate, kind: vl53l0x, simulate: false}', {
    prepare(scene) {
      chip = new Vl53l0xChip(scene.clock)
      chip.write(Uint8Array.of(0xff, 0x01))
      scene.i2c.attach('1', 0x29, chip)
    },
  })
  await scene.pass(300, 5)
  assert.deepEqual(seen(scene), [1, 'valid'])
})

test('a chip that never finishes its calibration, and one that is no VL53L0X, say what to do', async (t) => {
  const scene = await Scene.start(t, '- {name: gate, kind: vl53l0x, bus: 3, simulate: false}', {
    prepare: ({ i2c }) => i2c.attach('3', 0x29, new RegisterChip()),
  })
  assert.match(scene.devices.reports[0].problem, /what answers is no VL53L0X: it says 0x00 0x00, not 0xee 0xaa/)
  const chip = new Vl53l0xChip(scene.clock)
  chip.isCalibrationStuck = true
  scene.i2c.attach('3', 0x29, chip)
  await scene.pass(3000, 2)
  assert.match(scene.devices.reports[0].problem, /does not finish its calibration: check its supply/)
  assert.equal(chip.measurements, 0)
})
