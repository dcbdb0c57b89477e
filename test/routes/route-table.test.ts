import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import { parseConfig } from '../../runtime/config/load.ts'
import { silentLog } from '../../runtime/router/log.ts'
import { RouteTable } from '../../runtime/routes/route-table.ts'
import { routesReport } from '../../runtime/routes/routes-report.ts'
import { BridgeScene } from '../bridges/bridge-scene.ts'
import { array, float, int } from './rule-scene.ts'

/** Routes of a file at a router, with a client of that router. */
async function start(t: TestContext, yaml: string) {
  const scene = await BridgeScene.start(t, '[]')
  const apply = async (text: string) => {
    const { routes } = await parseConfig(`routes:\n${text.replace(/^/gm, '  ')}\n`, 'test.yaml')
    const { router, clock } = scene
    const table = new RouteTable(routes, { router, clock, log: silentLog })
    t.after(() => table.stop())
    await scene.settle()
    return table
  }
  const valuesAt = (address: string): Value[] =>
    scene.heard.filter((one) => one.address === address).map(({ value }) => value)
  return { scene, apply, valuesAt, table: await apply(yaml) }
}

test('a route writes what changes, and what was there before it', async (t) => {
  const { scene, apply, table } = await start(t, '[]')
  table.stop()
  await scene.set('/osc/1/fader1', float(0.5))
  const routes = await apply(
    '- {match: "/osc/1/fader*", to: /mix/$1, transform: [{type: scale, from_min: 0, from_max: 1, to_min: 0, to_max: 10}]}',
  )
  assert.deepEqual(scene.param('/mix/1'), float(5))
  await scene.set('/osc/1/fader2', int(1))
  assert.deepEqual(scene.param('/mix/2'), float(10))
  assert.equal(routes.counters.out, 2)
  assert.equal(routesReport(routes.counters).summary, '1 rule, 2 values written')
  routes.stop()
  await scene.set('/osc/1/fader2', int(0))
  assert.deepEqual(scene.param('/mix/2'), float(10))
})

test('events, gestures and streams go by routes, too', async (t) => {
  const { scene, valuesAt } = await start(t, '- {match: /a/*, to: /b/$1}\n- {match: /a2/*, to: /c/$1, signal: param}')
  await scene.event('/a/go', int(1))
  await scene.send({ type: 'PUBLISH', address: '/a/s', signal: 'stream', samples: [1, 2] })
  await scene.send({ type: 'PUBLISH', address: '/a/g', signal: 'gesture', phase: 'start', id: 3, payload: int(7) })
  await scene.event('/a2/x', int(4))
  assert.deepEqual(valuesAt('/b/go'), [int(1)])
  assert.deepEqual(valuesAt('/b/s'), [float(1), float(2)])
  assert.equal(scene.heard.find(({ address }) => address === '/b/g')?.phase, 'start')
  assert.deepEqual(scene.param('/c/x'), int(4))
})

test('a route in both directions keeps two addresses the same, and does not answer itself', async (t) => {
  const { scene, table, valuesAt } = await start(t, '- {direction: both, match: /a/*, to: /b/$1, transform: invert}')
  await scene.set('/a/x', float(0.25))
  assert.deepEqual(scene.param('/b/x'), float(0.75))
  await scene.set('/b/x', float(0.5))
  assert.deepEqual(valuesAt('/a/x'), [float(0.25), float(0.5)])
  assert.deepEqual(valuesAt('/b/x'), [float(0.75), float(0.5)])
  assert.equal(table.counters.loops, 0)
})

test('where both ends of a route have a value at the start, that of match counts', async (t) => {
  const { scene, apply } = await start(t, '[]')
  await scene.set('/b/x', int(2))
  await scene.set('/b/y', int(3))
  await scene.set('/a/x', int(1))
  await apply('- {direction: both, match: /a/*, to: /b/$1}')
  assert.deepEqual([scene.param('/a/x'), scene.param('/b/x'), scene.param('/a/y')], [int(1), int(1), int(3)])
})

test('a value that is too large for a message is counted, and the rest goes on', async (t) => {
  const { scene, table } = await start(t, '- {join: [/x, /y], to: /xy}\n- {match: /a, to: /b}')
  const large: Value = { type: 'bytes', value: new Uint8Array(40_000) }
  await scene.set('/x', large)
  await scene.set('/y', large)
  await scene.set('/a', int(1))
  assert.equal(table.counters.refused, 1)
  assert.deepEqual(scene.param('/b'), int(1))
})

test('routes follow one another, for params and for events', async (t) => {
  const { scene, valuesAt } = await start(t, '- {match: /a, to: /b}\n- {match: /b, to: /c, transform: negate}')
  await scene.set('/a', int(1))
  await scene.event('/a', int(2))
  assert.deepEqual(valuesAt('/c'), [float(-1), float(-2)])
})

test('a longer loop of routes ends where it began', async (t) => {
  const { scene, table, valuesAt } = await start(
    t,
    ['a b', 'b c', 'c a']
      .map((pair) => pair.split(' '))
      .map(([from, to]) => `- {match: /${from}, to: /${to}, transform: [{type: expression, expr: value + 1}]}`)
      .join('\n'),
  )
  await scene.set('/a', int(1))
  for (let i = 0; i < 10; i++) await scene.settle()
  assert.deepEqual([valuesAt('/a'), valuesAt('/b'), valuesAt('/c')], [[int(1)], [float(2)], [float(3)]])
  assert.equal(table.counters.loops, 1)
  await scene.event('/a', int(5))
  assert.deepEqual([valuesAt('/a').length, valuesAt('/c').at(-1)], [1, float(7)])
  assert.equal(table.counters.loops, 2)
})

test('routes that lead ever deeper end, too', async (t) => {
  const { scene, table } = await start(t, '- {match: /a/**, to: /b/x/$1}\n- {match: /b/**, to: /a/y/$1}')
  await scene.set('/a/z', int(1))
  for (let i = 0; i < 40; i++) await scene.settle()
  assert.ok(scene.heard.length < 30, `${scene.heard.length} values`)
  assert.equal(table.counters.loops, 1)
})

test('somebody who sends the values of linked routes back is stopped after a while', async (t) => {
  const { scene, table, valuesAt } = await start(t, '- {direction: both, match: /a, to: /b}')
  for (let i = 0; i < 60; i++) {
    await scene.set('/a', int(i))
    await scene.set('/b', int(1000 + i))
  }
  assert.ok(valuesAt('/b').length < 110, `${valuesAt('/b').length} values`)
  assert.ok(table.counters.loops > 0)
})

test('the mean of sensors, and an Array of two values, are params like all others', async (t) => {
  const { scene } = await start(
    t,
    '- aggregate: {type: average, match: /s/*/temp, to: /s/mean/temp}\n- {join: [/x, /y], to: /xy}',
  )
  await scene.set('/s/1/temp', float(10))
  await scene.set('/s/2/temp', float(20))
  assert.deepEqual(scene.param('/s/mean/temp'), float(15))
  await scene.set('/x', int(1))
  await scene.set('/y', int(2))
  assert.deepEqual(scene.param('/xy'), array(int(1), int(2)))
})

test('a value that the router refuses is counted', async (t) => {
  const { scene, table } = await start(t, '- {match: /a, to: /locked}')
  await scene.send({ type: 'SET', address: '/locked', value: int(0), lock: true })
  await scene.set('/a', int(1))
  assert.equal(table.counters.refused, 1)
})
