import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { I2cError } from '../../../devices/i2c/bus.ts'
import { Scene } from '../scene.ts'
import { Mcp23017Chip } from './mcp23017-chip.ts'

const A0 = 1
const A1 = 2
const B0 = 0x100

/** `pins`: rows of the table, as YAML. `more`: other settings of the device. */
async function start(t: TestContext, pins: string[], more = '', chip: Mcp23017Chip | null = new Mcp23017Chip()) {
  const rows = pins.map((pin) => `    - {${pin}}`).join('\n')
  const scene = await Scene.start(
    t,
    `- name: box\n  kind: mcp23017\n  simulate: false\n  chipAddress: 0x21\n${more}  pins:\n${rows}`,
    { prepare: ({ i2c }) => chip !== null && i2c.attach('1', 0x21, chip) },
  )
  return { scene, chip: chip as Mcp23017Chip }
}

test('pins are set up as the data sheet says, and only outputs are driven', async (t) => {
  const { scene, chip } = await start(t, [
    'pin: A0, name: pump, direction: out',
    'pin: B0, name: fan, direction: out, activeLow: true',
    'pin: B3, name: door, pullUp: true, activeLow: true',
  ])
  assert.equal(chip.inputs, 0xfefe)
  // The fan is off at a high level; the free pin is pulled up.
  assert.equal(chip.levels, B0 | 0x0800)
  assert.equal(chip.control, 0x44)
  // Levels (0x14) come before directions (0x00).
  const order = chip.written
    .filter((bytes) => bytes.length > 2 && /^(14|00)/.test(bytes))
    .map((bytes) => bytes.slice(0, 2))
  assert.deepEqual(order.slice(0, 2), ['14', '00'])
  await scene.set('/gpio/box/pump', true)
  await scene.set('/gpio/box/fan', true)
  assert.equal(chip.levels, A0 | 0x0800)
  assert.equal(scene.params.get('/gpio/box/pump/actual'), true)
  const signal = scene.signals.find(({ address }) => address === '/gpio/box/door')
  assert.deepEqual([signal?.datatype, signal?.access], ['bool', 'r'])
})

test('a chip that another program left in its other register order is set up all the same', async (t) => {
  const before = new Mcp23017Chip()
  before.setControl(0xa0)
  const { scene, chip } = await start(t, ['pin: A1, name: pump, direction: out'], '', before)
  await scene.set('/gpio/box/pump', true)
  assert.equal(chip.levels, A1)
  assert.equal(chip.inputs, 0xfffd)
})

test('inputs are looked at every 20 ms, and what lasts shorter than the debounce time is ignored', async (t) => {
  const { scene, chip } = await start(t, ['pin: B3, name: door, activeLow: true, pullUp: true, debounce: 30ms'])
  assert.equal(scene.params.get('/gpio/box/door'), false)
  chip.drive(11, false)
  await scene.pass(20, 5)
  chip.drive(11, true)
  await scene.pass(100, 5)
  assert.equal(scene.sets.filter(({ address }) => address === '/gpio/box/door').length, 1)
  chip.drive(11, false)
  await scene.pass(20, 5)
  assert.equal(scene.params.get('/gpio/box/door'), false)
  await scene.pass(30, 5)
  assert.equal(scene.params.get('/gpio/box/door'), true)
})

test('with its interrupt line inputs are told at once, and the bus is left alone in between', async (t) => {
  const { scene, chip } = await start(t, ['pin: A0, name: door, debounce: 0s'], '  interrupt: GPIO17\n')
  chip.onInterrupt = (isActive) => scene.lines.drive('GPIO17', isActive)
  const before = scene.i2c.transfers
  await scene.pass(1000, 50)
  assert.equal(scene.i2c.transfers, before)
  chip.drive(0, true)
  await scene.settle()
  assert.equal(scene.params.get('/gpio/box/door'), true)
  chip.drive(0, false)
  await scene.settle()
  assert.equal(scene.params.get('/gpio/box/door'), false)
})

test('an output pulses and toggles, and goes off after its longest time on', async (t) => {
  const { scene, chip } = await start(t, ['pin: A0, name: pump, direction: out, maxOn: 10s'])
  await scene.publish('/gpio/box/pump/pulse', { ms: 300 })
  assert.equal(chip.levels, A0)
  await scene.pass(300)
  assert.equal(chip.levels, 0)
  await scene.publish('/gpio/box/pump/toggle', null)
  assert.equal(chip.levels, A0)
  await scene.pass(6000, 500)
  await scene.set('/gpio/box/pump', true)
  await scene.pass(4000, 500)
  assert.equal(chip.levels, 0)
  assert.equal(scene.params.get('/gpio/box/pump'), false)
  assert.deepEqual(scene.told('/gpio/box/error', 'code'), ['max_on'])
})

test('outputs of an interlock are never on together, not even when both change in one turn', async (t) => {
  const both = 'interlock: blind, direction: out'
  const { scene, chip } = await start(t, [
    `pin: A0, name: up, ${both}, deadTime: 0s`,
    `pin: B0, name: down, ${both}, deadTime: 200ms`,
  ])
  await scene.set('/gpio/box/up', true)
  await scene.set('/gpio/box/down', true)
  assert.equal(chip.levels, 0)
  assert.equal(scene.params.get('/gpio/box/up'), false)
  assert.equal(scene.params.get('/gpio/box/down/actual'), false)
  await scene.pass(200)
  assert.equal(chip.levels, B0)
  assert.equal(scene.params.get('/gpio/box/down/actual'), true)
  for (let i = 0; i < 40; i++) {
    await scene.set(i % 3 === 0 ? '/gpio/box/up' : '/gpio/box/down', i % 2 === 0)
    await scene.pass(70)
  }
  assert.ok(chip.history.includes(A0) && chip.history.includes(B0))
  assert.ok(!chip.history.includes(A0 | B0))
})

test('an output that may not go on while another one is stays off', async (t) => {
  const both = 'interlock: blind, direction: out, interlockMode: reject'
  const { scene, chip } = await start(t, [`pin: A0, name: up, ${both}`, `pin: A1, name: down, ${both}`])
  await scene.set('/gpio/box/up', true)
  await scene.set('/gpio/box/down', true)
  await scene.pass(1000)
  assert.equal(chip.levels, A0)
  assert.equal(scene.params.get('/gpio/box/down'), false)
})

const SAFES = [
  'pin: A0, name: pump, direction: out',
  'pin: A1, name: fan, direction: out, safe: on',
  'pin: B0, name: lamp, direction: out, safe: hold',
]

test('outputs are safe at the start and at the stop, and held ones stay as they are over both', async (t) => {
  const { scene, chip } = await start(t, SAFES)
  assert.equal(chip.levels, A1)
  for (const [name, isOn] of [
    ['pump', true],
    ['fan', false],
    ['lamp', true],
  ] as const)
    await scene.set(`/gpio/box/${name}`, isOn)
  assert.equal(chip.levels, A0 | B0)
  await scene.stop()
  assert.equal(chip.levels, A1 | B0)
  chip.history.length = 0
  const again = await start(t, SAFES, '', chip)
  assert.equal(chip.levels, A1 | B0)
  assert.equal(again.scene.params.get('/gpio/box/lamp'), true)
  assert.ok(chip.history.length > 0 && chip.history.every((levels) => levels === (A1 | B0)))
})

test('when the router hangs outputs are made safe by others, and params say so', async (t) => {
  const { scene, chip } = await start(t, SAFES)
  await scene.set('/gpio/box/pump', true)
  await scene.set('/gpio/box/lamp', true)
  await scene.set('/gpio/box/fan', false)
  chip.written.length = 0
  scene.i2c.force()
  assert.equal(chip.levels, A1 | B0)
  // OLATA and OLATB, then the directions.
  assert.deepEqual(chip.written.slice(0, 2), ['140201', '00fcfe'])
  chip.history.length = 0
  await scene.settle()
  assert.ok(chip.history.every((levels) => levels === (A1 | B0)))
  assert.deepEqual(
    ['pump', 'fan', 'lamp'].map((name) => scene.params.get(`/gpio/box/${name}`)),
    [false, true, true],
  )
  assert.deepEqual(scene.told('/gpio/box/error', 'code'), ['failsafe'])
  await scene.set('/gpio/box/pump', true)
  assert.equal(chip.levels, A0 | A1 | B0)
})

test('nothing is guarded any more after the stop', async (t) => {
  const { scene, chip } = await start(t, SAFES)
  await scene.stop()
  chip.written.length = 0
  scene.i2c.force()
  assert.deepEqual(chip.written, [])
})

test('a dead-man switch, and the loss of the hub, make safe those outputs that are told so', async (t) => {
  const { scene, chip } = await start(t, [
    'pin: A0, name: saw, direction: out, deadman: 1s',
    'pin: A1, name: pump, direction: out, onHubLoss: safe',
    'pin: B0, name: lamp, direction: out',
  ])
  for (const name of ['saw', 'pump', 'lamp']) await scene.set(`/gpio/box/${name}`, true)
  await scene.pass(1000, 100)
  assert.equal(chip.levels, A1 | B0)
  scene.devices.onHub(false)
  await scene.settle()
  assert.equal(chip.levels, B0)
})

test('each output has an owner of its own, and what it requires, as those of the board have', async (t) => {
  const { scene, chip } = await start(t, [
    'pin: A0, name: pump, direction: out, ownerTimeout: 1s, resume: auto',
    'pin: A1, name: saw, direction: out, requires: /stop, requiresValue: false',
    'pin: B0, name: lamp, direction: out, initial: on',
  ])
  assert.equal(chip.levels, B0)
  await scene.set('/gpio/box/saw', true)
  assert.deepEqual([chip.levels, scene.params.get('/gpio/box/saw')], [B0, false])
  assert.deepEqual(scene.told('/gpio/box/error', 'code'), ['require'])
  await scene.set('/stop', false)
  await scene.set('/gpio/box/saw', true)
  const panel = scene.connect('panel')
  panel.send({ type: 'SET', address: '/gpio/box/pump', value: { type: 'bool', value: true } })
  await scene.settle()
  assert.equal(chip.levels, A0 | A1 | B0)
  panel.close()
  await scene.pass(1000, 100)
  assert.equal(chip.levels, A1 | B0)
  assert.deepEqual([scene.params.get('/gpio/box/pump'), scene.params.get('/gpio/box/pump/actual')], [true, false])
  await scene.set('/stop', true)
  assert.deepEqual([chip.levels, scene.params.get('/gpio/box/saw')], [B0, false])
  scene.connect('panel')
  await scene.settle()
  assert.equal(chip.levels, A0 | B0)
})

test('an output that is to go on does so when the chip is back, and its param outlives the stop', async (t) => {
  const rows = ['pin: A0, name: light, direction: out, initial: last', 'pin: A1, name: pump, direction: out']
  const { scene, chip } = await start(t, rows)
  await scene.set('/gpio/box/light', true)
  await scene.set('/gpio/box/pump', true)
  scene.i2c.detach('1', 0x21)
  await scene.pass(3000, 100)
  chip.powerOn()
  scene.i2c.attach('1', 0x21, chip)
  await scene.pass(5000, 100)
  assert.equal(chip.levels & ~chip.inputs, A0)
  await scene.stop()
  assert.equal(chip.levels & ~chip.inputs, 0)
  assert.deepEqual([scene.params.get('/gpio/box/light'), scene.params.get('/gpio/box/pump')], [true, false])
})

test('a chip whose supply was interrupted is set up anew, with safe outputs', async (t) => {
  const { scene, chip } = await start(t, [...SAFES, 'pin: B3, name: door, pullUp: true'])
  await scene.set('/gpio/box/pump', true)
  await scene.set('/gpio/box/lamp', true)
  chip.powerOn()
  assert.equal(chip.inputs, 0xffff)
  await scene.pass(2100, 50)
  assert.equal(chip.inputs, 0xfefc)
  assert.equal(chip.levels & ~chip.inputs, A1 | B0)
  assert.equal(scene.params.get('/gpio/box/pump'), false)
  assert.deepEqual(scene.told('/gpio/box/error', 'code'), ['reset'])
})

test('a chip that is absent is tried again, and one that returns has safe outputs', async (t) => {
  const chip = new Mcp23017Chip()
  const { scene } = await start(t, [...SAFES, 'pin: B3, name: door'], '', null)
  assert.equal(scene.devices.reports[0].state, 'absent')
  scene.i2c.attach('1', 0x21, chip)
  await scene.pass(3000, 100)
  assert.equal(scene.devices.reports[0].state, 'running')
  await scene.set('/gpio/box/pump', true)
  scene.i2c.detach('1', 0x21)
  await scene.pass(1000, 20)
  assert.deepEqual([scene.params.get('/gpio/box/ok'), scene.params.get('/gpio/box/door')], [false, null])
  scene.i2c.attach('1', 0x21, chip)
  await scene.pass(5000, 100)
  assert.equal(scene.params.get('/gpio/box/ok'), true)
  assert.equal(scene.params.get('/gpio/box/pump'), false)
  assert.equal(chip.levels & A0, 0)
})

test('a transaction that fails now and then is repeated', async (t) => {
  const chip = new Mcp23017Chip()
  const { scene } = await start(t, SAFES, '', chip)
  let count = 0
  scene.i2c.attach('1', 0x21, {
    read: (bytes) => chip.read(bytes),
    write(bytes) {
      if (++count % 2 === 1) throw new I2cError('failed', 'noise')
      chip.write(bytes)
    },
  })
  await scene.set('/gpio/box/pump', true)
  await scene.settle()
  assert.equal(chip.levels, A0 | A1)
  await scene.pass(1000, 20)
  assert.equal(scene.devices.reports[0].state, 'running')
})

test('a write that finds no chip puts the device aside at once', async (t) => {
  const { scene } = await start(t, SAFES)
  scene.i2c.detach('1', 0x21)
  await scene.set('/gpio/box/pump', true)
  await scene.settle()
  assert.equal(scene.devices.reports[0].state, 'absent')
  assert.match(scene.devices.reports[0].problem, /no chip answers at 0x21/)
  await scene.stop()
  assert.equal((await scene.lines.list()).length, 0)
})

test('a simulated one is played, and keeps the rules of its outputs', async (t) => {
  const scene = await Scene.start(
    t,
    `- name: box
  kind: mcp23017
  pins:
    - {pin: A0, name: pump, direction: out, maxOn: 5s}
    - {pin: A1, name: door, activeLow: true}`,
  )
  assert.equal(scene.params.get('/gpio/box/door'), false)
  await scene.set('/gpio/box/simulated/door', true)
  await scene.pass(10)
  assert.equal(scene.params.get('/gpio/box/door'), true)
  await scene.set('/gpio/box/pump', true)
  await scene.pass(5000, 500)
  assert.equal(scene.params.get('/gpio/box/pump'), false)
  assert.equal(scene.i2c.transfers, 0)
})

test('rows that contradict each other are refused with words', async (t) => {
  const refused = (pins: string[], words: RegExp) => assert.rejects(start(t, pins), words)
  await refused(['pin: A0, name: a', 'pin: A1, name: a'], /two rows have the name a/)
  await refused(['pin: A0, name: a', 'pin: A0, name: b'], /two rows are for pin A0/)
  await refused(['pin: C1, name: a'], /expected one of A0, A1/)
  await refused(['pin: A0'], /name is missing/)
  await refused(['pin: A0, name: ok'], /pin A0 cannot be called ok/)
  await refused(['pin: A0, name: a, direction: out, safe: on, maxOn: 3s'], /a: safe: on and maxOn contradict/)
  await refused(['pin: A0, name: a, direction: out, safe: hold, interlock: x'], /safe: hold and interlock contradict/)
})
