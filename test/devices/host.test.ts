import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { Sampling } from '../../runtime/devices/sampling.ts'
import { SteppedClock } from '../router/stepped-clock.ts'
import { Scene } from './scene.ts'

test('devices are announced with unit, range and access, and say what they are', async (t) => {
  const scene = await Scene.start(t, '- {name: pump, kind: relay, line: GPIO22, maxOn: 30m, description: Well pump}')
  const signal = scene.signals.find(({ address }) => address === '/relay/pump')
  assert.equal(signal?.access, 'rw')
  assert.equal(signal?.datatype, 'bool')
  assert.deepEqual(signal?.meta?.range, [0, 1])
  assert.equal(signal?.meta?.description, 'Well pump')
  const addresses = scene.signals.map(({ address }) => address)
  for (const path of ['pulse', 'toggle', 'actual', 'ok', 'error'])
    assert.ok(addresses.includes(`/relay/pump/${path}`), path)
  const about = scene.params.get('/_meta/hw/relay/pump')
  assert.ok(typeof about === 'object' && about !== null)
  assert.deepEqual([about.kind, about.ok, about.line, about.safe], ['relay', true, 'GPIO22', 'off'])
})

test('how often a sensor is read, and what is done to its readings, can be seen by clients', async (t) => {
  const scene = await Scene.start(
    t,
    '- {name: shed, kind: bme280, every: 2s, signals: {temperature: {offset: -0.3, heartbeat: 30s}}}',
  )
  const about = scene.params.get('/_meta/hw/i2c/shed') as Record<string, unknown>
  assert.deepEqual(
    [about.everyMs, about['temperature/offset'], about['temperature/heartbeat'], about.chipAddress],
    [2000, -0.3, 30_000, 0x76],
  )
})

test('50 sensors that are read ten times a second wake the router 100 times, not 500', async (t) => {
  const clock = new SteppedClock()
  const wokenAt: number[] = []
  const read = async () => {
    wokenAt.push(clock.now())
    return {}
  }
  const owner = { onReadings: () => {}, onHealth: () => {} }
  const samplings = Array.from({ length: 50 }, (_, i) => new Sampling(read, 100, (i * 0.618) % 1, clock, owner))
  t.after(() => {
    for (const sampling of samplings) sampling.stop()
  })
  await turn()
  wokenAt.length = 0
  for (let ms = 0; ms < 1000; ms++) {
    clock.advance(1)
    await turn()
  }
  assert.equal(wokenAt.length, 500)
  const wakes = new Set(wokenAt).size
  assert.ok(wakes >= 50 && wakes <= 101, `${wakes} wake-ups a second`)
})

test('an own address takes the place of the usual one', async (t) => {
  const scene = await Scene.start(t, '- {name: door, kind: switch, line: A, address: /stage/door}')
  await scene.drive('A', true)
  assert.equal(scene.params.get('/stage/door'), true)
  assert.equal(scene.params.has('/gpio/door'), false)
})

test('a line that is taken is tried again with growing pauses until it is free', async (t) => {
  const scene = await Scene.start(t, '- {name: lamp, kind: output, line: GPIO22}')
  const { lines } = scene
  assert.equal(scene.devices.reports[0].state, 'running')
  lines.unplug('GPIO22')
  const other = await lines.output({
    line: 'GPIO22',
    consumer: 'somebody',
    activeLow: false,
    bias: 'asis',
    drive: 'push-pull',
    isOn: false,
    safe: 'off',
    maxOnMs: 0,
    onForced: () => {},
    onLost: () => {},
  })
  await scene.pass(5000, 100)
  const [report] = scene.devices.reports
  assert.deepEqual([report.state, scene.params.get('/gpio/lamp/ok')], ['absent', false])
  assert.match(report.problem, /GPIO22 is used by somebody already/)
  await scene.set('/gpio/lamp', true)
  assert.equal(lines.isOn('GPIO22'), false)
  await other.close()
  await scene.pass(30_000, 500)
  assert.equal(scene.devices.reports[0].state, 'running')
  assert.equal(scene.params.get('/gpio/lamp/ok'), true)
  assert.equal(scene.params.get('/gpio/lamp'), false)
})

test('what is read has no value while the hardware is away', async (t) => {
  const scene = await Scene.start(t, '- {name: door, kind: switch, line: A}')
  scene.lines.drive('A', true)
  scene.lines.unplug('A')
  await scene.settle()
  assert.equal(scene.params.get('/gpio/door'), null)
  await scene.pass(2000, 100)
  assert.equal(scene.params.get('/gpio/door'), true)
})

test('one broken device does not keep the others from running', async (t) => {
  const scene = await Scene.start(
    t,
    `- {name: fan, kind: pwm, simulate: false}
- {name: door, kind: switch, line: A}`,
  )
  await scene.drive('A', true)
  assert.equal(scene.params.get('/gpio/door'), true)
})

test('a client plays the hardware of a simulated device', async (t) => {
  const scene = await Scene.start(
    t,
    `- {name: bell, kind: button, line: GPIO27}
- {name: tank, kind: ultrasonic, trigger: T, echo: E}`,
  )
  await scene.set('/gpio/bell/simulated/line', true)
  assert.equal(scene.params.get('/gpio/bell'), true)
  await scene.set('/gpio/bell/simulated/line', false)
  assert.deepEqual(scene.told('/gpio/bell/event'), ['press', 'release', 'click'])
  const first = Number(scene.params.get('/gpio/tank'))
  assert.ok(first > 1 && first < 3, `${first}`)
  await scene.set('/gpio/tank/simulated/value', 0.75)
  await scene.pass(300, 50)
  assert.equal(scene.params.get('/gpio/tank'), 0.75)
})

test('readings are calibrated, filtered, and told only when they have changed enough', async (t) => {
  const scene = await Scene.start(
    t,
    `- name: tank
  kind: ultrasonic
  trigger: T
  echo: E
  every: 100ms
  signals: {value: {gain: -1, offset: 3, deadband: 0.1, heartbeat: 10s, median: 3}}`,
  )
  const play = async (value: number) => {
    await scene.set('/gpio/tank/simulated/value', value)
    await scene.pass(100, 50)
  }
  for (const value of [1, 1, 1, 1]) await play(value)
  assert.equal(scene.params.get('/gpio/tank'), 2)
  const told = () => scene.sets.filter(({ address }) => address === '/gpio/tank').length
  const before = told()
  for (const value of [1.05, 0.95, 3.5, 1.02, 0.98]) await play(value)
  assert.equal(told(), before)
  await scene.pass(10_100, 100)
  assert.equal(told(), before + 1)
  for (const value of [1.5, 1.5]) await play(value)
  assert.equal(scene.params.get('/gpio/tank'), 1.5)
})

test('nothing of the devices is left after the stop', async (t) => {
  const scene = await Scene.start(
    t,
    `- {name: bell, kind: button, line: A}
- {name: volume, kind: encoder, a: B, b: C}
- {name: flow, kind: counter, line: D}
- {name: pump, kind: relay, line: E, maxOn: 10s, deadman: 20s, minOff: 5s}
- {name: hall, kind: pir, line: F}
- {name: axis, kind: stepper, step: G, direction: H}
- {name: tank, kind: ultrasonic, trigger: I, echo: J}
- {name: fan, kind: pwm}
- {name: gate, kind: servo, channel: 1, idle: 5s}`,
  )
  const before = scene.clock.pendingTimers
  for (const line of ['A', 'B', 'D', 'F']) await scene.drive(line, true)
  for (const address of ['/relay/pump', '/stepper/axis', '/pwm/fan', '/servo/gate']) await scene.set(address, 1)
  await scene.publish('/pwm/fan/fade', { to: 0, ms: 5000 })
  assert.ok(scene.clock.pendingTimers > before)
  await scene.stop()
  await scene.settle()
  const left = scene.clock.pendingTimers
  assert.deepEqual(await scene.lines.list(), [])
  const idle = await Scene.start(t, '- {name: lamp, kind: led, line: A}')
  await idle.stop()
  await idle.settle()
  assert.equal(left, idle.clock.pendingTimers)
})

test('a device with more signals than a frame holds announces them in several', async (t) => {
  const rows = Array.from({ length: 500 }, (_, i) => `  - {name: r${i}, area: input, register: ${i}, unit: Cel}`)
  const scene = await Scene.start(
    t,
    `- name: plant
  kind: modbus
  port: /dev/ttyUSB0
  registers:
${rows.map((row) => `  ${row}`).join('\n')}`,
  )
  const addresses = new Set(scene.signals.map(({ address }) => address))
  for (const path of ['r0', 'r499', 'ok', 'simulated/r0', 'simulated/r499'])
    assert.ok(addresses.has(`/modbus/plant/${path}`), path)
})
