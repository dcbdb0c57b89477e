import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Pattern } from '../../firmware-protocol/wire/pattern.ts'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import { type BridgeContext, defineBridge } from '../../runtime/bridges/bridge.ts'
import { RouterSession } from '../../runtime/bridges/bridge-session.ts'
import { systemClock } from '../../runtime/router/clock.ts'
import { silentLog } from '../../runtime/router/log.ts'
import { defaultRouterOptions } from '../../runtime/router/options.ts'
import { Router } from '../../runtime/router/router.ts'
import { SteppedClock } from '../router/stepped-clock.ts'
import { until } from '../until.ts'
import { BridgeScene } from './bridge-scene.ts'
import { member, toy, toyEntry } from './toy-bridge.ts'

const int = (value: number): Value => ({ type: 'i64', value })

test('a reload starts what is new and stops what has gone; the rest does not notice', async (t) => {
  const { log, entry, apply } = await toy(t)
  await apply(entry('a'), entry('b'))
  await apply(entry('b'), entry('c'))
  assert.deepEqual(log, ['a opened', 'b opened', 'a stopped', 'c opened'])
  await apply(entry('b', { namespace: '/other' }), entry('c'))
  assert.deepEqual(log.slice(4), ['b stopped', 'b opened'])
})

test('what cannot be opened is told with its reason, and tried again later and later', async (t) => {
  const { scene, log, entry, apply, pass, fail } = await toy(t)
  fail('port 8000 is taken')
  await apply(entry('a'))
  assert.equal(member(scene.param('/_meta/bridges/a'), 'state'), 'degraded')
  assert.equal(member(scene.param('/_meta/bridges/a'), 'reason'), 'port 8000 is taken')
  assert.deepEqual(
    scene.heard.filter(({ signal }) => signal === 'event').map(({ address }) => address),
    ['/_meta/bridges/a/error'],
  )
  await pass(1000)
  await pass(2000)
  assert.equal(scene.report('a').errors, 3)
  fail(undefined)
  await pass(4000)
  assert.deepEqual(log, ['a opened'])
  assert.equal(member(scene.param('/_meta/bridges/a'), 'state'), 'running')
})

test('a bridge that lost its foreign side is stopped and opened again', async (t) => {
  const { scene, log, opened, entry, apply, pass } = await toy(t)
  await apply(entry('a'))
  opened[0].context.lost(new Error('the cable was pulled'))
  await scene.settle()
  assert.equal(scene.report('a').reason, 'the cable was pulled')
  // A second word of the old one means nothing.
  opened[0].context.lost(new Error('again'))
  await pass(1000)
  assert.deepEqual(log, ['a opened', 'a stopped', 'a opened'])
  await scene.set('/_meta/bridges/a/enabled', { type: 'string', value: 'off' })
  assert.equal(scene.report('a').lastError, '/_meta/bridges/a/enabled takes only true and false')
})

test('after a connection that held for long, tries that fail become rarer as ever', async (t) => {
  const { scene, opened, entry, apply, pass, fail } = await toy(t)
  await apply(entry('a'))
  await pass(60_000)
  fail('nobody answers')
  opened[0].context.lost(new Error('the cable was pulled'))
  await scene.settle()
  // After 0.75 s, 1.5 s and 3 s, with the half of what is left to chance.
  const errors = async (ms: number) => {
    await pass(ms)
    return scene.report('a').errors
  }
  assert.deepEqual([await errors(800), await errors(1400), await errors(100), await errors(2800)], [2, 2, 3, 3])
})

test('the status tells when a value went in and out for the last time', async (t) => {
  const { scene, opened, entry, apply, pass } = await toy(t)
  await apply(entry('a'))
  const status = () => scene.param('/_meta/bridges/a')
  assert.deepEqual([member(status(), 'last_in'), member(status(), 'last_out')], [0, 0])
  await pass(5000)
  opened[0].context.router.set('/a/x', int(1))
  const inUs = scene.clock.wallUs()
  await pass(3000)
  await scene.set('/a/x', int(2))
  await pass(30_000)
  assert.deepEqual([member(status(), 'last_in'), member(status(), 'last_out')], [inUs, inUs + 3_000_000])
  assert.deepEqual([member(status(), 'in_msgs'), member(status(), 'out_msgs')], [1, 1])
})

test('what a bridge announced does not run out while it runs', async (t) => {
  const { scene, opened, entry, apply, pass } = await toy(t)
  await apply(entry('a'))
  opened[0].context.router.announce('/a', [{ address: '/a/x', type: 'param', datatype: 'f64' }])
  await scene.settle()
  const announced = () => scene.router.announced(Pattern.parse('/a/**') as Pattern).length
  for (let hours = 0; hours < 3; hours++) {
    for (let quarter = 0; quarter < 4; quarter++) await pass(15 * 60_000)
    assert.equal(announced(), 1)
  }
  await scene.host.apply([])
  for (let quarter = 0; quarter < 5; quarter++) await pass(15 * 60_000)
  assert.equal(announced(), 0)
})

test('a client pauses and resumes a bridge by its param enabled', async (t) => {
  const { scene, log, entry, apply } = await toy(t)
  await apply(entry('a'))
  await scene.set('/_meta/bridges/a/enabled', { type: 'bool', value: false })
  assert.equal(scene.report('a').state, 'stopped')
  await scene.set('/_meta/bridges/a/enabled', { type: 'bool', value: true })
  assert.equal(scene.report('a').state, 'running')
  assert.deepEqual(log, ['a opened', 'a stopped', 'a opened'])
})

test('what a bridge wrote does not come back to it; what others write does, and what was there before', async (t) => {
  const { scene, opened, entry, apply } = await toy(t)
  await scene.set('/a/before', int(1))
  await apply(entry('a'))
  const [{ context, updates }] = opened
  for (let i = 0; i < 3; i++) context.router.set('/a/x', int(i))
  await scene.settle()
  await scene.set('/a/x', int(2))
  await scene.event('/a/go', { type: 'string', value: 'now' })
  assert.deepEqual(
    updates.map(({ signal, address, value, isInitial }) => [
      signal,
      address,
      'value' in value ? value.value : null,
      isInitial,
    ]),
    [
      ['param', '/a/before', 1, true],
      ['param', '/a/x', 2, false],
      ['event', '/a/go', 'now', false],
    ],
  )
  assert.deepEqual(scene.report('a').in, 3)
})

test('values that go in and out by turns at one address without end are stopped for a while', async (t) => {
  const { scene, opened, entry, apply, pass } = await toy(t)
  await apply(entry('a'))
  const [{ context, updates }] = opened
  for (let i = 0; i < 100; i++) {
    context.router.set('/a/x', int(-i))
    await scene.set('/a/x', int(i))
  }
  assert.ok(updates.length < 20, `${updates.length} got through`)
  assert.match(scene.report('a').lastError, /round in circles at \/a\/x/)
  // What came last is not lost: a fader that gear corrects looks like a loop, too.
  await pass(5000)
  const last = updates.at(-1)?.value
  assert.deepEqual(last, int(99))
  assert.deepEqual(scene.param('/a/x'), int(-99))
})

test('what comes from outside cannot write the addresses of the router itself', async (t) => {
  const { scene, opened, entry, apply } = await toy(t)
  await apply(entry('a'))
  const [{ context }] = opened
  context.router.set('/_clasp/name', int(1))
  const client = await context.openClient('somebody')
  await assert.rejects(client.set('/_clasp/name', int(1)), /belong to the router/)
  assert.equal(scene.param('/_clasp/name'), undefined)
  assert.equal(scene.report('a').inDropped, 1)
  await client.close()
})

/** Opens when it is told to, or never; what it opened can be seen. */
function patientKind() {
  const opened: { context: BridgeContext; finish(): void; isStopped: boolean }[] = []
  const kind = defineBridge({
    kind: 'toy',
    description: 'A test.',
    namespace: '/toy',
    options: { members: {} } as never,
    load: async () => (context) =>
      new Promise((resolve) => {
        const one = {
          context,
          isStopped: false,
          finish: () => resolve({ stop }),
        }
        const stop = async () => {
          one.isStopped = true
        }
        opened.push(one)
      }),
  })
  return { kind, opened }
}

test('a foreign side that never answers does not hold up a stop or a reload; what opens too late is stopped', async (t) => {
  const { kind, opened } = patientKind()
  const clock = new SteppedClock()
  const scene = await BridgeScene.start(t, '[]', { clock, kinds: [kind] })
  void scene.host.apply([toyEntry('a')])
  await until(() => opened.length === 1, 'the first one')
  const reloaded = scene.host.apply([toyEntry('b')])
  assert.equal(opened[0].context.signal.aborted, true, 'it is told to give up')
  await scene.settle()
  clock.advance(2000)
  await until(() => opened.length === 2, 'the second one')
  opened[1].finish()
  await reloaded
  assert.deepEqual(
    scene.host.reports.map(({ id, state }) => [id, state]),
    [['b', 'running']],
  )
  opened[0].finish()
  await scene.settle()
  assert.equal(opened[0].isStopped, true)
})

test('of reloads that wait for their turn only the last one counts, also when it is as before', async (t) => {
  const { kind, opened } = patientKind()
  const clock = new SteppedClock()
  const scene = await BridgeScene.start(t, '[]', { clock, kinds: [kind] })
  void scene.host.apply([toyEntry('a')])
  await until(() => opened.length === 1, 'the first one')
  void scene.host.apply([toyEntry('b')])
  const last = scene.host.apply([toyEntry('a')])
  await scene.settle()
  clock.advance(2000)
  await until(() => opened.length === 2, 'another one')
  opened[1].finish()
  await last
  assert.deepEqual(
    opened.map(({ context }) => context.id),
    ['a', 'a'],
  )
  assert.equal(scene.report('a').state, 'running')
})

test('a bridge that is paused while it opens stays paused', async (t) => {
  const { kind, opened } = patientKind()
  const scene = await BridgeScene.start(t, '[]', { kinds: [kind] })
  void scene.host.apply([toyEntry('a')])
  await until(() => opened.length === 1, 'the first one')
  await scene.set('/_meta/bridges/a/enabled', { type: 'bool', value: false })
  opened[0].finish()
  await until(() => scene.report('a').state === 'stopped', 'the pause')
  assert.equal(opened[0].isStopped, true)
  await scene.set('/_meta/bridges/a/enabled', { type: 'bool', value: true })
  await until(() => opened.length === 2, 'another try')
  opened[1].finish()
  await until(() => scene.report('a').state === 'running', 'the return')
})

test('of quick changes of the param enabled the last one counts', async (t) => {
  const { kind, opened } = patientKind()
  const scene = await BridgeScene.start(t, '[]', { kinds: [kind] })
  void scene.host.apply([toyEntry('a')])
  await until(() => opened.length === 1, 'the first one')
  opened[0].finish()
  await until(() => scene.report('a').state === 'running', 'the start')
  for (const value of [false, true, false, true, false]) {
    void scene.set('/_meta/bridges/a/enabled', { type: 'bool', value })
  }
  await until(() => scene.report('a').state === 'stopped', 'the pause')
  for (let i = 0; i < 10; i++) await scene.settle()
  for (const one of opened) one.finish()
  await scene.settle()
  assert.equal(scene.report('a').state, 'stopped')
  assert.ok(opened.every(({ isStopped, context }) => isStopped || context.signal.aborted))
})

test('what a bridge that is gone still has to say keeps no timer', async (t) => {
  const { scene, opened, entry, apply, pass } = await toy(t)
  await apply(entry('a'))
  await apply()
  await pass(2000)
  const { pendingTimers } = scene.clock as SteppedClock
  opened[0].context.problem('late', 'it did not stop in time, and fails now')
  opened[0].context.setPeers(1)
  opened[0].context.router.announce('/a', [])
  assert.equal((scene.clock as SteppedClock).pendingTimers, pendingTimers)
})

test('SETs that the router refuses without a word on their address cost no memory', async (t) => {
  const router = new Router({ ...defaultRouterOptions, name: 'scene' }, { clock: systemClock, log: silentLog })
  t.after(() => router.stop())
  const counters = { in: 0, out: 0, inDropped: 0, outDropped: 0, errors: 0 }
  const session = new RouterSession({
    openLocal: (options) => router.openLocal(options),
    name: 'bridge',
    clock: systemClock,
    counters,
    mapIn: null,
    mapOut: null,
    onLoop: () => {},
  })
  session.subscribe('/**', () => {})
  for (let i = 0; i < 6000; i++) session.set(`/a/${i}/*`, { type: 'null' })
  const { own } = session as unknown as { own: { unanswered: Map<string, number>; waiting: Map<string, unknown[]> } }
  assert.ok(own.unanswered.size <= 4096, `${own.unanswered.size} are awaited`)
  assert.ok(own.waiting.size <= 4096, `${own.waiting.size} are known`)
  session.close()
})
