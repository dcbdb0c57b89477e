import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { Scene } from '../scene.ts'
import { Pca9685Chip } from './pca9685-chip.ts'

async function start(t: TestContext, channels: string[], more = '', chip = new Pca9685Chip()) {
  const rows = channels.map((row) => `    - {${row}}`).join('\n')
  const scene = await Scene.start(t, `- name: box\n  kind: pca9685\n  simulate: false\n${more}  channels:\n${rows}`, {
    prepare: ({ i2c }) => i2c.attach('1', 0x40, chip),
  })
  return { scene, chip }
}

const close = (actual: number, expected: number, within: number) =>
  assert.ok(Math.abs(actual - expected) <= within, `${actual} is not ${expected} ± ${within}`)

test('the chip wakes up with the prescaler of the data sheet, and answers no all-call', async (t) => {
  // Its example: 200 Hz are 1Eh. 50 Hz are round(122.07) − 1 = 121, the limits 24 Hz FDh and 1526 Hz 03h.
  for (const [hz, prescale] of [
    [200, 0x1e],
    [50, 121],
    [24, 0xfd],
    [1526, 3],
  ]) {
    const { chip } = await start(t, ['channel: 0, name: light'], `  frequency: ${hz}\n`)
    assert.equal(chip.registers[0xfe], prescale)
    assert.equal(chip.registers[0], 0x20)
    assert.equal(chip.registers[1], 0x04)
    assert.equal(chip.ignored, 0)
  }
})

test('a channel is on for its share, and always or never at the ends', async (t) => {
  const { scene, chip } = await start(t, ['channel: 3, name: light', 'channel: 15, name: fan, safe: 1, min: 0.2'])
  assert.deepEqual([chip.count(3), chip.count(15), chip.count(0)], [0, 4096, 0])
  await scene.set('/pwm/box/light', 1)
  assert.equal(chip.count(3), 4096)
  await scene.send({ type: 'SET', address: '/pwm/box/light', value: { type: 'f64', value: 0.25 } })
  // LED3: 0x06 + 4 · 3; on at 0, off at 1024.
  assert.deepEqual([...chip.registers.subarray(0x12, 0x16)], [0, 0, 0x00, 0x04])
  await scene.set('/pwm/box/fan', 0)
  close(chip.count(15), 0.2 * 4096, 1)
  await scene.pass(50)
  assert.equal(scene.params.get('/pwm/box/fan'), 0.2)
  assert.equal(scene.params.get('/pwm/box/light'), 0.25)
})

test('a channel fades within its time, and a command in between ends that', async (t) => {
  const { scene, chip } = await start(t, ['channel: 0, name: light, max: 0.5'])
  await scene.publish('/pwm/box/light/fade', { to: 1, ms: 1000 })
  await scene.pass(500, 10)
  close(chip.count(0), 1024, 50)
  await scene.pass(600, 10)
  assert.equal(chip.count(0), 2048)
  await scene.publish('/pwm/box/light/fade', { to: 0, ms: 1000 })
  await scene.pass(300, 10)
  await scene.set('/pwm/box/light', 1)
  await scene.pass(1000, 50)
  assert.equal(chip.count(0), 2048)
  await scene.publish('/pwm/box/light/fade', { to: 0 })
  assert.deepEqual(scene.told('/pwm/box/error', 'code'), ['value'])
})

test('channels that change together are written together', async (t) => {
  const { scene, chip } = await start(
    t,
    [0, 1, 2, 5].map((channel) => `channel: ${channel}, name: c${channel}`),
  )
  const before = scene.i2c.transfers
  await scene.send({
    type: 'BUNDLE',
    messages: [0, 1, 2, 5].map((channel) => ({
      type: 'SET',
      address: `/pwm/box/c${channel}`,
      value: { type: 'f64', value: 1 },
    })),
  })
  assert.deepEqual(
    [0, 1, 2, 3, 4, 5].map((channel) => chip.count(channel)),
    [4096, 4096, 4096, 0, 0, 4096],
  )
  assert.equal(scene.i2c.transfers - before, 2)
})

test('a servo gets pulses for its angle, turns no faster than it may, and lets go when it has arrived', async (t) => {
  const { scene, chip } = await start(t, [
    'channel: 1, name: gate, as: servo, minPulse: 1000, maxPulse: 2000, slew: 90, idle: 2s',
  ])
  assert.equal(chip.count(1), 0)
  assert.equal(scene.params.get('/pwm/box/gate'), null)
  // A step is 20 ms / 4096 = 4.9 µs.
  await scene.set('/pwm/box/gate', 0)
  close(chip.pulse(1), 1500, 5)
  await scene.set('/pwm/box/gate', 90)
  await scene.pass(500, 20)
  close(chip.pulse(1), 1750, 20)
  await scene.pass(600, 20)
  close(chip.pulse(1), 2000, 5)
  await scene.pass(2100, 100)
  assert.equal(chip.count(1), 0)
  assert.equal(scene.params.get('/pwm/box/gate'), 90)
})

const MIXED = [
  'channel: 0, name: heater',
  'channel: 1, name: fan, safe: 1, onHubLoss: safe',
  'channel: 2, name: gate, as: servo',
]

async function busy({ scene, chip }: Awaited<ReturnType<typeof start>>): Promise<void> {
  await scene.set('/pwm/box/heater', 1)
  await scene.set('/pwm/box/fan', 0)
  await scene.set('/pwm/box/gate', 45)
  assert.deepEqual([chip.count(0), chip.count(1)], [4096, 0])
  close(chip.pulse(2), 2000, 5)
}

const counts = (chip: Pca9685Chip) => [0, 1, 2].map((channel) => chip.count(channel))

test('a channel falls safe for its own reasons, goes on afterwards, and is what it was when the chip is back', async (t) => {
  const { scene, chip } = await start(t, [
    'channel: 0, name: heater, onHubLoss: safe, resume: auto, initial: last',
    'channel: 1, name: fan, safe: 1, deadman: 1s',
    'channel: 2, name: light, requires: /on',
  ])
  await scene.set('/pwm/box/light', 1)
  await scene.set('/pwm/box/heater', 1)
  await scene.set('/pwm/box/fan', 0)
  assert.deepEqual(counts(chip), [4096, 0, 0])
  scene.devices.onHub(false)
  await scene.settle()
  assert.deepEqual([counts(chip), scene.params.get('/pwm/box/heater')], [[0, 0, 0], 1])
  await scene.pass(1000, 100)
  assert.deepEqual(counts(chip), [0, 4096, 0])
  scene.devices.onHub(true)
  await scene.set('/on', true)
  await scene.set('/pwm/box/light', 1)
  assert.deepEqual(counts(chip), [4096, 4096, 4096])
  scene.i2c.detach('1', 0x40)
  await scene.pass(8000, 100)
  scene.i2c.attach('1', 0x40, chip)
  await scene.pass(3000, 100)
  assert.deepEqual(counts(chip), [4096, 4096, 0])
})

test('a channel goes off after its longest time on', async (t) => {
  const { scene, chip } = await start(t, ['channel: 0, name: heater, maxOn: 10s', 'channel: 1, name: light'])
  await scene.set('/pwm/box/heater', 1)
  await scene.set('/pwm/box/light', 1)
  await scene.pass(9000, 1000)
  assert.equal(chip.count(0), 4096)
  await scene.pass(1000, 500)
  assert.deepEqual([counts(chip), scene.params.get('/pwm/box/heater')], [[0, 4096, 0], 0])
  assert.deepEqual(scene.told('/pwm/box/error', 'code'), ['max_on'])
})

test('outputs are safe after a stop, and when the router hangs', async (t) => {
  const box = await start(t, MIXED)
  const { scene, chip } = box
  await busy(box)
  scene.i2c.force()
  assert.deepEqual(counts(chip), [0, 4096, 0])
  await scene.pass(50)
  assert.equal(scene.params.get('/pwm/box/heater'), 0)
  assert.equal(scene.params.get('/pwm/box/gate'), null)
  assert.deepEqual(scene.told('/pwm/box/error', 'code'), ['failsafe'])
  await busy(box)
  await scene.stop()
  assert.deepEqual(counts(chip), [0, 4096, 0])
  assert.equal(scene.clock.pendingTimers, await idleTimers(t))
})

async function idleTimers(t: TestContext): Promise<number> {
  const { scene } = await start(t, ['channel: 0, name: light'])
  await scene.stop()
  return scene.clock.pendingTimers
}

test('the dead-man time and the loss of the hub count for the channels that have them', async (t) => {
  const box = await start(t, [...MIXED.slice(0, 2), `${MIXED[2]}, deadman: 1s`])
  const { scene, chip } = box
  await busy(box)
  scene.devices.onHub(false)
  await scene.settle()
  assert.equal(chip.count(0), 4096)
  assert.equal(chip.count(1), 4096)
  close(chip.pulse(2), 2000, 5)
  await scene.pass(1000, 100)
  assert.deepEqual(counts(chip), [4096, 4096, 0])
})

test('a chip whose supply was interrupted, or that returns, is set up anew with safe outputs', async (t) => {
  const box = await start(t, MIXED)
  const { scene, chip } = box
  await busy(box)
  chip.powerOn()
  await scene.pass(2100, 100)
  assert.equal(chip.isAsleep, false)
  assert.equal(chip.registers[0xfe], 121)
  assert.deepEqual(counts(chip), [0, 4096, 0])
  assert.deepEqual(scene.told('/pwm/box/error', 'code'), ['reset'])
  await busy(box)
  scene.i2c.detach('1', 0x40)
  await scene.pass(3000, 100)
  assert.equal(scene.params.get('/pwm/box/ok'), false)
  chip.powerOn()
  scene.i2c.attach('1', 0x40, chip)
  await scene.pass(4000, 100)
  assert.equal(scene.params.get('/pwm/box/ok'), true)
  assert.deepEqual(counts(chip), [0, 4096, 0])
})

test('channels that run from before are ended in order', async (t) => {
  const running = new Pca9685Chip()
  running.write(Uint8Array.of(0x00, 0x00))
  running.write(Uint8Array.of(0x0d, 0x08))
  assert.equal(running.count(1), 0x800)
  const { chip } = await start(t, ['channel: 0, name: light, safe: 1'], '', running)
  assert.deepEqual([chip.interrupted, chip.count(0), chip.count(1), chip.registers[0]], [0, 4096, 0, 0x20])
})

test('a chip on an external clock, and something else than the chip, are named', async (t) => {
  const clocked = new Pca9685Chip()
  clocked.registers[0] |= 0x40
  const { scene } = await start(t, ['channel: 0, name: light'], '', clocked)
  assert.match(scene.devices.reports[0].problem, /external clock/)
  const other = new Pca9685Chip()
  other.write = () => {}
  const second = await start(t, ['channel: 0, name: light'], '', other)
  assert.match(second.scene.devices.reports[0].problem, /is it a PCA9685/)
})

test('channels that contradict each other are refused with words', async (t) => {
  const refused = (channels: string[], words: RegExp, more = '') => assert.rejects(start(t, channels, more), words)
  await refused(['channel: 0, name: a', 'channel: 0, name: b'], /two rows are for channel 0/)
  await refused(['channel: 0, name: a', 'channel: 1, name: a'], /two rows have the name a/)
  await refused(['channel: 16, name: a'], /a whole number from 0 to 15/)
  await refused(['channel: 0, name: a, min: 0.5, max: 0.2'], /a: min must not be more than max/)
  await refused(['channel: 0, name: a, safe: 1, maxOn: 1s'], /a: safe above 0 and maxOn contradict each other/)
  await refused(['channel: 0, name: a, requires: /a/*'], /a: requires: an address has no wildcards/)
  await refused(['channel: 0, name: a, as: servo'], /does not fit into a period/, '  frequency: 500\n')
})

test('a simulated one keeps what it is told', async (t) => {
  const scene = await Scene.start(t, '- {name: box, kind: pca9685, channels: [{channel: 0, name: light}]}', {
    prepare: ({ i2c }) => i2c.attach('1', 0x40, new Pca9685Chip()),
  })
  await scene.set('/pwm/box/light', 1)
  assert.equal(scene.params.get('/pwm/box/light'), 1)
})
