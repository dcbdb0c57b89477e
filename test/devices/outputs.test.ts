import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Scene } from './scene.ts'

test('an output follows its param, and takes what means on or off', async (t) => {
  const scene = await Scene.start(t, '- {name: lamp, kind: output, line: GPIO22}')
  assert.equal(scene.params.get('/gpio/lamp'), false)
  for (const [written, isOn] of [
    [true, true],
    [0, false],
    ['on', true],
    ['close', false],
    [7, true],
  ] as const) {
    await scene.set('/gpio/lamp', written)
    assert.equal(scene.lines.isOn('GPIO22'), isOn, `${written}`)
    assert.equal(scene.params.get('/gpio/lamp'), isOn)
    assert.equal(scene.params.get('/gpio/lamp/actual'), isOn)
  }
  await scene.set('/gpio/lamp', 'perhaps')
  assert.equal(scene.params.get('/gpio/lamp'), true)
  assert.deepEqual(scene.told('/gpio/lamp/error', 'code'), ['value'])
})

test('an output pulses, toggles and blinks', async (t) => {
  const scene = await Scene.start(t, '- {name: lamp, kind: led, line: GPIO22}')
  const states: boolean[] = []
  scene.lines.onOutput = (_, isOn) => states.push(isOn)
  await scene.publish('/gpio/lamp/pulse', { ms: 300 })
  await scene.pass(299)
  assert.equal(scene.params.get('/gpio/lamp'), true)
  await scene.pass(1)
  assert.equal(scene.params.get('/gpio/lamp'), false)
  await scene.publish('/gpio/lamp/toggle', null)
  await scene.publish('/gpio/lamp/toggle', null)
  assert.deepEqual(states, [true, false, true, false])
  await scene.publish('/gpio/lamp/blink', { on_ms: 100, off_ms: 200, count: 3 })
  await scene.pass(5000, 50)
  assert.deepEqual(states.slice(4), [true, false, true, false, true, false])
  await scene.publish('/gpio/lamp/blink', { on_ms: 100 })
  await scene.pass(1000, 50)
  await scene.set('/gpio/lamp', true)
  const count = states.length
  await scene.pass(1000, 50)
  assert.equal(states.length, count)
})

test('a relay goes off after its longest time on, and says so', async (t) => {
  const scene = await Scene.start(t, '- {name: pump, kind: relay, line: GPIO22, maxOn: 10s}')
  await scene.set('/relay/pump', true)
  await scene.pass(6000)
  await scene.set('/relay/pump', true)
  await scene.pass(4000)
  assert.equal(scene.lines.isOn('GPIO22'), false)
  assert.equal(scene.params.get('/relay/pump'), false)
  assert.deepEqual(scene.told('/relay/pump/error', 'code'), ['max_on'])
})

test('an output that a client has locked is told as it is all the same', async (t) => {
  const scene = await Scene.start(t, '- {name: pump, kind: relay, line: GPIO22, maxOn: 10s}')
  await scene.send({ type: 'SET', address: '/relay/pump', value: { type: 'bool', value: true }, lock: true })
  await scene.pass(10_000)
  assert.equal(scene.lines.isOn('GPIO22'), false)
  assert.equal(scene.params.get('/relay/pump'), false)
})

test('two outputs of an interlock are never on together, whatever is written', async (t) => {
  const scene = await Scene.start(
    t,
    `- {name: up, kind: relay, line: U, interlock: blind, maxSwitchHz: 0}
- {name: down, kind: relay, line: D, interlock: blind, maxSwitchHz: 0, deadTime: 200ms}`,
  )
  let isBoth = false
  scene.lines.onOutput = () => {
    isBoth ||= scene.lines.isOn('U') && scene.lines.isOn('D')
  }
  await scene.set('/relay/up', true)
  assert.equal(scene.lines.isOn('U'), true)
  await scene.set('/relay/down', true)
  assert.equal(scene.params.get('/relay/up'), false)
  assert.equal(scene.params.get('/relay/down'), true)
  assert.equal(scene.params.get('/relay/down/actual'), false)
  await scene.pass(200)
  assert.equal(scene.params.get('/relay/down/actual'), true)
  for (let i = 0; i < 50; i++) {
    await scene.set(i % 3 === 0 ? '/relay/up' : '/relay/down', i % 2 === 0)
    await scene.pass(70)
  }
  assert.equal(isBoth, false)
})

test('a pulse that has to wait for another output of its interlock is not lost, and as long as it was asked for', async (t) => {
  const scene = await Scene.start(
    t,
    `- {name: up, kind: relay, line: U, interlock: blind, maxSwitchHz: 0}
- {name: down, kind: relay, line: D, interlock: blind, maxSwitchHz: 0, deadTime: 1s}`,
  )
  let onMs = 0
  const pass = async (ms: number) => {
    for (let at = 0; at < ms; at += 10) {
      if (scene.lines.isOn('D')) onMs += 10
      await scene.pass(10)
    }
    return onMs
  }
  for (const ms of [300, 1500]) {
    onMs = 0
    await scene.set('/relay/up', true)
    await scene.publish('/relay/down/pulse', { ms })
    assert.equal(await pass(4000), ms)
    assert.equal(scene.params.get('/relay/down'), false)
  }
  onMs = 0
  await scene.set('/relay/up', true)
  await scene.publish('/relay/down/pulse', { ms: 300 })
  await pass(500)
  await scene.set('/relay/down', false)
  assert.equal(await pass(2000), 0)
})

test('what waits for another output of its interlock is given up when it is to be as safe as it is', async (t) => {
  const scene = await Scene.start(
    t,
    `- {name: up, kind: relay, line: U, interlock: blind, maxSwitchHz: 0}
- {name: down, kind: relay, line: D, interlock: blind, maxSwitchHz: 0, safe: hold, onHubLoss: safe, deadTime: 1s}`,
  )
  await scene.set('/relay/up', true)
  await scene.set('/relay/down', true)
  scene.devices.onHub(false)
  await scene.pass(2000, 500)
  assert.deepEqual([scene.lines.isOn('D'), scene.params.get('/relay/down')], [false, false])
})

test('an output that its interlock keeps off does not go on blinking', async (t) => {
  const scene = await Scene.start(
    t,
    `- {name: up, kind: relay, line: U, interlock: blind, maxSwitchHz: 0}
- {name: down, kind: relay, line: D, interlock: blind, maxSwitchHz: 0, interlockMode: reject, deadTime: 0s}`,
  )
  await scene.set('/relay/up', true)
  await scene.publish('/relay/down/blink', { on_ms: 100 })
  await scene.pass(1000, 50)
  await scene.set('/relay/up', false)
  let flashes = 0
  scene.lines.onOutput = (_, isOn) => {
    if (isOn) flashes++
  }
  await scene.pass(1000, 50)
  assert.deepEqual([flashes, scene.params.get('/relay/down')], [0, false])
  await scene.publish('/relay/down/blink', { on_ms: 100, count: 2 })
  await scene.pass(150, 50)
  await scene.set('/relay/up', true)
  await scene.pass(1000, 50)
  assert.deepEqual([scene.lines.isOn('D'), scene.lines.isOn('U')], [false, true])
})

test('an output keeps its shortest times, and the last command wins', async (t) => {
  const scene = await Scene.start(t, '- {name: cooler, kind: relay, line: C, minOn: 10s, minOff: 60s}')
  await scene.set('/relay/cooler', true)
  await scene.pass(1000)
  await scene.set('/relay/cooler', false)
  await scene.set('/relay/cooler', true)
  await scene.set('/relay/cooler', false)
  assert.equal(scene.lines.isOn('C'), true)
  assert.equal(scene.params.get('/relay/cooler/actual'), true)
  await scene.pass(9000)
  assert.equal(scene.lines.isOn('C'), false)
  await scene.set('/relay/cooler', true)
  await scene.pass(59_000)
  assert.equal(scene.lines.isOn('C'), false)
  await scene.pass(1000)
  assert.equal(scene.lines.isOn('C'), true)
})

test('outputs are safe at the start and at the stop', async (t) => {
  const scene = await Scene.start(
    t,
    `- {name: pump, kind: relay, line: P}
- {name: fan, kind: relay, line: F, safe: on}
- {name: lamp, kind: led, line: L, safe: hold}
- {name: sign, kind: led, line: S, safe: hold}
- {name: up, kind: relay, line: U, safe: hold, interlock: blind}
- {name: down, kind: relay, line: D, interlock: blind}`,
    {
      prepare({ lines }) {
        for (const line of ['P', 'S', 'U']) lines.drive(line, true)
      },
    },
  )
  // What holds is what it was, unless another one of its interlock could be on.
  assert.deepEqual([scene.lines.isOn('S'), scene.params.get('/gpio/sign')], [true, true])
  assert.equal(scene.lines.isOn('U'), false)
  const levels = () => ['P', 'F', 'L'].map((line) => scene.lines.isOn(line))
  assert.deepEqual(levels(), [false, true, false])
  await scene.set('/relay/pump', true)
  await scene.set('/relay/fan', false)
  await scene.set('/gpio/lamp', true)
  assert.deepEqual(levels(), [true, false, true])
  await scene.stop()
  assert.deepEqual(levels(), [false, true, true])
})

test('after the watchdog the params say what the outputs are, and a new command is needed', async (t) => {
  const scene = await Scene.start(t, '- {name: pump, kind: relay, line: P}')
  await scene.set('/relay/pump', true)
  scene.lines.fallSafe()
  await scene.settle()
  assert.equal(scene.params.get('/relay/pump'), false)
  assert.deepEqual(scene.told('/relay/pump/error', 'code'), ['failsafe'])
  await scene.pass(60_000, 10_000)
  assert.equal(scene.lines.isOn('P'), false)
  await scene.set('/relay/pump', true)
  assert.equal(scene.lines.isOn('P'), true)
})

test('an output with a dead-man switch goes safe when nobody writes to it', async (t) => {
  const scene = await Scene.start(t, '- {name: saw, kind: relay, line: S, deadman: 1s}')
  await scene.set('/relay/saw', true)
  for (let i = 0; i < 5; i++) {
    await scene.pass(900)
    await scene.set('/relay/saw', true)
  }
  assert.equal(scene.lines.isOn('S'), true)
  await scene.pass(1000)
  assert.equal(scene.lines.isOn('S'), false)
  assert.equal(scene.params.get('/relay/saw'), false)
})

test('without the hub only the outputs that are told to be safe are', async (t) => {
  const scene = await Scene.start(
    t,
    `- {name: pump, kind: relay, line: P, onHubLoss: safe}
- {name: light, kind: relay, line: L}`,
  )
  await scene.set('/relay/pump', true)
  await scene.set('/relay/light', true)
  scene.devices.onHub(false)
  await scene.settle()
  assert.deepEqual([scene.lines.isOn('P'), scene.lines.isOn('L')], [false, true])
  assert.deepEqual([scene.params.get('/relay/pump'), scene.params.get('/relay/light')], [false, true])
})

test('a bundle switches several outputs', async (t) => {
  const scene = await Scene.start(t, '- {name: a, kind: led, line: A}\n- {name: b, kind: led, line: B}')
  await scene.send({
    type: 'BUNDLE',
    messages: ['/gpio/a', '/gpio/b'].map((address) => ({ type: 'SET', address, value: { type: 'bool', value: true } })),
  })
  assert.deepEqual([scene.lines.isOn('A'), scene.lines.isOn('B')], [true, true])
})

test('writes that come while an own message is answered are not lost, and the last one counts', async (t) => {
  const scene = await Scene.start(t, '- {name: a, kind: led, line: A}')
  // The device answers a toggle with a SET of its own; what others write in the same turn comes after it.
  scene.send({ type: 'PUBLISH', address: '/gpio/a/toggle', signal: 'event' })
  await scene.send({ type: 'SET', address: '/gpio/a', value: { type: 'string', value: 'on' } })
  assert.equal(scene.lines.isOn('A'), true)
  scene.send({ type: 'SET', address: '/gpio/a', value: { type: 'string', value: 'on' } })
  await scene.send({ type: 'SET', address: '/gpio/a', value: { type: 'bool', value: false } })
  await scene.settle()
  assert.equal(scene.lines.isOn('A'), false)
  assert.equal(scene.params.get('/gpio/a'), false)
})
