import assert from 'node:assert/strict'
import { hostname } from 'node:os'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import { SteppedClock } from '../../router/stepped-clock.ts'
import { errorOf, startHttp } from './http-scene.ts'
import type { Ask } from './web-request.ts'

const f64 = (value: number): Value => ({ type: 'f64', value })

test('what cannot be is refused with its reason', async (t) => {
  const { scene, go } = await startHttp(t, ', maxBody: 1024')
  const refused = async (path: string, wanted: Ask, status: number, code: string) => {
    const reply = await go(path, wanted)
    assert.deepEqual([reply.status, errorOf(reply).code], [status, code], `${wanted.method} ${path}`)
    return reply
  }
  await refused('/v1/state/x', { method: 'PUT', body: '{' }, 400, 'bad_request')
  await refused('/v1/state/x', { method: 'PUT' }, 400, 'bad_request')
  await refused('/v1/state/a//b', {}, 400, 'bad_request')
  await refused('/v1/state/%zz', {}, 400, 'bad_request')
  await refused('/v1/state/x?time=later', {}, 400, 'bad_request')
  await refused('/v1/state/x', { method: 'PUT', body: '{"$bytes": "!"}' }, 400, 'bad_request')
  await refused('/v1/state/_clasp/name', { method: 'PUT', body: '1' }, 403, 'forbidden')
  await refused(
    '/v1/state/x',
    { method: 'PUT', body: '1', headers: { 'content-type': 'image/png' } },
    415,
    'unsupported_type',
  )
  await refused('/v1/state/x', { method: 'PUT', body: `"${'x'.repeat(2000)}"` }, 413, 'too_large')
  const chunked = { 'transfer-encoding': 'chunked' }
  await refused('/v1/state/x', { method: 'PUT', body: `"${'x'.repeat(2000)}"`, headers: chunked }, 413, 'too_large')
  const wrong = await refused('/v1/state/x', { method: 'POST', body: '1' }, 405, 'method_not_allowed')
  assert.equal(wrong.headers.allow, 'GET, PUT, DELETE, HEAD, OPTIONS')
  assert.match(errorOf(await refused('/v2/state', {}, 404, 'not_found')).message, /\/v1\//)
  const options = await go('/v1/emit/x', { method: 'OPTIONS' })
  assert.deepEqual([options.status, options.headers.allow], [204, 'POST, OPTIONS'])
  const long = await go('/v1/health', { headers: { 'x-long': 'x'.repeat(20_000) } })
  assert.equal(long.status, 431)
  await scene.set('/h', f64(1))
  const head = await go('/v1/state/h', { method: 'HEAD' })
  assert.deepEqual([head.status, head.text, head.headers.etag], [200, '', '"1"'])
  assert.ok(scene.report('rest').inDropped >= 12)
})

test('pages of other origins read and write when they are listed, and cannot write when not', async (t) => {
  const { go, port } = await startHttp(t, ', origins: ["https://stage.example"]')
  const preflight = (origin: string) =>
    go('/v1/state/x', {
      method: 'OPTIONS',
      headers: { origin, 'access-control-request-method': 'PUT', 'access-control-request-headers': 'content-type' },
    })
  const good = await preflight('https://stage.example')
  assert.equal(good.status, 204)
  assert.equal(good.headers['access-control-allow-origin'], 'https://stage.example')
  assert.match(String(good.headers['access-control-allow-methods']), /PUT/)
  assert.match(String(good.headers['access-control-allow-headers']), /Content-Type/)
  assert.equal(good.headers['access-control-allow-credentials'], undefined)
  assert.equal(good.headers.vary, 'Origin')
  const bad = await preflight('https://evil.example')
  assert.equal(bad.headers['access-control-allow-origin'], undefined)
  assert.equal(bad.headers['access-control-allow-methods'], undefined)
  // A form of a foreign page needs no preflight.
  const put = (origin: string) => go('/v1/emit/x', { method: 'POST', body: '1', headers: { origin } })
  assert.equal((await put('https://evil.example')).status, 403)
  assert.equal((await put('https://stage.example')).status, 200)
  assert.equal((await put(`http://127.0.0.1:${port}`)).status, 200, 'its own page')
})

test('a name that a stranger may have made for this node is not answered, unless it is listed or a token is shown', async (t) => {
  const { go, port, scene } = await startHttp(
    t,
    ', hosts: [Node.example.org], tokens: [{token: a, write: ["/**"]}], anonymous: {read: ["/**"], write: ["/**"]}',
  )
  const put = (host: string, headers: Record<string, string> = {}) =>
    go('/v1/state/x', { method: 'PUT', body: '1', headers: { host, ...headers } })
  // As the page of a rebound name asks: it is of the same origin.
  const evil = `evil.example:${port}`
  const refused = await put(evil, { origin: `http://${evil}` })
  assert.deepEqual([refused.status, errorOf(refused).code], [421, 'misdirected'])
  assert.match(errorOf(refused).message, /evil\.example.*hosts/)
  assert.equal((await go('/v1/snapshot', { headers: { host: evil } })).status, 421, 'reading needs no origin')
  assert.equal((await put('<script>')).status, 421)
  assert.equal(scene.param('/x'), undefined)
  assert.equal((await put(evil, { 'x-api-key': 'a' })).status, 200)
  for (const host of [
    '192.0.2.7',
    '[2001:db8::1]:80',
    '[fe80::1%25eth0]:80',
    'LOCALHOST:7330',
    'board.local.:7330',
    'localhost',
    'board:7330',
    'board.local',
    hostname(),
    'node.example.org',
  ])
    assert.equal((await put(host, { origin: `http://${host}` })).status, 200, host)
})

test('with "*" every page may ask, without credentials', async (t) => {
  const { go } = await startHttp(t, ', origins: ["*"]')
  const { status, headers } = await go('/v1/health', { headers: { origin: 'null', host: 'any.example' } })
  assert.equal(status, 200)
  assert.equal(headers['access-control-allow-origin'], '*')
  assert.equal(headers['access-control-allow-credentials'], undefined)
})

test('a client above its rate waits, and others do not', async (t) => {
  const clock = new SteppedClock()
  const { go } = await startHttp(
    t,
    ', requestsPerSecond: 2, burst: 3, tokens: [{token: a, read: ["/**"]}], anonymous: {read: ["/**"]}',
    { clock },
  )
  const statuses: number[] = []
  for (let i = 0; i < 4; i++) statuses.push((await go('/v1/health')).status)
  assert.deepEqual(statuses, [200, 200, 200, 429])
  const refused = await go('/v1/health')
  assert.equal(refused.headers['retry-after'], '1')
  assert.equal((await go('/v1/health', { headers: { 'x-api-key': 'a' } })).status, 200)
  clock.advance(1000)
  assert.equal((await go('/v1/health')).status, 200)
})

test('tokens allow what is listed with them, and nothing goes without one', async (t) => {
  const { scene, go } = await startHttp(
    t,
    ', tokens: [{token: reader, read: ["/a/**"]}, {token: writer, read: ["/**"], write: ["/a/*"]}]',
  )
  await scene.set('/a/1', f64(1))
  await scene.set('/b', f64(2))
  const as = (token: string) => ({ authorization: `Bearer ${token}` })
  const none = await go('/v1/state/a/1')
  assert.deepEqual([none.status, none.headers['www-authenticate']], [401, 'Bearer realm="clasp"'])
  assert.equal((await go('/v1/state/a/1', { headers: as('wrong') })).status, 401)
  assert.equal((await go('/v1/state/a/1?token=reader')).status, 401, 'only event streams have it in the URL')
  assert.equal((await go('/v1/state/a/1', { headers: as('reader') })).status, 200)
  const basic = `Basic ${Buffer.from('any:reader').toString('base64')}`
  assert.equal((await go('/v1/state/a/1', { headers: { authorization: basic } })).status, 200)
  assert.equal((await go('/v1/state/b', { headers: as('reader') })).status, 403)
  assert.deepEqual((await go('/v1/snapshot', { headers: as('reader') })).json, { '/a/1': 1 })
  assert.equal((await go('/v1/query?pattern=/**', { headers: as('reader') })).status, 403)
  assert.equal((await go('/v1/events?pattern=/**&token=reader')).status, 403)
  const put = (path: string, token: string) => go(path, { method: 'PUT', body: '5', headers: as(token) })
  assert.equal((await put('/v1/state/a/1', 'reader')).status, 403)
  assert.equal((await put('/v1/state/a/1', 'writer')).status, 200)
  assert.equal((await put('/v1/state/a/1/2', 'writer')).status, 403)
})

test('whatever is sent, it is answered, and never with a failure of the server', async (t) => {
  const { go, scene } = await startHttp(t, ', requestsPerSecond: 100000, burst: 100000')
  const part = fc.constantFrom(
    'v1',
    'api',
    'state',
    'emit',
    'bundle',
    'snapshot',
    'query',
    'signals',
    'list',
    'a',
    '*',
    '**',
    '%25',
    '%zz',
    '%00',
    '',
    '..',
    '%F0%9F%92%A1',
    '_clasp',
  )
  const query = fc.constantFrom(
    '',
    '?',
    '?pattern=/**',
    '?pattern=%',
    '?time=iso&bytes=base64',
    '?address=/a',
    '?time=',
    '?pattern=//',
  )
  const body = fc.oneof(
    fc.json({ maxDepth: 3 }),
    fc.string(),
    fc.constantFrom(
      '{"value":1,"ttl":-1}',
      '{"value":1,"revision":99999999999999999999}',
      '{"operations":[{"set":[1]}]}',
      '[{}]',
      '['.repeat(500),
      '{"operations":[null]}',
      '{"timestamp":1e300,"operations":[]}',
      '{"value":1,"ttl":{"mode":{}}}',
      '{"value":{"$bytes":"////"}}',
    ),
  )
  const headers = fc.constantFrom<Record<string, string>>(
    {},
    { 'if-match': '"' },
    { 'if-none-match': '*' },
    { authorization: 'Basic x' },
    { 'content-type': 'application/json; charset=latin1' },
    { 'last-event-id': 'x' },
    { accept: 'application/x-ndjson' },
  )
  const method = fc.constantFrom('GET', 'PUT', 'POST', 'DELETE', 'HEAD', 'OPTIONS', 'PATCH', 'TRACE')
  await fc.assert(
    fc.asyncProperty(
      method,
      fc.array(part, { maxLength: 5 }),
      query,
      body,
      headers,
      async (how, parts, search, text, extra) => {
        const reply = await go(`/${parts.join('/')}${search}`, {
          method: how,
          body: text,
          headers: { 'content-length': String(Buffer.byteLength(text)), ...extra },
        })
        assert.ok(reply.status < 500, `${reply.status} ${reply.text}`)
      },
    ),
    { numRuns: 200, seed: 20, endOnFailure: true },
  )
  assert.equal(scene.report('rest').state, 'running')
})
