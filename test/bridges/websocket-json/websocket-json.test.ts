import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { createServer } from 'node:net'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { decode, encode } from '@msgpack/msgpack'
import { WebSocket, WebSocketServer } from 'ws'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import { SteppedClock } from '../../router/stepped-clock.ts'
import { until } from '../../until.ts'
import { BridgeScene } from '../bridge-scene.ts'
import { freePort } from '../free-port.ts'

type Json = Record<string, unknown>

/** A web page's end of a WebSocket. */
class Page {
  readonly messages: Json[] = []
  readonly socket: WebSocket
  closedWith: number | undefined

  private constructor(socket: WebSocket) {
    this.socket = socket
    socket.on('message', (data: Buffer, isBinary) => {
      this.messages.push((isBinary ? decode(data) : JSON.parse(data.toString())) as Json)
    })
    socket.on('close', (code) => {
      this.closedWith = code
    })
    socket.on('error', () => {})
  }

  static async open(
    t: TestContext,
    port: number,
    path = '/json',
    options = {},
    protocols: string[] = [],
  ): Promise<Page> {
    const page = new Page(new WebSocket(`ws://127.0.0.1:${port}${path}`, protocols, options))
    t.after(() => page.socket.terminate())
    await once(page.socket, 'open')
    return page
  }

  say(message: unknown): void {
    this.socket.send(typeof message === 'string' ? message : JSON.stringify(message))
  }

  async hears(members: Json): Promise<Json> {
    const fits = (message: Json) =>
      Object.entries(members).every(([key, value]) => JSON.stringify(message[key]) === JSON.stringify(value))
    await until(() => this.messages.some(fits), JSON.stringify(members))
    return this.messages.find(fits) as Json
  }
}

async function start(t: TestContext, more = '') {
  const port = await freePort()
  const scene = await BridgeScene.start(t, `- {id: web, kind: websocket-json, listen: ${port}, host: 127.0.0.1${more}}`)
  return { port, scene }
}

const f64 = (value: number): Value => ({ type: 'f64', value })

test('a page that only listens gets all below the namespace, what was there before included', async (t) => {
  const { port, scene } = await start(t)
  await scene.set('/ws/before', f64(0.5))
  await scene.set('/elsewhere', f64(1))
  const page = await Page.open(t, port)
  await page.hears({ address: '/ws/before', value: 0.5 })
  await scene.set('/ws/x', { type: 'bool', value: true })
  await scene.event('/ws/go', { type: 'null' })
  await page.hears({ address: '/ws/go', value: null })
  assert.deepEqual(page.messages, [
    { address: '/ws/before', value: 0.5 },
    { address: '/ws/x', value: true },
    { address: '/ws/go', value: null },
  ])
})

test('an object with an address is a value, text and bytes have addresses of their own', async (t) => {
  const { port, scene } = await start(t)
  const page = await Page.open(t, port)
  page.say('{"address":"/a/int","value":5}')
  page.say('{"address":"/a/float","value":5.0}')
  page.say('{"address":"/a/null","value":null}')
  page.say('{"x":1}')
  page.say('no JSON')
  page.socket.send(Buffer.from([1, 2, 255]))
  assert.deepEqual(await scene.untilParam('/ws/binary'), { type: 'bytes', value: Uint8Array.of(1, 2, 255) })
  assert.deepEqual(scene.param('/a/int'), { type: 'i64', value: 5 })
  assert.deepEqual(scene.param('/a/float'), f64(5))
  assert.deepEqual(scene.param('/a/null'), { type: 'null' })
  assert.deepEqual(scene.param('/ws/message'), { type: 'map', value: [['x', { type: 'i64', value: 1 }]] })
  assert.deepEqual(scene.param('/ws/text'), { type: 'string', value: 'no JSON' })
  assert.deepEqual(page.messages, [], 'own values do not come back')
})

test('requests are answered with their id: set, get, emit, snapshot, batch, ping', async (t) => {
  const { port, scene } = await start(t)
  const page = await Page.open(t, port)
  page.say({ type: 'set', address: '/s/a', value: 1, id: 1 })
  assert.deepEqual(await page.hears({ id: 1 }), { type: 'ack', id: 1, revision: 1 })
  page.say({ type: 'get', path: '/s/a', id: 'two' })
  assert.deepEqual(await page.hears({ id: 'two' }), {
    type: 'value',
    id: 'two',
    address: '/s/a',
    value: 1,
    revision: 1,
  })
  page.say({ type: 'get', address: '/s/none', id: 3 })
  assert.equal((await page.hears({ id: 3 })).code, 404)
  page.say({ type: 'emit', address: '/s/go', payload: [1, 'x'], id: 4 })
  await page.hears({ id: 4, type: 'ack' })
  assert.equal(scene.heard.find(({ address }) => address === '/s/go')?.signal, 'event')
  page.say({
    type: 'batch',
    id: 5,
    operations: [
      { type: 'set', address: '/s/b', value: 2 },
      { type: 'emit', address: '/s/go' },
    ],
  })
  assert.equal((await page.hears({ id: 5 })).applied, 2)
  page.say({ type: 'snapshot', prefix: '/s', id: 6 })
  assert.deepEqual((await page.hears({ id: 6 })).state, { '/s/a': 1, '/s/b': 2 })
  page.say({ type: 'ping', id: 7 })
  await page.hears({ type: 'pong', id: 7 })
})

test('after its first subscription a page gets just what it asked for, until it unsubscribes', async (t) => {
  const { port, scene } = await start(t)
  const page = await Page.open(t, port)
  await scene.set('/stage/x', f64(1))
  page.say({ type: 'subscribe', pattern: '/stage/**', id: 1 })
  await page.hears({ id: 1 })
  await scene.set('/ws/other', f64(2))
  await scene.set('/stage/x', f64(3))
  await page.hears({ type: 'value', address: '/stage/x', value: 3, revision: 2 })
  page.say({ type: 'unsubscribe', pattern: '/stage/**', id: 2 })
  await page.hears({ id: 2 })
  await scene.set('/stage/x', f64(4))
  page.say({ type: 'ping', id: 3 })
  await page.hears({ id: 3 })
  assert.equal(page.messages.filter(({ address }) => address === '/ws/other').length, 0)
  assert.deepEqual(
    page.messages.filter(({ type }) => type === 'value').map(({ value }) => value),
    [1, 3],
  )
})

test('what is wrong is said to its sender and costs nobody else anything', async (t) => {
  const { port, scene } = await start(t)
  const page = await Page.open(t, port)
  const other = await Page.open(t, port)
  page.say({ type: 'sett', id: 1 })
  assert.match(String((await page.hears({ id: 1 })).message), /no request sett/)
  page.say({ type: 'set', address: 'no slash', value: 1, id: 2 })
  await page.hears({ id: 2, type: 'error' })
  page.say({ type: 'subscribe', pattern: 'stage', id: 3 })
  await page.hears({ id: 3, type: 'error' })
  page.say(`${'['.repeat(100_000)}`)
  page.say(`${'['.repeat(5000)}${']'.repeat(5000)}`)
  page.say('{"type":"batch","id":4,"operations":[{"type":"batch","operations":[]}]}')
  await page.hears({ id: 4, type: 'error' })
  other.say({ type: 'ping', id: 9 })
  await other.hears({ id: 9 })
  assert.ok(scene.report('web').inDropped >= 4)
})

test('messages above the limit, origins that are not listed and clients above the limit are refused', async (t) => {
  const { port, scene } = await start(t, ', maxMessage: 1024, maxClients: 1, origins: ["https://stage.example"]')
  const headers = { origin: 'https://stage.example' }
  const evil = new WebSocket(`ws://127.0.0.1:${port}/json`, { headers: { origin: 'https://evil.example' } })
  const [refused] = await once(evil, 'error')
  assert.match(String(refused), /403/)
  const page = await Page.open(t, port, '/json', { headers })
  const [full] = await once(new WebSocket(`ws://127.0.0.1:${port}/json`, { headers }), 'error')
  assert.match(String(full), /503/)
  page.say('x'.repeat(2000))
  await until(() => page.closedWith !== undefined, 'the end')
  assert.equal(page.closedWith, 1009)
  assert.equal(scene.report('web').state, 'running')
})

test('a page of a stranger is refused with a word on what to set, and a program without a page is not', async (t) => {
  const { port, scene } = await start(t)
  const evil = new WebSocket(`ws://127.0.0.1:${port}/json`, { origin: 'https://evil.example' })
  const [, response] = (await once(evil, 'unexpected-response')) as [unknown, IncomingMessage]
  assert.equal(response.statusCode, 403)
  assert.match(await text(response), /https:\/\/evil\.example .*origins.*token/)
  assert.match(scene.report('web').lastError, /evil\.example/)
  await Page.open(t, port, '/json', { origin: `http://127.0.0.1:${port}` })
  await Page.open(t, port)
})

test('with a token nothing goes before it was shown, in the URL, as a header or as a message', async (t) => {
  const { port } = await start(t, ', token: sesame')
  const silent = await Page.open(t, port)
  silent.say({ type: 'get', address: '/x', id: 1 })
  assert.equal((await silent.hears({ id: 1 })).code, 401)
  silent.say({ type: 'auth', token: 'sesame', id: 2 })
  assert.equal((await silent.hears({ id: 2 })).type, 'ack')
  for (const page of [
    await Page.open(t, port, '/json?token=sesame'),
    await Page.open(t, port, '/json', { headers: { authorization: 'Bearer sesame' } }),
  ]) {
    page.say({ type: 'ping', id: 3 })
    await page.hears({ id: 3, type: 'pong' })
  }
  const liar = await Page.open(t, port)
  liar.say({ type: 'auth', token: 'wrong' })
  await until(() => liar.closedWith === 1008, 'the end')
})

test('a token allows what is listed with it, and without one goes what is anonymous', async (t) => {
  const more = ', token: all, tokens: [{token: t1, read: [/a/**], write: [/a/*]}], anonymous: {read: [/ws/open]}'
  const { port, scene } = await start(t, more)
  await scene.set('/ws/open', f64(1))
  await scene.set('/ws/secret', f64(2))
  await scene.set('/a/x', f64(3))
  const page = await Page.open(t, port)
  await page.hears({ address: '/ws/open' })
  const codes = async (requests: Json[]) => {
    const found: unknown[] = []
    for (const [id, request] of requests.entries()) {
      page.messages.length = 0
      page.say({ ...request, id })
      const { type, code, state } = await page.hears({ id })
      found.push(code ?? state ?? type)
    }
    return found
  }
  const requests = [
    { type: 'get', address: '/a/x' },
    { type: 'subscribe', pattern: '/a/*' },
    { type: 'subscribe', pattern: '/**' },
    { type: 'snapshot' },
    { type: 'set', address: '/a/x', value: 4 },
    { type: 'emit', address: '/a/b/c' },
    {
      type: 'batch',
      operations: [
        { type: 'set', address: '/a/x', value: 4 },
        { type: 'emit', address: '/b' },
      ],
    },
  ]
  assert.deepEqual(await codes(requests), [403, 403, 403, { '/ws/open': 1 }, 403, 403, 403])
  page.say('{"address":"/a/x","value":5}')
  await page.hears({ type: 'error', request_type: 'plain' })
  page.say({ type: 'auth', token: 't1', id: 'a' })
  await page.hears({ id: 'a', type: 'ack' })
  assert.deepEqual(await codes(requests), ['value', 'ack', 403, { '/a/x': 3 }, 'ack', 403, 403])
  page.say({ type: 'auth', token: 'all', id: 'b' })
  await page.hears({ id: 'b', type: 'ack' })
  assert.deepEqual(await codes([{ type: 'emit', address: '/b' }]), ['ack'])
  assert.deepEqual(scene.param('/a/x'), { type: 'i64', value: 4 })
  assert.equal(scene.heard.filter(({ signal }) => signal === 'event').length, 1)
})

test('the sub-protocol clasp-msgpack speaks the same in MessagePack', async (t) => {
  const { port, scene } = await start(t)
  const page = await Page.open(t, port, '/json', {}, ['clasp-msgpack'])
  assert.equal(page.socket.protocol, 'clasp-msgpack')
  page.socket.send(encode({ type: 'set', address: '/m/x', value: { list: [1, 2.5], raw: Uint8Array.of(7) }, id: 1 }))
  await page.hears({ id: 1, type: 'ack' })
  assert.deepEqual(scene.param('/m/x'), {
    type: 'map',
    value: [
      ['list', { type: 'array', value: [{ type: 'i64', value: 1 }, f64(2.5)] }],
      ['raw', { type: 'bytes', value: Uint8Array.of(7) }],
    ],
  })
})

test('a page that does not read is kept up to date by last values, and does not cost memory', async (t) => {
  const { port, scene } = await start(t)
  const page = await Page.open(t, port)
  page.say({ type: 'subscribe', pattern: '/load/**', id: 1 })
  await page.hears({ id: 1 })
  const wire = (page.socket as unknown as { _socket: { pause(): void; resume(): void } })._socket
  wire.pause()
  const text = 'x'.repeat(60_000)
  let last = 0
  // The system takes some megabytes.
  while (scene.report('web').outDropped < 20 && last < 2000)
    await scene.set('/load/text', { type: 'string', value: `${text}${++last}` })
  wire.resume()
  await until(() => String(page.messages.at(-1)?.value).endsWith(`x${last}`), 'the last value')
  assert.ok(page.messages.length < last)
})

test('as a client it brings values in, takes others out, and comes back after the server was away', async (t) => {
  let server = new WebSocketServer({ host: '127.0.0.1', port: 0 })
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const got: string[] = []
  const accept = () => server.on('connection', (socket) => socket.on('message', (data) => got.push(data.toString())))
  accept()
  t.after(() => server.close())
  const joined = once(server, 'connection')
  const clock = new SteppedClock()
  const scene = await BridgeScene.start(
    t,
    `- {id: out, kind: websocket-json, mode: client, url: "ws://127.0.0.1:${port}"}`,
    { clock },
  )
  const [socket] = (await joined) as [WebSocket]
  socket.send('{"address":"/ws/in","value":1}')
  socket.send('{"type":"event","address":"/ws/bang","value":"now"}')
  await scene.untilParam('/ws/in')
  await scene.set('/ws/out', f64(0.25))
  await until(() => got.includes('{"address":"/ws/out","value":0.25}'), 'the value')
  assert.ok(!got.some((text) => text.includes('/ws/in')), 'what came from there does not go back')
  for (const one of server.clients) one.terminate()
  server.close()
  await until(() => scene.report('out').state === 'degraded', 'the loss')
  server = new WebSocketServer({ host: '127.0.0.1', port })
  accept()
  await once(server, 'listening')
  // The next try.
  clock.advance(2000)
  await until(() => got.filter((text) => text.includes('/ws/out')).length === 2, 'the value again')
})

test('a port that is taken is told, with its number', async (t) => {
  const holder = createServer().listen(0, '127.0.0.1')
  await once(holder, 'listening')
  t.after(() => holder.close())
  const { port } = holder.address() as { port: number }
  const scene = await BridgeScene.start(t, `- {id: web, kind: websocket-json, listen: ${port}, host: 127.0.0.1}`)
  assert.match(scene.report('web').reason, new RegExp(`${port} at 127.0.0.1 is in use`))
})

test('who shows a token later gets what it may read now and might not before, and nothing twice', async (t) => {
  const { port, scene } = await start(t, ', token: right, anonymous: {read: ["/ws/open/**"]}')
  await scene.set('/ws/open/a', f64(0.25))
  await scene.set('/ws/closed/a', f64(0.5))
  const page = await Page.open(t, port)
  await page.hears({ address: '/ws/open/a' })
  page.say({ type: 'auth', token: 'right', id: 1 })
  await page.hears({ id: 1 })
  page.say({ type: 'ping', id: 2 })
  await page.hears({ id: 2 })
  assert.deepEqual(page.messages, [
    { address: '/ws/open/a', value: 0.25 },
    { type: 'ack', id: 1 },
    { address: '/ws/closed/a', value: 0.5 },
    { type: 'pong', id: 2 },
  ])
})

test('a page of a stranger that shows a token is welcome, also where something goes without one', async (t) => {
  const { port } = await start(t, ', token: right, anonymous: {read: ["/**"]}')
  const origin = 'https://panel.example'
  const page = await Page.open(t, port, '/json?token=right', { origin })
  page.say({ type: 'ping', id: 1 })
  await page.hears({ type: 'pong', id: 1 })
  for (const path of ['/json', '/json?token=wrong']) {
    const stranger = new WebSocket(`ws://127.0.0.1:${port}${path}`, { origin })
    const [error] = (await once(stranger, 'error')) as [Error]
    assert.match(error.message, /403/)
  }
})

test('what a batch has set is told when others set it again, also after a refusal', async (t) => {
  const { port, scene } = await start(t)
  const page = await Page.open(t, port)
  const batch = (id: number, value: number, more: string[]) =>
    page.say({
      type: 'batch',
      id,
      operations: ['/ws/a', ...more].map((address) => ({ type: 'set', address, value })),
    })
  await scene.set('/ws/a', { type: 'i64', value: 1 })
  await page.hears({ address: '/ws/a', value: 1 })
  batch(1, 2, [])
  await page.hears({ type: 'ack', id: 1 })
  await scene.set('/ws/a', { type: 'i64', value: 1 })
  batch(2, 3, ['/wrong//'])
  await page.hears({ type: 'error', id: 2 })
  await scene.set('/ws/a', { type: 'i64', value: 3 })
  page.say({ type: 'subscribe', pattern: '/ws/*', id: 3 })
  batch(4, 4, ['/elsewhere'])
  page.say({ type: 'subscribe', pattern: '/elsewhere', id: 5 })
  await page.hears({ id: 5 })
  await scene.set('/elsewhere', { type: 'i64', value: 5 })
  await scene.set('/elsewhere', { type: 'i64', value: 4 })
  page.say({ type: 'ping', id: 6 })
  await page.hears({ id: 6 })
  assert.deepEqual(
    page.messages.filter(({ address }) => address !== undefined).map(({ address, value }) => [address, value]),
    [
      ['/ws/a', 1],
      ['/ws/a', 1],
      ['/ws/a', 3],
      ['/ws/a', 3],
      ['/elsewhere', 4],
      ['/elsewhere', 5],
      ['/elsewhere', 4],
    ],
  )
})
