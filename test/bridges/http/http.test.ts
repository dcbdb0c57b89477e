import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import { SteppedClock } from '../../router/stepped-clock.ts'
import { BridgeScene } from '../bridge-scene.ts'
import { errorOf, startHttp } from './http-scene.ts'
import { ask } from './web-request.ts'

const f64 = (value: number): Value => ({ type: 'f64', value })

test('a param is set, read, known by its revision and removed', async (t) => {
  const { scene, go } = await startHttp(t)
  const put = await go('/v1/state/lights/1', { method: 'PUT', body: '{"value": 5.0}' })
  assert.equal(put.status, 200)
  assert.deepEqual(put.json, { address: '/lights/1', value: 5, revision: 1 })
  assert.deepEqual(scene.param('/lights/1'), f64(5))
  const got = await go('/v1/state/lights/1')
  assert.equal(got.headers.etag, '"1"')
  const { address, value, revision, writer, timestamp } = got.json as Record<string, unknown>
  assert.deepEqual([address, value, revision, typeof writer], ['/lights/1', 5, 1, 'string'])
  assert.ok(Math.abs(Number(timestamp) / 1000 - Date.now()) < 60_000)
  const iso = (await go('/v1/state/lights/1?time=iso')).json as { timestamp: string }
  assert.match(iso.timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/)
  assert.equal(Date.parse(iso.timestamp), Math.floor(Number(timestamp) / 1000))
  assert.equal((await go('/v1/state/lights/1', { headers: { 'if-none-match': '"1"' } })).status, 304)
  assert.equal((await go('/v1/state/lights/1', { method: 'DELETE' })).status, 204)
  assert.deepEqual(scene.param('/lights/1'), { type: 'null' })
  const gone = await go('/v1/state/lights/1')
  assert.equal(gone.status, 404)
  assert.deepEqual([errorOf(gone).code, errorOf(gone).address], ['not_found', '/lights/1'])
  assert.equal((await go('/v1/state/lights/1', { method: 'DELETE' })).status, 404)
  await go('/v1/state/lights/1', { method: 'PUT', body: 'null' })
  assert.equal(((await go('/v1/state/lights/1')).json as { value: unknown }).value, null, 'a null that is meant')
})

test('bare values, types, bytes and escaped levels go through as they are', async (t) => {
  const { scene, go } = await startHttp(t)
  const form = { 'content-type': 'application/x-www-form-urlencoded' }
  await go('/v1/state/a/int', { method: 'PUT', body: '7', headers: form })
  await go('/v1/state/a/float', { method: 'PUT', body: '7.0' })
  await go('/v1/state/a/big', { method: 'PUT', body: '9223372036854775807' })
  await go('/v1/state/a/map', { method: 'PUT', body: '{"x": [1, "é"]}' })
  await go('/v1/state/a/bytes?bytes=base64', { method: 'PUT', body: '{"value": {"$bytes": "AQL/"}}' })
  await go('/v1/state/a/b%25%23c%20d', { method: 'PUT', body: 'true' })
  assert.deepEqual(scene.param('/a/int'), { type: 'i64', value: 7 })
  assert.deepEqual(scene.param('/a/float'), f64(7))
  assert.deepEqual(scene.param('/a/big'), { type: 'i64', value: 9223372036854775807n })
  assert.deepEqual(scene.param('/a/bytes'), { type: 'bytes', value: Uint8Array.of(1, 2, 255) })
  assert.deepEqual(scene.param('/a/b%#c d'), { type: 'bool', value: true })
  assert.match((await go('/v1/state/a/big')).text, /"value":9223372036854775807,/)
  assert.deepEqual(((await go('/v1/state/a/bytes')).json as { value: unknown }).value, [1, 2, 255])
  const base64 = (await go('/v1/state/a/bytes?bytes=base64')).json as { value: unknown }
  assert.deepEqual(base64.value, { $bytes: 'AQL/' })
})

test('a write for another revision than there is, or to a param that is locked, is a conflict', async (t) => {
  const { scene, go } = await startHttp(t)
  const put = (body: string, headers: Record<string, string> = {}) =>
    go('/v1/state/x', { method: 'PUT', body, headers })
  assert.equal((await put('1', { 'if-match': '"1"' })).status, 409, 'there is nothing yet')
  assert.equal((await put('1', { 'if-none-match': '*' })).status, 200)
  assert.equal((await put('1', { 'if-none-match': '*' })).status, 409)
  assert.equal((await put('2', { 'if-match': '"1"' })).headers.etag, '"2"')
  const late = await put('3', { 'if-match': '"1"' })
  assert.equal(late.status, 409)
  assert.match(errorOf(late).message, /its revision is 2/)
  assert.equal((await put('{"value": 4, "revision": 1}')).status, 409)
  assert.equal((await put('{"value": 4, "revision": 2}')).status, 200)
  await scene.send({ type: 'SET', address: '/x', value: f64(5), lock: true })
  assert.equal((await put('6')).status, 409)
  assert.deepEqual(scene.param('/x'), f64(5))
  assert.equal((await go('/v1/state/x', { method: 'DELETE' })).status, 409)
  assert.equal((await go('/v1/state/none', { method: 'PUT', body: '1', headers: { 'if-match': '*' } })).status, 409)
})

test('a param with a time to live goes when its time is over', async (t) => {
  const clock = new SteppedClock()
  const { go } = await startHttp(t, '', { clock })
  await go('/v1/state/x', { method: 'PUT', body: '{"value": 1, "ttl": 10}' })
  clock.advance(9_000)
  assert.equal((await go('/v1/state/x')).status, 200)
  clock.advance(2_000)
  assert.equal((await go('/v1/state/x')).status, 404)
  assert.equal((await go('/v1/state/x', { method: 'PUT', body: '{"value": 1, "ttl": "soon"}' })).status, 400)
})

test('two bridges at one port cannot have the same paths, and the second one says so', async (t) => {
  const scene = await BridgeScene.start(t, '- {id: one, kind: http}\n- {id: two, kind: http, namespace: /two}')
  assert.equal(scene.report('one').state, 'running')
  assert.match(scene.report('two').reason, /the path \/v1 is taken already.*listen/)
})

test('events are emitted, and a bundle happens as a whole or not at all', async (t) => {
  const { scene, go } = await startHttp(t)
  const emitted = await go('/v1/emit/cue/go', { method: 'POST', body: '{"value": [1]}' })
  assert.deepEqual(emitted.json, { address: '/cue/go', status: 'emitted' })
  await go('/v1/emit/cue/stop', { method: 'POST' })
  const events = () => scene.heard.filter(({ signal, address }) => signal === 'event' && address.startsWith('/cue'))
  assert.deepEqual(events(), [
    {
      signal: 'event',
      address: '/cue/go',
      value: { type: 'array', value: [{ type: 'i64', value: 1 }] },
      phase: 'start',
    },
    { signal: 'event', address: '/cue/stop', value: { type: 'null' }, phase: 'start' },
  ])
  const bundle = (operations: unknown) => go('/v1/bundle', { method: 'POST', body: JSON.stringify({ operations }) })
  const all = await bundle([{ set: ['/b/1', 1] }, { emit: ['/cue/b', 'x'] }, { set: ['/b/2', 2] }])
  assert.deepEqual(all.json, { applied: 3 })
  assert.equal(events().length, 3)
  assert.equal((await bundle([{ set: ['/b/1', 9] }, { set: ['/_clasp/x', 1] }])).status, 403)
  assert.equal((await bundle([{ set: ['/b/1', 9] }, { set: ['/b/*', 1] }])).status, 400)
  assert.equal((await bundle([{ set: ['/b/1', 9] }, { jump: ['/b', 1] }])).status, 400)
  assert.deepEqual(scene.param('/b/1'), { type: 'i64', value: 1 })
})

test('snapshots, queries and announced signals are found by prefix and pattern', async (t) => {
  const { scene, go } = await startHttp(t)
  await scene.set('/a/1', f64(0.5))
  await scene.set('/a/2/deep', { type: 'bool', value: false })
  await scene.set('/b', { type: 'string', value: 'x' })
  await scene.send({
    type: 'ANNOUNCE',
    namespace: '/a',
    signals: [{ address: '/a/1', type: 'param', datatype: 'f64', access: 'rw', meta: { unit: 'V', range: [0, 10] } }],
  })
  assert.deepEqual((await go('/v1/snapshot/a')).json, { '/a/1': 0.5, '/a/2/deep': false })
  assert.deepEqual((await go('/v1/snapshot?pattern=/*')).json, { '/b': 'x' })
  const lines = await go('/v1/snapshot/a', { headers: { accept: 'application/x-ndjson' } })
  assert.equal(lines.headers['content-type'], 'application/x-ndjson')
  assert.deepEqual(
    lines.text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line)),
    [
      { address: '/a/1', value: 0.5, revision: 1 },
      { address: '/a/2/deep', value: false, revision: 1 },
    ],
  )
  assert.deepEqual((await go('/v1/query?pattern=/a/*')).json, [{ address: '/a/1', value: 0.5, revision: 1 }])
  assert.deepEqual((await go('/api/list/a/*')).json, [{ address: '/a/1', value: 0.5, revision: 1 }])
  assert.deepEqual((await go('/v1/signals?pattern=/a/**')).json, [
    { address: '/a/1', type: 'param', datatype: 'f64', access: 'rw', unit: 'V', range: [0, 10] },
  ])
  assert.equal((await go('/v1/query?pattern=a')).status, 400)
})

test('the paths of the reference implementation answer as it does, without its namespace in front', async (t) => {
  const { scene, go } = await startHttp(t)
  const put = await go('/api/http/foo', { method: 'PUT', body: '{"value": 1}' })
  assert.deepEqual(put.json, { address: '/http/foo', value: 1, status: 'set' })
  assert.deepEqual((await go('/api/http/foo')).json, { address: '/http/foo', value: 1 })
  const post = await go('/api/http/bang', { method: 'POST', body: '2' })
  assert.deepEqual(post.json, { address: '/http/bang', value: 2, status: 'published' })
  assert.deepEqual((await go('/api/http/foo', { method: 'DELETE' })).json, { address: '/http/foo', status: 'deleted' })
  const gone = await go('/api/http/foo')
  assert.equal(gone.status, 404)
  assert.deepEqual(gone.json, { error: 'Signal not found', address: '/http/foo' })
  await scene.set('/x', f64(1))
  assert.deepEqual((await go('/api/signals?pattern=/x')).json, { signals: [{ address: '/x', value: 1 }], count: 1 })
  assert.equal((await go('/api/signals', { method: 'PUT', body: '1' })).status, 405)
  const health = (await go('/api/health')).json as Record<string, unknown>
  assert.deepEqual([health.status, health.protocol], ['ok', 'CLASP'])
  const set = await go('/api/set', { method: 'POST', body: '{"address": "/y", "value": 3}' })
  assert.deepEqual(set.json, { address: '/y', value: 3, revision: 1 })
  assert.equal(((await go('/api/get?address=/y')).json as { value: number }).value, 3)
  assert.equal((await go('/api/emit', { method: 'POST', body: '{"address": "/z"}' })).status, 200)
})

test('with legacyNamespace, writes go below the namespace and reads do not', async (t) => {
  const { scene, go } = await startHttp(t, ', legacyNamespace: true')
  await go('/api/http/foo', { method: 'PUT', body: '1' })
  assert.deepEqual(scene.param('/http/http/foo'), { type: 'i64', value: 1 })
  assert.equal((await go('/api/http/foo')).status, 404)
  assert.equal((await go('/api/http/http/foo')).status, 200)
})

test('health tells the state of all bridges, and fails when a required one does not run', async (t) => {
  const { scene, go, port } = await startHttp(t, ', requiredBridges: [rest, other]')
  const bad = await go('/v1/health')
  assert.equal(bad.status, 503)
  assert.equal((bad.json as { status: string }).status, 'unavailable')
  await scene.apply(`- {id: rest, kind: http, listen: ${port}, host: 127.0.0.1}`)
  const good = await go('/v1/health')
  assert.equal(good.status, 200)
  const { status, node, bridges } = good.json as Record<string, unknown>
  assert.deepEqual([status, node, bridges], ['ok', 'scene', { rest: 'running' }])
})

test("at the router's own port it answers below /v1 and /api, until it is stopped", async (t) => {
  const scene = await BridgeScene.start(t, '- {id: rest, kind: http}')
  const server = createServer((request, response) => {
    const route = scene.web.find((request.url ?? '').split('?', 1)[0])
    if (route === undefined) response.writeHead(404).end()
    else route(request, response, () => {})
  }).listen(0, '127.0.0.1')
  t.after(() => server.close())
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as { port: number }
  await scene.set('/x', f64(1))
  assert.equal((await ask(port, '/v1/state/x')).status, 200)
  assert.equal((await ask(port, '/api/x')).status, 200)
  assert.match((await ask(port, '/v1/')).text, /curl/)
  await scene.apply('[]')
  assert.equal((await ask(port, '/v1/state/x')).status, 404)
})

test('a request whose body comes after the bridge was stopped is refused, at the port of the router too', async (t) => {
  const scene = await BridgeScene.start(t, '- {id: rest, kind: http}')
  const server = createServer((incoming, response) => {
    scene.web.find(incoming.url ?? '')?.(incoming, response, () => {})
  }).listen(0, '127.0.0.1')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const asking = request({
    host: '127.0.0.1',
    port,
    path: '/v1/state/x',
    method: 'PUT',
    headers: { 'content-length': 3 },
  })
  asking.write('1')
  await once(server, 'request')
  await scene.apply('[]')
  asking.end('.5')
  const [response] = (await once(asking, 'response')) as [IncomingMessage]
  assert.equal(response.statusCode, 503)
  assert.match(await text(response), /is stopping/)
  assert.equal(scene.param('/x'), undefined)
})
