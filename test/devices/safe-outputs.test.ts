import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Plain } from '../../devices/device.ts'
import { OutputControl } from '../../devices/gpio/output-control.ts'
import { parseConfig } from '../../runtime/config/load.ts'
import type { LocalSession } from '../../runtime/router/local-session.ts'
import { SteppedClock } from '../router/stepped-clock.ts'
import { Scene } from './scene.ts'

const ON = { type: 'bool', value: true } as const

async function setAs(scene: Scene, client: LocalSession, address: string): Promise<void> {
  client.send({ type: 'SET', address, value: ON })
  await scene.settle()
}

test('an output is safe when the client that set it last has been gone for too long', async (t) => {
  const scene = await Scene.start(t, '- {name: pump, kind: relay, line: P, ownerTimeout: 5s}')
  const first = scene.connect('panel')
  const second = scene.connect('other')
  await setAs(scene, second, '/relay/pump')
  await setAs(scene, first, '/relay/pump')
  second.close()
  await scene.pass(10_000)
  assert.equal(scene.lines.isOn('P'), true)
  first.close()
  await scene.pass(4999)
  assert.equal(scene.lines.isOn('P'), true)
  await scene.pass(1)
  assert.deepEqual([scene.lines.isOn('P'), scene.params.get('/relay/pump')], [false, false])
  assert.match(String(scene.told('/relay/pump/error', 'message').at(-1)), /gone \(ownerTimeout\)/)
  const again = scene.connect('panel')
  await scene.settle()
  assert.equal(scene.lines.isOn('P'), false)
  await scene.pass(1000)
  await setAs(scene, again, '/relay/pump')
  assert.equal(scene.lines.isOn('P'), true)
})

test('the owner of an output may come back in time, and one that is told to resume goes on when it comes late', async (t) => {
  const scene = await Scene.start(
    t,
    `- {name: pump, kind: relay, line: P, ownerTimeout: 5s}
- {name: lamp, kind: led, line: L, ownerTimeout: 5s, resume: auto}`,
  )
  let panel = scene.connect('panel')
  // What it writes is no bool, so that the device corrects it with a message of its own.
  for (const address of ['/relay/pump', '/gpio/lamp']) {
    panel.send({ type: 'SET', address, value: { type: 'string', value: 'on' } })
  }
  await scene.settle()
  panel.close()
  await scene.pass(3000)
  panel = scene.connect('panel')
  await scene.pass(60_000)
  assert.deepEqual([scene.lines.isOn('P'), scene.lines.isOn('L')], [true, true])
  panel.close()
  await scene.pass(5000)
  assert.deepEqual([scene.lines.isOn('P'), scene.lines.isOn('L')], [false, false])
  assert.deepEqual([scene.params.get('/gpio/lamp'), scene.params.get('/gpio/lamp/actual')], [true, false])
  scene.connect('panel')
  await scene.settle()
  assert.deepEqual([scene.lines.isOn('P'), scene.lines.isOn('L')], [false, true])
})

test('an output that is told to resume goes on when the hub is back, unless it was set meanwhile', async (t) => {
  const scene = await Scene.start(
    t,
    `- {name: a, kind: relay, line: A, onHubLoss: safe, resume: auto}
- {name: b, kind: relay, line: B, onHubLoss: safe, resume: auto}
- {name: c, kind: relay, line: C, onHubLoss: safe}`,
  )
  for (const name of ['a', 'b', 'c']) await scene.set(`/relay/${name}`, true)
  const levels = () => ['A', 'B', 'C'].map((line) => scene.lines.isOn(line))
  scene.devices.onHub(false)
  await scene.settle()
  assert.deepEqual(levels(), [false, false, false])
  await scene.pass(1000)
  await scene.set('/relay/b', false)
  scene.devices.onHub(true)
  await scene.settle()
  assert.deepEqual(levels(), [true, false, false])
})

test('PWM outputs, servos and steppers fall safe like relays do', async (t) => {
  const scene = await Scene.start(
    t,
    `- {name: fan, kind: pwm, safe: 0.25, deadman: 1s}
- {name: gate, kind: servo, channel: 1, ownerTimeout: 1s}
- {name: axis, kind: stepper, step: S, direction: D, speed: 100, onHubLoss: safe, resume: auto}`,
  )
  const client = scene.connect('panel')
  const set = (address: string, value: number) => client.send({ type: 'SET', address, value: { type: 'f64', value } })
  set('/pwm/fan', 0.75)
  set('/servo/gate', 30)
  set('/stepper/axis', 1000)
  await scene.settle()
  assert.deepEqual([scene.params.get('/pwm/fan'), scene.params.get('/servo/gate')], [0.75, 30])
  client.close()
  await scene.pass(1000, 50)
  assert.deepEqual([scene.params.get('/pwm/fan'), scene.params.get('/servo/gate')], [0.25, null])
  scene.devices.onHub(false)
  await scene.pass(2000, 50)
  const stopped = Number(scene.params.get('/stepper/axis/actual'))
  assert.ok(stopped < 1000)
  assert.equal(scene.params.get('/stepper/axis'), 1000)
  scene.devices.onHub(true)
  await scene.pass(20_000, 50)
  assert.equal(scene.params.get('/stepper/axis/actual'), 1000)
})

test('an output begins as it is told to: safe, on, or as it was set last', async (t) => {
  const yaml = ['safe', 'last', 'on', 'off'].map((initial) => {
    return `- {name: ${initial}, kind: led, line: ${initial}, initial: ${initial}, safe: ${initial === 'off' ? 'on' : 'off'}}`
  })
  const pwm = '- {name: fan, kind: pwm, initial: last, frequency: 1000}'
  const scene = await Scene.start(t, [...yaml, pwm].join('\n'), {
    prepare(before) {
      void before.set('/gpio/safe', true)
      void before.set('/gpio/last', true)
      void before.set('/pwm/fan', 0.5)
    },
  })
  const levels = () => ['safe', 'last', 'on', 'off'].map((line) => scene.lines.isOn(line))
  assert.deepEqual(levels(), [false, true, true, false])
  await scene.pass(100)
  assert.equal(scene.params.get('/gpio/last'), true)

  assert.equal(scene.params.get('/pwm/fan'), 0.5)
  await scene.stop()
  await scene.settle()
  // What is restored next time is what was set, not what is safe during the stop.
  assert.deepEqual(levels(), [false, false, false, true])
  assert.equal(scene.params.get('/gpio/last'), true)
  assert.equal(scene.params.get('/pwm/fan'), 0.5)
  assert.equal(scene.params.get('/gpio/on'), false)
})

test('an output that was restored has an owner who is gone', async (t) => {
  const scene = await Scene.start(t, '- {name: pump, kind: relay, line: P, initial: last, ownerTimeout: 5s}', {
    prepare(before) {
      const client = before.connect('panel')
      client.send({ type: 'SET', address: '/relay/pump', value: ON })
      client.close()
    },
  })
  assert.equal(scene.lines.isOn('P'), true)
  await scene.pass(5000)
  assert.equal(scene.lines.isOn('P'), false)
})

test('an output cannot be on without what it requires, and waits for a new command after it', async (t) => {
  const scene = await Scene.start(
    t,
    `- {name: stop, kind: switch, line: E}
- {name: saw, kind: relay, line: S, requires: /gpio/stop, requiresValue: false}
- {name: fan, kind: pwm, requires: /nowhere}`,
  )
  await scene.set('/relay/saw', true)
  assert.equal(scene.lines.isOn('S'), true)
  await scene.drive('E', true)
  assert.deepEqual([scene.lines.isOn('S'), scene.params.get('/relay/saw')], [false, false])
  assert.match(String(scene.told('/relay/saw/error', 'message').at(-1)), /requires/)
  await scene.set('/relay/saw', true)
  await scene.publish('/relay/saw/toggle', null)
  assert.deepEqual([scene.lines.isOn('S'), scene.params.get('/relay/saw')], [false, false])
  await scene.drive('E', false)
  await scene.pass(5000)
  assert.equal(scene.lines.isOn('S'), false)
  await scene.set('/relay/saw', true)
  assert.equal(scene.lines.isOn('S'), true)
  await scene.set('/pwm/fan', 1)
  assert.equal(scene.params.get('/pwm/fan'), 0)
  assert.deepEqual(scene.told('/pwm/fan/error', 'code'), ['require'])
})

test('a counter goes on from its last total, and one that keeps nothing from 0', async (t) => {
  const scene = await Scene.start(
    t,
    `- {name: water, kind: counter, line: W}
- {name: rain, kind: counter, line: R, keep: false}
- {name: volume, kind: encoder, a: A, b: B, keep: true, min: 0, max: 100}
- {name: page, kind: encoder, a: C, b: D}`,
    {
      prepare(before) {
        for (const address of ['/counter/water', '/counter/rain', '/encoder/volume', '/encoder/page']) {
          void before.set(address, 42)
        }
      },
    },
  )
  const shown = (...addresses: string[]) => addresses.map((address) => scene.params.get(address))
  assert.deepEqual(shown('/counter/water', '/counter/rain'), [42, 0])
  assert.deepEqual(shown('/encoder/volume', '/encoder/page'), [42, 0])
  for (let i = 0; i < 3; i++) {
    await scene.drive('W', true)
    await scene.drive('W', false)
  }
  // Too soon for another message: the stop sends it.
  await scene.stop()
  await scene.settle()
  assert.equal(scene.params.get('/counter/water'), 45)
})

test('what was written before it was known that an output was switched off is undone', () => {
  const levels: boolean[] = []
  const control = new OutputControl(
    { minOnMs: 0, minOffMs: 0, minIntervalMs: 0, maxOnMs: 0, safe: 'off', hasInterlock: false },
    new SteppedClock(),
    { name: 'pump', set: () => {}, problem: () => {}, lost: (error) => assert.fail(error) },
  )
  control.begin({ set: (isOn) => levels.push(isOn), read: async () => false }, false)
  control.write(true)
  control.onForced(false, 'watchdog')
  control.write(true)
  control.onForced(false, 'maxOn')
  assert.deepEqual(levels, [true, false, true, false])
})

test('an output that reads otherwise twice in a row is told, and only then', async () => {
  const clock = new SteppedClock()
  const told: string[] = []
  const params = new Map<string, Plain>()
  let level = false
  const control = new OutputControl(
    { minOnMs: 0, minOffMs: 0, minIntervalMs: 0, maxOnMs: 0, safe: 'off', hasInterlock: false, isReadBack: true },
    clock,
    {
      name: 'pump',
      set: (key, value) => params.set(key, value),
      problem: (code) => told.push(code),
      lost: (error) => assert.fail(error),
    },
  )
  control.begin({ set: (isOn) => (level = isOn), read: async () => level }, false)
  const pass = async () => {
    clock.advance(5000)
    await new Promise(setImmediate)
  }
  control.write(true)
  await pass()
  level = false
  await pass()
  level = true
  await pass()
  assert.deepEqual(told, [])
  level = false
  await pass()
  assert.deepEqual([told.length, params.get('actual')], [0, true])
  await pass()
  assert.deepEqual([told, params.get('actual'), params.get('')], [['readback'], false, true])
  await pass()
  assert.equal(told.length, 1)
  level = true
  await pass()
  assert.deepEqual([told.length, params.get('actual')], [1, true])
  control.stop()
  assert.equal(clock.pendingTimers, 0)
})

test('what no output can require is refused', async () => {
  for (const address of ['gpio/stop', '/gpio/*']) {
    const yaml = `devices:\n  - {name: saw, kind: relay, line: S, requires: "${address}"}\n`
    await assert.rejects(parseConfig(yaml, 'test.yaml'), /requires: /, address)
  }
})

test('a pulse ends although nobody has told yet that it has begun', async () => {
  const clock = new SteppedClock()
  let level = false
  let isRead = () => {}
  const control = new OutputControl(
    { minOnMs: 0, minOffMs: 0, minIntervalMs: 0, maxOnMs: 0, safe: 'off', hasInterlock: true },
    clock,
    { name: 'pump', set: () => {}, problem: () => {}, lost: (error) => assert.fail(error) },
  )
  const read = () => new Promise<boolean>((resolve) => (isRead = () => resolve(level)))
  control.begin({ set: (isOn) => (level = isOn), read }, false)
  control.pulse(1)
  clock.advance(5)
  assert.equal(level, true)
  isRead()
  await new Promise(setImmediate)
  clock.advance(20)
  assert.equal(level, false)
  // One of which that is never told.
  control.pulse(1)
  for (let i = 0; i < 3100; i++) clock.advance(20)
  assert.deepEqual([level, clock.pendingTimers], [false, 0])
})
