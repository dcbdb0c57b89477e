import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Scene } from '../scene.ts'
import { Mpr121Chip } from './mpr121-chip.ts'

async function startKeys(
  t: Parameters<typeof Scene.start>[0],
  options = '',
): Promise<{ scene: Scene; chip: Mpr121Chip }> {
  const scene = await Scene.start(t, `- {name: keys, kind: mpr121, simulate: false${options}}`)
  const chip = new Mpr121Chip()
  scene.i2c.attach('1', 0x5a, chip)
  await scene.pass(2500, 20)
  return { scene, chip }
}

test('electrodes are params, and tell what was done with them as buttons do', async (t) => {
  const { scene, chip } = await startKeys(t)
  assert.deepEqual([scene.params.get('/i2c/keys/0'), scene.params.get('/i2c/keys/11')], [false, false])
  chip.touch(0b1000_0000_0001)
  await scene.pass(40, 20)
  assert.deepEqual([scene.params.get('/i2c/keys/0'), scene.params.get('/i2c/keys/11')], [true, true])
  assert.equal(scene.params.get('/i2c/keys/1'), false)
  chip.touch(0b0000_0000_0001)
  await scene.pass(1000, 20)
  assert.equal(scene.params.get('/i2c/keys/11'), false)
  assert.deepEqual(scene.told('/i2c/keys/11/event'), ['press', 'release', 'click'])
  assert.deepEqual(scene.told('/i2c/keys/0/event'), ['press', 'long'])
  const event = scene.signals.find(({ address }) => address === '/i2c/keys/0/event')
  assert.deepEqual([event?.type, event?.access], ['event', 'r'])
})

test('an electrode that is touched at the start was not touched now', async (t) => {
  const scene = await Scene.start(t, '- {name: keys, kind: mpr121, simulate: false}')
  const chip = new Mpr121Chip()
  scene.i2c.attach('1', 0x5a, chip)
  const write = chip.write.bind(chip)
  // As soon as it is enabled.
  chip.write = (bytes) => {
    write(bytes)
    if (bytes[0] === 0x5e && bytes.length > 1) chip.touch(1)
  }
  await scene.pass(2500, 20)
  assert.equal(scene.params.get('/i2c/keys/0'), true)
  assert.deepEqual(scene.told('/i2c/keys/0/event'), [])
})

test('thresholds, debounce and the number of electrodes reach the chip', async (t) => {
  const { scene, chip } = await startKeys(t, ', electrodes: 3, touch: 20, release: 9, debounce: 2')
  const { registers } = chip
  assert.deepEqual([...registers.subarray(0x41, 0x47)], [20, 9, 20, 9, 20, 9])
  assert.equal(registers[0x5b], 0x22)
  assert.equal(registers[0x5e], 0x83)
  // The automatic configuration for 3.3 V by AN3889: 256 · (3.3 - 0.7) / 3.3, 65 % of it, and 90 %.
  assert.deepEqual([...registers.subarray(0x7d, 0x80)], [201, 131, 181])
  const electrodes = scene.signals.map(({ address }) => address).filter((address) => /keys\/\d+$/.test(address))
  assert.deepEqual(electrodes, ['/i2c/keys/0', '/i2c/keys/1', '/i2c/keys/2'])
  await assert.rejects(
    Scene.start(t, '- {name: keys, kind: mpr121, touch: 5, release: 5}'),
    /release is to be less than touch/,
  )
})

test('a chip that was unplugged, or lost its set-up, is set up anew', async (t) => {
  const { scene, chip } = await startKeys(t)
  scene.i2c.detach('1', 0x5a)
  await scene.pass(200, 20)
  assert.equal(scene.params.get('/i2c/keys/0'), null)
  chip.reset()
  scene.i2c.attach('1', 0x5a, chip)
  await scene.pass(3000, 20)
  assert.equal(scene.params.get('/i2c/keys/0'), false)
  chip.reset()
  for (let i = 0; i < 100 && scene.params.get('/i2c/keys/ok') === true; i++) await scene.pass(20)
  assert.match(scene.devices.reports[0].problem, /MPR121 at 0x5a of the I2C bus 1 has lost its set-up/)
  await scene.pass(3000, 20)
  assert.equal(scene.params.get('/i2c/keys/ok'), true)
  chip.touch(1)
  await scene.pass(40, 20)
  assert.equal(scene.params.get('/i2c/keys/0'), true)
})

test('a chip that has stopped, and one that is no MPR121, are said', async (t) => {
  const { scene, chip } = await startKeys(t)
  chip.registers[1] = 0x80
  await scene.pass(100, 20)
  assert.match(scene.devices.reports[0].problem, /MPR121 at 0x5a .* has stopped: .* REXT/)
  chip.reset = () => {}
  chip.registers.fill(0xff)
  await scene.pass(3000, 20)
  assert.match(scene.devices.reports[0].problem, /0x5a of the I2C bus 1 is no MPR121/)
  // No attempt is under way at the end, when time stands still.
  scene.i2c.detach('1', 0x5a)
  await scene.pass(60, 20)
})

test('electrodes that are made up are played, with their events', async (t) => {
  const scene = await Scene.start(t, '- {name: keys, kind: mpr121, electrodes: 2}')
  assert.equal(scene.params.get('/i2c/keys/1'), false)
  await scene.set('/i2c/keys/simulated/1', true)
  assert.equal(scene.params.get('/i2c/keys/1'), true)
  await scene.set('/i2c/keys/simulated/1', false)
  assert.deepEqual(scene.told('/i2c/keys/1/event'), ['press', 'release', 'click'])
  assert.deepEqual(scene.told('/i2c/keys/0/event'), [])
  assert.equal(scene.i2c.transfers, 0)
})
