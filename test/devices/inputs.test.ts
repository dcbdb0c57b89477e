import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Scene } from './scene.ts'

test('a switch is a param, and with edges an event for each of them', async (t) => {
  const scene = await Scene.start(t, '- {name: door, kind: switch, line: GPIO17, edges: true}')
  assert.equal(scene.params.get('/gpio/door'), false)
  assert.equal(scene.params.get('/gpio/door/ok'), true)
  await scene.drive('GPIO17', true)
  assert.equal(scene.params.get('/gpio/door'), true)
  await scene.drive('GPIO17', false)
  assert.equal(scene.params.get('/gpio/door'), false)
  assert.deepEqual(scene.told('/gpio/door/edge', 'edge'), ['rising', 'falling'])
  assert.deepEqual(scene.told('/gpio/door/edge', 'seq'), [1, 2])
})

test('a button tells a click, a long press with repeats, and a double click', async (t) => {
  const scene = await Scene.start(
    t,
    '- {name: bell, kind: button, line: GPIO27, long: 500ms, repeat: 100ms, double: 300ms}',
  )
  const press = async (ms: number) => {
    await scene.drive('GPIO27', true)
    await scene.pass(ms, 50)
    await scene.drive('GPIO27', false)
  }
  await press(100)
  assert.deepEqual(scene.told('/gpio/bell/event'), ['press', 'release'])
  await scene.pass(300)
  assert.deepEqual(scene.told('/gpio/bell/event').slice(2), ['click'])
  scene.events.length = 0
  await press(50)
  await scene.pass(100)
  await press(50)
  await scene.pass(1000)
  assert.deepEqual(scene.told('/gpio/bell/event'), ['press', 'release', 'press', 'release', 'double'])
  assert.equal(scene.told('/gpio/bell/event', 'count').at(-1), 2)
  scene.events.length = 0
  await press(750)
  await scene.pass(1000)
  assert.deepEqual(scene.told('/gpio/bell/event'), ['press', 'long', 'repeat', 'repeat', 'release'])
  assert.deepEqual(scene.told('/gpio/bell/event', 'held_ms'), [0, 500, 600, 700, 750])
})

test('a button without double clicks tells the click at once', async (t) => {
  const scene = await Scene.start(t, '- {name: bell, kind: button, line: GPIO27}')
  await scene.drive('GPIO27', true)
  await scene.drive('GPIO27', false)
  assert.deepEqual(scene.told('/gpio/bell/event'), ['press', 'release', 'click'])
})

test('after edges that were lost a button and a switch are what their lines say', async (t) => {
  const scene = await Scene.start(t, '- {name: bell, kind: button, line: B}\n- {name: door, kind: switch, line: D}', {
    prepare({ lines }) {
      const { input } = lines
      lines.input = (request) =>
        input.call(lines, {
          ...request,
          // The second and the fourth are lost, and the third comes after the fourth has happened.
          onEdge: (edge) => {
            if (edge.sequence === 1) request.onEdge(edge)
            if (edge.sequence === 4) request.onEdge({ ...edge, isOn: true, sequence: 3 })
          },
        })
    },
  })
  for (const line of ['B', 'D']) for (const isOn of [true, false, true, false]) scene.lines.drive(line, isOn)
  await scene.settle()
  assert.deepEqual([scene.params.get('/gpio/bell'), scene.params.get('/gpio/door')], [false, false])
  assert.equal(scene.told('/gpio/bell/event').at(-1), 'click')
})

test('a motion detector stays on until nothing has moved for the hold time', async (t) => {
  const scene = await Scene.start(t, '- {name: hall, kind: pir, line: GPIO4, hold: 5s}')
  await scene.drive('GPIO4', true)
  await scene.drive('GPIO4', false)
  await scene.pass(4000)
  await scene.drive('GPIO4', true)
  await scene.drive('GPIO4', false)
  await scene.pass(4000)
  assert.equal(scene.params.get('/gpio/hall'), true)
  await scene.pass(1000)
  assert.equal(scene.params.get('/gpio/hall'), false)
})

/** One detent clockwise is a, b, not a, not b. */
async function detents(scene: Scene, count: number): Promise<void> {
  const order = count > 0 ? ['A', 'B'] : ['B', 'A']
  for (let i = 0; i < Math.abs(count); i++) {
    for (const isOn of [true, false]) {
      for (const line of order) {
        scene.lines.drive(line, isOn)
        scene.clock.advance(5)
      }
    }
  }
  await scene.settle()
}

test('an encoder counts detents both ways, within its limits, and goes on from where it is set', async (t) => {
  const scene = await Scene.start(t, '- {name: volume, kind: encoder, a: A, b: B, min: 0, max: 10}')
  const position = async () => {
    await scene.pass(500, 20)
    return scene.params.get('/encoder/volume')
  }
  assert.equal(await position(), 0)
  await detents(scene, 3)
  assert.equal(await position(), 3)
  await detents(scene, -1)
  assert.equal(await position(), 2)
  await detents(scene, -5)
  assert.equal(await position(), 0)
  await scene.set('/encoder/volume', 8)
  await detents(scene, 1)
  assert.equal(await position(), 9)
  await detents(scene, 4)
  assert.equal(await position(), 10)
  await scene.set('/encoder/volume', 99)
  assert.equal(await position(), 10)
})

test('an encoder turns as a gesture, and its deltas add up to the detents', async (t) => {
  const scene = await Scene.start(t, '- {name: volume, kind: encoder, a: A, b: B}')
  await detents(scene, 20)
  await scene.pass(500, 10)
  const deltas = scene.events.filter(({ address }) => address === '/encoder/volume/delta')
  assert.equal(
    deltas.reduce((sum, { value }) => sum + Number(value), 0),
    20,
  )
  const phases = scene.events.filter(({ address }) => address === '/encoder/volume/turn').map(({ phase }) => phase)
  assert.equal(phases[0], 'start')
  assert.equal(phases.at(-1), 'end')
  assert.equal(phases.filter((phase) => phase === 'start').length, 1)
})

test('an encoder takes no half step and no chatter for a turn', async (t) => {
  const scene = await Scene.start(t, '- {name: volume, kind: encoder, a: A, b: B}')
  for (let i = 0; i < 50; i++) scene.lines.drive('A', i % 2 === 0)
  await scene.settle()
  assert.equal(scene.params.get('/encoder/volume'), 0)
  assert.equal(scene.events.length, 0)
})

test('a counter counts rising edges, tells the rate, and goes on from where it is set', async (t) => {
  const scene = await Scene.start(t, '- {name: water, kind: counter, line: GPIO5, scale: 0.5, unit: L/min}')
  const pulses = async (count: number) => {
    for (let i = 0; i < count; i++) {
      scene.lines.drive('GPIO5', true)
      scene.lines.drive('GPIO5', false)
    }
    await scene.pass(1000)
  }
  await pulses(100)
  await scene.pass(200)
  assert.equal(scene.params.get('/counter/water'), 100)
  assert.equal(scene.params.get('/counter/water/rate'), 50)
  await scene.set('/counter/water', 1000)
  await pulses(10)
  await scene.pass(1000)
  assert.equal(scene.params.get('/counter/water'), 1010)
  assert.equal(scene.params.get('/counter/water/rate'), 0)
})

test('20 000 edges on one line are all counted, and cost a few messages', async (t) => {
  const scene = await Scene.start(t, '- {name: flow, kind: counter, line: GPIO5, edge: both}')
  const before = scene.sets.length
  for (let i = 0; i < 20_000; i++) {
    scene.lines.drive('GPIO5', i % 2 === 0)
    if (i % 200 === 0) await scene.pass(10)
  }
  await scene.pass(200)
  assert.equal(scene.params.get('/counter/flow'), 20_000)
  assert.ok(scene.sets.length - before < 40, `${scene.sets.length - before} messages`)
})

test('a contact that bounces without end costs at most 200 messages a second, and its last state counts', async (t) => {
  const scene = await Scene.start(t, '- {name: bad, kind: switch, line: GPIO6, edges: true}')
  const before = scene.sets.length + scene.events.length
  for (let i = 0; i < 5001; i++) scene.lines.drive('GPIO6', i % 2 === 0)
  await scene.pass(100, 10)
  assert.ok(scene.sets.length + scene.events.length - before <= 230)
  assert.equal(scene.params.get('/gpio/bad'), true)
  assert.ok(scene.devices.reports[0].dropped > 4000)
})
