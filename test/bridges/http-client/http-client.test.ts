import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import { isLocal } from '../../../runtime/bridges/http-client/guarded-address.ts'
import { jsonFromValue } from '../../../runtime/bridges/json-value.ts'
import { parseConfig } from '../../../runtime/config/load.ts'
import { SteppedClock } from '../../router/stepped-clock.ts'
import { until } from '../../until.ts'
import { BridgeScene } from '../bridge-scene.ts'
import { WebServer } from './web-server.ts'

const f64 = (value: number): Value => ({ type: 'f64', value })

function bridge(yaml: string): string {
  return `- id: web\n  kind: http-client\n  allowLocal: true\n${yaml.replace(/^ {4}/gm, '  ')}`
}

test('a webhook is sent for each change and event that it matches, with its parts where the template wants them', async (t) => {
  const server = await WebServer.start(t, (_, response) => response.end())
  const at = `http://127.0.0.1:${server.port}`
  const scene = await BridgeScene.start(
    t,
    bridge(`
    webhooks:
      - {match: /a/**, url: "${at}/plain?level={seg2}", on: change, body: value, method: PUT}
      - {match: /b/*, url: "${at}/wrapped{address}", on: event, headers: ["X-Room: 5"]}
      - {match: /c, url: "${at}/text", body: '{"say": "{address}: {text}", "raw": {value}}'}
    `),
  )
  await scene.set('/a/x y', f64(0.5))
  await scene.event('/a/x y', f64(9))
  await until(() => server.got.length === 1, 'the change')
  await scene.event('/b/go', { type: 'string', value: 'now' })
  await scene.set('/b/go', f64(9))
  await until(() => server.got.length === 2, 'the event')
  await scene.set('/c', { type: 'string', value: 'a "b"' })
  await until(() => server.got.length === 3, 'the text')
  const [plain, wrapped, text] = server.got
  assert.deepEqual([plain.method, plain.url, plain.body], ['PUT', '/plain?level=x%20y', '0.5'])
  assert.equal(plain.headers['content-type'], 'application/json')
  assert.deepEqual([wrapped.method, wrapped.url, wrapped.headers['x-room']], ['POST', '/wrapped/b/go', '5'])
  const { address, value, t: time } = JSON.parse(wrapped.body)
  assert.deepEqual([address, value, typeof time], ['/b/go', 'now', 'number'])
  assert.deepEqual(JSON.parse(text.body), { say: '/c: a "b"', raw: 'a "b"' })
})

test('requests to one host share a connection, and carry a signature that the secret explains', async (t) => {
  const server = await WebServer.start(t, (_, response) => response.end())
  const scene = await BridgeScene.start(
    t,
    bridge(`
    webhooks: [{match: /x, url: "http://127.0.0.1:${server.port}/", body: value, secret: "It's a Secret to Everybody"}]
    `),
  )
  await scene.set('/x', { type: 'string', value: 'Hello, World!' })
  await until(() => server.got.length === 1, 'a request')
  await scene.set('/x', f64(2))
  await until(() => server.got.length === 2, 'a request')
  assert.equal(server.connections, 1)
  // printf '"Hello, World!"' | openssl dgst -sha256 -hmac "It's a Secret to Everybody"
  const expected = 'sha256=ecddb501376a06b92925a01b186582f725fd94c50d692a1033f57a5358f96a03'
  assert.equal(server.got[0].headers['x-hub-signature-256'], expected)
})

test('what fails for the moment is tried again, later and later; what is refused is not', async (t) => {
  const clock = new SteppedClock()
  const server = await WebServer.start(t, ({ url }, response, count) => {
    response.statusCode = url === '/refused' ? 404 : count < 3 ? 503 : 200
    response.end()
  })
  const at = `http://127.0.0.1:${server.port}`
  const scene = await BridgeScene.start(
    t,
    bridge(`
    webhooks: [{match: /again, url: "${at}/again", timeout: 60s}, {match: /refused, url: "${at}/refused", timeout: 60s}]
    `),
    { clock },
  )
  await scene.set('/again', f64(1))
  for (const count of [1, 2, 3]) {
    await until(() => server.got.length === count, 'a request')
    // One second, then two, less up to a half.
    await until(() => clock.pendingTimers > 0, 'a pause')
    await scene.settle()
    const before = server.got.length
    await until(() => {
      clock.advance(250)
      return server.got.length > before || count === 3
    }, 'the next try')
  }
  await until(() => scene.report('web').state === 'running', 'success')
  await scene.set('/refused', f64(1))
  await until(() => scene.report('web').state === 'degraded', 'a reason')
  assert.match(scene.report('web').reason, /did not take \/refused \(404\)/)
  assert.equal(server.got.filter(({ url }) => url === '/refused').length, 1)
  assert.equal(scene.report('web').outDropped, 1)
})

test('a server that does not answer costs a bounded queue, and gets the last values when it does', async (t) => {
  const held: (() => void)[] = []
  const server = await WebServer.start(t, (_, response) => {
    if (held.length === 0) held.push(() => response.end())
    else response.end()
  })
  const scene = await BridgeScene.start(
    t,
    bridge(`
    webhooks: [{match: /p/*, url: "http://127.0.0.1:${server.port}/", body: value}]
    `),
    // It stands still, so that nobody waits too long.
    { clock: new SteppedClock() },
  )
  await scene.set('/p/first', f64(0))
  await until(() => held.length === 1, 'the first')
  for (let i = 1; i <= 2000; i++) void scene.set('/p/x', f64(i))
  for (let i = 0; i < 1100; i++) void scene.event('/p/e', { type: 'null' })
  await until(() => scene.report('web').outDropped === 77, 'as many events as are too many')
  held[0]()
  await until(() => server.got.length > 1, 'the next')
  assert.equal(server.got[1].body, '2000')
})

test('this machine and link-local addresses are no target unless they may be, however they are written', async (t) => {
  const server = await WebServer.start(t, (_, response) => response.end('1'))
  const scene = await BridgeScene.start(
    t,
    `- id: web
  kind: http-client
  polls: [{url: "http://localhost:${server.port}/", address: /x}]`,
  )
  await until(() => scene.report('web').state === 'degraded', 'the refusal')
  assert.match(scene.report('web').reason, /allowLocal: true/)
  assert.equal(server.connections, 0)
  for (const one of [
    '127.0.0.1',
    '127.9.9.9',
    '0.0.0.0',
    '169.254.169.254',
    '::1',
    '::',
    'fe80::1%eth0',
    '::ffff:127.0.0.1',
    '::ffff:a9fe:a9fe',
  ])
    assert.equal(isLocal(one), true, one)
  for (const one of ['192.168.1.2', '10.0.0.1', '8.8.8.8', 'fd00::1', '2001:db8::1', 'example.org'])
    assert.equal(isLocal(one), false, one)
})

test('a poll sets the part that was selected, when it has changed', async (t) => {
  const answers = ['{"m":[{"p":1.0}]}', '{"m":[{"p":1.0}]}', '{"m":[{"p":2.5}]}']
  const server = await WebServer.start(t, (_, response, count) => response.end(answers[Math.min(count, 3) - 1]))
  const scene = await BridgeScene.start(
    t,
    bridge(`
    polls: [{url: "http://127.0.0.1:${server.port}/status", every: 100ms, select: "$.m[0].p", address: /meter}]
    `),
  )
  await scene.untilParam('/meter', (value) => value.type === 'f64' && value.value === 2.5)
  const values = scene.heard.filter(({ address }) => address === '/meter').map(({ value }) => value)
  assert.deepEqual(values, [f64(1), f64(2.5)])
  await until(() => server.got.length >= 4, 'more requests')
})

test('a poll without an address takes the lists of other CLASP nodes, and asks only for news', async (t) => {
  const server = await WebServer.start(t, ({ headers }, response) => {
    if (headers['if-none-match'] === '"7"') response.statusCode = 304
    response.setHeader('ETag', '"7"')
    response.end(
      headers['if-none-match'] === undefined ? '{"signals":[{"address":"/a","value":1},{"address":"b"}]}' : '',
    )
  })
  const scene = await BridgeScene.start(
    t,
    bridge(`
    namespace: /far
    polls: [{url: "http://127.0.0.1:${server.port}/api/signals", every: 100ms}]
    `),
  )
  assert.deepEqual(await scene.untilParam('/far/a'), { type: 'i64', value: 1 })
  await until(() => server.got.length >= 2, 'another request')
  await scene.settle()
  assert.equal(server.got[1].headers['if-none-match'], '"7"')
  assert.equal(scene.report('web').inDropped, 1)
  assert.equal(scene.report('web').state, 'running')
})

test('answers that are wrong, too long or redirect are told, and the next one counts again', async (t) => {
  const server = await WebServer.start(t, (_, response, count) => {
    if (count === 1) response.end('no JSON')
    else if (count === 2) response.end(`"${'x'.repeat(2000)}"`)
    else if (count === 3) response.writeHead(302, { Location: 'http://127.0.0.1:1/' }).end()
    else if (count === 4) response.socket?.destroy()
    else response.end('{"v": true}')
  })
  const clock = new SteppedClock()
  const scene = await BridgeScene.start(
    t,
    bridge(`
    maxAnswer: 1024
    polls: [{url: "http://127.0.0.1:${server.port}/", every: 10s, select: v, address: /x}]
    `),
    { clock },
  )
  for (const reason of [/not JSON/, /longer than 1024 bytes/, /answers 302/, /socket hang up|ended before/]) {
    await until(() => reason.test(scene.report('web').reason), String(reason))
    clock.advance(10_000)
  }
  assert.deepEqual(await scene.untilParam('/x'), { type: 'bool', value: true })
  await until(() => scene.report('web').state === 'running', 'recovery')
})

test('no request outlives the bridge', async (t) => {
  let closed = 0
  const server = await WebServer.start(t, (_, response) => response.on('close', () => closed++))
  const scene = await BridgeScene.start(
    t,
    bridge(`
    polls: [{url: "http://127.0.0.1:${server.port}/", address: /x}]
    `),
  )
  await until(() => server.got.length === 1, 'a request')
  await scene.apply('[]')
  await until(() => closed === 1, 'its end')
})

test('a poll takes one part, or a list of all that fit', async (t) => {
  const server = await WebServer.start(t, (_, response) => response.end('{"a":{"b c":[1,{"d":2},{"d":3}]},"k-1":null}'))
  const wanted: Record<string, unknown> = {
    "$.a['b c'][0]": 1,
    'a["b c"][-1].d': 3,
    '$.k-1': null,
    "$.a['b c'][*].d": [2, 3],
    '$..d': [2, 3],
    '$.none[*]': [],
  }
  const polls = Object.keys(wanted).map(
    (path, at) => `    - {url: "http://127.0.0.1:${server.port}/", select: ${JSON.stringify(path)}, address: /p/${at}}`,
  )
  const scene = await BridgeScene.start(t, bridge(`\n    polls:\n${polls.join('\n')}\n`))
  for (const [at, [path, value]] of Object.entries(wanted).entries())
    assert.equal(jsonFromValue(await scene.untilParam(`/p/${at}`)), JSON.stringify(value), path)
})

test('the configuration refuses webhooks whose host anybody could choose, and paths that cannot be read', async () => {
  const problemsOf = async (yaml: string) => {
    try {
      await parseConfig(`bridges:\n  - {id: web, kind: http-client, ${yaml}}\n`, 'test.yaml')
      return ''
    } catch (error) {
      return (error as Error).message
    }
  }
  assert.equal(await problemsOf('webhooks: [{match: /a, url: "http://host:80{address}"}]'), '')
  for (const url of ['http://{seg1}/', 'http://host{seg1}', 'http://host.{text}/', 'ftp://host/', 'http://host:99999/'])
    assert.match(await problemsOf(`webhooks: [{match: /a, url: "${url}"}]`), /without placeholders/, url)
  assert.match(await problemsOf('polls: [{url: "http://host/", select: "$.a[?(@.x)]"}]'), /no step of a path/)
  assert.match(await problemsOf('allowLocal: true'), /neither webhooks nor polls/)
})

test('an answer that could not be used is asked for again, not only for news', async (t) => {
  const server = await WebServer.start(t, ({ headers }, response, count) => {
    response.setHeader('ETag', '"1"')
    if (headers['if-none-match'] !== undefined) response.writeHead(304).end()
    else response.end(count === 1 ? 'no JSON' : '{"v":true}')
  })
  const scene = await BridgeScene.start(
    t,
    bridge(`
    polls: [{url: "http://127.0.0.1:${server.port}/", every: 100ms, select: v, address: /x}]
    `),
  )
  assert.deepEqual(await scene.untilParam('/x'), { type: 'bool', value: true })
})
