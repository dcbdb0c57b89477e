import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import { SteppedClock } from '../../router/stepped-clock.ts'
import { until } from '../../until.ts'
import type { BridgeSceneOptions } from '../bridge-scene.ts'
import { EventReader } from './event-reader.ts'
import { startHttp } from './http-scene.ts'
import { ask } from './web-request.ts'

const f64 = (value: number): Value => ({ type: 'f64', value })

async function start(t: TestContext, more = '', options: BridgeSceneOptions = {}) {
  const { port, scene } = await startHttp(t, more, options)
  const listen = (query: string, lastId?: string) => EventReader.open(t, port, `/v1/events${query}`, lastId)
  return { port, scene, listen }
}

test('values, events, streams and gestures arrive as they happen, with what they are', async (t) => {
  const { scene, listen } = await start(t)
  const reader = await listen('?pattern=/a/**&pattern=/b/*')
  assert.equal(reader.response.headers['content-type'], 'text/event-stream')
  assert.equal(reader.response.headers['cache-control'], 'no-store')
  assert.equal(reader.response.headers['x-accel-buffering'], 'no')
  await scene.set('/a/x', f64(0.5))
  await scene.set('/elsewhere', f64(1))
  await scene.event('/b/go', { type: 'string', value: 'line\nline' })
  await scene.send({ type: 'PUBLISH', address: '/a/s', signal: 'stream', value: f64(1) })
  await scene.send({ type: 'PUBLISH', address: '/a/g', signal: 'gesture', id: 3, phase: 'start', payload: f64(2) })
  const events = await reader.hears(4)
  assert.deepEqual(
    events.map(({ event, data: { t: time, ...data } }) => [event, data, typeof time]),
    [
      ['value', { address: '/a/x', value: 0.5, revision: 1 }, 'number'],
      ['event', { address: '/b/go', value: 'line\nline' }, 'number'],
      ['stream', { address: '/a/s', value: 1 }, 'number'],
      ['gesture', { address: '/a/g', value: 2, phase: 'start', gesture: 3 }, 'number'],
    ],
  )
  const ids = events.map(({ id }) => (id ?? '').split('-'))
  assert.deepEqual(
    ids.map(([, seq]) => seq),
    ['1', '2', '3', '4'],
  )
  assert.equal(scene.report('rest').peers, 1)
  reader.close()
  await until(() => scene.report('rest').peers === 0, 'the end')
})

test('with a snapshot, what there is comes first, in pieces of 500, and nothing twice', async (t) => {
  const { scene, listen } = await start(t)
  for (let i = 0; i < 501; i++) await scene.set(`/a/${i}`, f64(i))
  const reader = await listen('?pattern=/a/**&snapshot=1&types=param')
  await scene.set('/a/0', f64(1000))
  const [first, second, third] = await reader.hears(3)
  assert.deepEqual([first.event, second.event, third.event], ['snapshot', 'snapshot', 'value'])
  assert.equal(Object.keys(first.data.state as object).length, 500)
  assert.deepEqual([first.data.final, second.data.final], [false, true])
  assert.equal(Object.keys(second.data.state as object).length, 1)
  assert.deepEqual([third.data.address, third.data.value], ['/a/0', 1000])
})

test('a client that comes back gets what it missed, or a snapshot when that is no longer known', async (t) => {
  const clock = new SteppedClock()
  const { scene, listen } = await start(t, '', { clock })
  const query = '?pattern=/a/*'
  const reader = await listen(query)
  await scene.set('/a/x', f64(1))
  await reader.hears(1)
  reader.close()
  await until(() => scene.report('rest').peers === 0, 'the end')
  await scene.set('/a/x', f64(2))
  await scene.event('/a/go', { type: 'null' })
  const again = await listen(query, reader.lastId)
  await scene.set('/a/x', f64(3))
  const events = await again.hears(3)
  assert.deepEqual(
    events.map(({ event, data }) => [event, data.value]),
    [
      ['value', 2],
      ['event', null],
      ['value', 3],
    ],
  )
  again.close()
  await until(() => scene.report('rest').peers === 0, 'the end')
  for (let i = 0; i < 1100; i++) await scene.set('/a/x', f64(i))
  const late = await listen(query, reader.lastId)
  assert.deepEqual((await late.hears(1))[0].data, { state: { '/a/x': 1099 }, final: true })
  late.close()
  await until(() => scene.report('rest').peers === 0, 'the end')
  clock.advance(31_000)
  const stranger = await listen(query, late.lastId)
  assert.equal((await stranger.hears(1))[0].event, 'snapshot', 'the feed is gone')
})

test('what is deleted is told as removed, and a null as a value', async (t) => {
  const { port, scene, listen } = await start(t)
  const reader = await listen('?pattern=/a')
  await scene.set('/a', f64(1))
  await scene.set('/a', { type: 'null' })
  await ask(port, '/v1/state/a', { method: 'DELETE' })
  const events = await reader.hears(3)
  assert.deepEqual(
    events.map(({ event, data }) => [event, data.value]),
    [
      ['value', 1],
      ['value', null],
      ['removed', null],
    ],
  )
})

test('the alias has unnamed events with address and value, beginning with those that there are', async (t) => {
  const { port, scene } = await start(t)
  await scene.set('/a/x', f64(1))
  const reader = await EventReader.open(t, port, '/api/subscribe/a/**')
  await reader.hears(1)
  await scene.set('/a/x', f64(2))
  const events = await reader.hears(2)
  assert.deepEqual(
    events.map(({ event, data }) => [event, data]),
    [
      [undefined, { address: '/a/x', value: 1 }],
      [undefined, { address: '/a/x', value: 2 }],
    ],
  )
})

test('a quiet stream is kept alive by comments', async (t) => {
  const clock = new SteppedClock()
  const { listen } = await start(t, '', { clock })
  const reader = await listen('?pattern=/a')
  for (let i = 1; i <= 2; i++) {
    clock.advance(15_000)
    await until(() => reader.comments === i, 'a comment')
  }
})

test('a client that does not read has the last values afterwards, and is told when events were lost', async (t) => {
  // It stands still, so that nobody is cut off for reading late.
  const { scene, listen } = await start(t, '', { clock: new SteppedClock() })
  const [params, events] = [await listen('?pattern=/p'), await listen('?pattern=/e')]
  params.response.pause()
  events.response.pause()
  const text = 'x'.repeat(30_000)
  for (let i = 0; i < 600; i++) await scene.set('/p', { type: 'string', value: `${text}${i}` })
  await until(() => scene.report('rest').outDropped > 0, 'values that others took the place of')
  for (let i = 0; i < 600; i++) await scene.event('/e', { type: 'string', value: text })
  params.response.resume()
  events.response.resume()
  await until(() => String(params.events.at(-1)?.data.value).endsWith('x599'), 'the last value')
  assert.ok(params.events.length < 600)
  await until(() => events.isEnded, 'the end of the slow one')
  assert.deepEqual([events.events.at(-1)?.event, events.events.at(-1)?.data.code], ['error', 'slow_consumer'])
})

test('streams above the limit and queries that make no sense are refused', async (t) => {
  const { port, listen } = await start(t, ', maxStreams: 1')
  const reader = await listen('?pattern=/a')
  const full = await ask(port, '/v1/events')
  assert.deepEqual([full.status, full.headers['retry-after']], [503, '10'])
  reader.close()
  for (const query of ['pattern=a', 'types=value', 'max_rate=0', 'snapshot=yes'])
    assert.equal((await ask(port, `/v1/events?${query}`)).status, 400, query)
  assert.equal((await ask(port, '/v1/events', { method: 'HEAD' })).status, 200)
})

test('streams end when the bridge stops, those that nobody reads too', async (t) => {
  const { scene, listen } = await start(t)
  const [reader, slow] = [await listen(''), await listen('')]
  slow.response.pause()
  for (let i = 0; i < 200; i++) await scene.event('/e', { type: 'string', value: 'x'.repeat(30_000) })
  await scene.apply('[]')
  await until(() => reader.isEnded, 'the end')
})

test('max_rate holds back what changes faster, and the last value comes', async (t) => {
  const { scene, listen } = await start(t)
  const reader = await listen('?pattern=/a&max_rate=20')
  for (let i = 0; i <= 200; i++) await scene.set('/a', f64(i))
  await until(() => reader.events.at(-1)?.data.value === 200, 'the last value')
  assert.ok(reader.events.length < 100)
})
