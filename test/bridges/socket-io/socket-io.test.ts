import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { type TestContext, test } from 'node:test'
import { Server } from 'socket.io'
import { io, type ManagerOptions, type Socket, type SocketOptions } from 'socket.io-client'
import { WebSocket } from 'ws'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import { SteppedClock } from '../../router/stepped-clock.ts'
import { until } from '../../until.ts'
import { BridgeScene, untilQuiet } from '../bridge-scene.ts'
import { freePort } from '../free-port.ts'

interface Page {
  socket: Socket
  events: [string, ...unknown[]][]
  ask(event: string, ...args: unknown[]): Promise<Record<string, unknown>>
}

function page(t: TestContext, url: string, options: Partial<ManagerOptions & SocketOptions> = {}): Page {
  const socket = io(url, { forceNew: true, reconnection: false, autoUnref: true, ...options })
  t.after(() => socket.disconnect())
  const events: [string, ...unknown[]][] = []
  socket.onAny((event, ...args) => events.push([event, ...args]))
  return { socket, events, ask: (event, ...args) => socket.timeout(10_000).emitWithAck(event, ...args) }
}

async function connected(
  t: TestContext,
  url: string,
  options: Partial<ManagerOptions & SocketOptions> = {},
): Promise<Page> {
  const client = page(t, url, options)
  await new Promise<void>((resolve, reject) => {
    client.socket.once('connect', resolve)
    client.socket.once('connect_error', reject)
  })
  return client
}

async function start(t: TestContext, more = '') {
  const port = await freePort()
  const scene = await BridgeScene.start(t, `- {id: sio, kind: socket-io, listen: ${port}, host: 127.0.0.1${more}}`)
  return { url: `http://127.0.0.1:${port}`, scene }
}

/** A request of Engine.IO version 4 that connects to the namespace when it is a POST. */
function ask(url: string, method: string, headers: Record<string, string>, more = ''): Promise<Response> {
  const body = method === 'POST' ? '40' : undefined
  return fetch(`${url}/socket.io/?EIO=4&transport=polling${more}`, { method, headers, body })
}

const f64 = (value: number): Value => ({ type: 'f64', value })

test('events of a page are values below the namespace, with colons for levels; its own do not come back', async (t) => {
  const { url, scene } = await start(t, ', signals: [{event: "cue:go", signal: event}]')
  const { events, ask } = await connected(t, url)
  assert.deepEqual(await ask('fader', 0.5), { ok: true, revision: 1 })
  await ask('mix:1:name', 'Vox')
  await ask('xy', 1, 2.5)
  await ask('none')
  await ask('raw', Buffer.from([1, 255]))
  await ask('what*?', true)
  await ask('cue:go', 7)
  assert.deepEqual(scene.param('/socketio/fader'), f64(0.5))
  assert.deepEqual(scene.param('/socketio/mix/1/name'), { type: 'string', value: 'Vox' })
  assert.deepEqual(scene.param('/socketio/xy'), { type: 'array', value: [{ type: 'i64', value: 1 }, f64(2.5)] })
  assert.deepEqual(scene.param('/socketio/none'), { type: 'null' })
  assert.deepEqual(
    Uint8Array.from((scene.param('/socketio/raw') as { value: Uint8Array }).value),
    Uint8Array.of(1, 255),
  )
  assert.deepEqual(scene.param('/socketio/what%2A%3F'), { type: 'bool', value: true })
  assert.equal(scene.heard.find(({ address }) => address === '/socketio/cue/go')?.signal, 'event')
  assert.deepEqual(events, [])
})

test('values of the router are events of all pages; those with reserved names are not sent', async (t) => {
  const { url, scene } = await start(t)
  await scene.set('/socketio/before', f64(1))
  const one = await connected(t, url)
  const other = await connected(t, url, { transports: ['websocket'] })
  await scene.set('/socketio/disconnect', f64(1))
  await scene.set('/socketio/a/b', { type: 'map', value: [['x', { type: 'bytes', value: Uint8Array.of(9) }]] })
  await one.ask('hello', 1)
  await until(() => other.events.some(([event]) => event === 'hello'), 'the event of the other page')
  assert.deepEqual(
    other.events.map(([event]) => event),
    ['before', 'a:b', 'hello'],
  )
  assert.deepEqual(other.events[1][1], { x: Buffer.from([9]) })
  assert.equal(
    one.events.some(([event]) => event === 'hello'),
    false,
  )
})

test('requests: set, get, emit, subscribe, unsubscribe and snapshot, with answers', async (t) => {
  const { url, scene } = await start(t)
  const { events, ask } = await connected(t, url)
  assert.deepEqual(await ask('clasp:set', '/s/a', 5), { ok: true, revision: 1 })
  assert.deepEqual(await ask('clasp:get', '/s/a'), { ok: true, value: 5, revision: 1 })
  assert.equal((await ask('clasp:get', '/s/none')).ok, false)
  assert.deepEqual(await ask('clasp:subscribe', '/s/**'), { ok: true })
  await scene.set('/s/b', f64(0.5))
  await scene.set('/socketio/x', f64(0.5))
  await scene.event('/s/go', { type: 'string', value: 'now' })
  await until(() => events.length === 3, 'values')
  assert.deepEqual(events, [
    ['clasp:value', { address: '/s/a', value: 5, signal: 'param' }],
    ['clasp:value', { address: '/s/b', value: 0.5, signal: 'param' }],
    ['clasp:value', { address: '/s/go', value: 'now', signal: 'event' }],
  ])
  await ask('clasp:unsubscribe', '/s/**')
  await scene.set('/s/b', f64(0.75))
  assert.deepEqual(await ask('clasp:snapshot', '/s/**'), { ok: true, state: { '/s/a': 5, '/s/b': 0.75 } })
  await ask('clasp:emit', '/s/bang', { n: 1 })
  assert.equal(scene.heard.find(({ address }) => address === '/s/bang')?.signal, 'event')
  assert.match(String((await ask('clasp:fly', '/x')).error), /no clasp:fly/)
  assert.match(String((await ask('clasp:set', 'x', 1)).error), /./)
  assert.equal(events.length, 3)
})

test('a Socket.IO namespace has a level of its own; others are refused', async (t) => {
  const { url, scene } = await start(t, ', sioNamespaces: [/stage]')
  const { ask } = await connected(t, `${url}/stage`)
  await ask('x', 1)
  assert.deepEqual(scene.param('/socketio/stage/x'), { type: 'i64', value: 1 })
  await assert.rejects(connected(t, `${url}/other`), /Invalid namespace/)
})

test('pages of strangers are refused at each request, whichever way they come', async (t) => {
  const { url, scene } = await start(t)
  const evil = 'http://evil.example'
  for (const transport of ['polling', 'websocket'])
    await assert.rejects(connected(t, url, { transports: [transport], extraHeaders: { origin: evil } }))
  assert.match(
    scene.report('sio').lastError,
    /evil\.example may not connect: list it in origins, or let nothing go without a token/,
  )
  // A page of a rebound name may open a session without saying where it comes from, and goes no further.
  const opened = await ask(url, 'GET', {})
  const { sid } = JSON.parse((await opened.text()).slice(1)) as { sid: string }
  const posted = await ask(`${url}`, 'POST', { origin: evil }, `&sid=${sid}`)
  assert.equal(posted.status, 403)
  assert.equal((await ask(url, 'POST', { origin: url }, `&sid=${sid}`)).status, 200)
  await connected(t, url, { extraHeaders: { origin: 'http://192.168.1.5' } })
})

test('who has no token, or is one too many, is told so', async (t) => {
  const { url, scene } = await start(t, ', token: sesame, maxClients: 1')
  await assert.rejects(connected(t, url), /auth/)
  await assert.rejects(connected(t, url, { auth: { token: 'wrong' } }), /auth/)
  await connected(t, url, { auth: { token: 'sesame' } })
  await assert.rejects(connected(t, url, { auth: { token: 'sesame' } }), /too many/)
  assert.equal(scene.report('sio').peers, 1)
})

test('a token allows what is listed with it', async (t) => {
  const { url, scene } = await start(t, ', tokens: [{token: t1, read: [/socketio/a, /s/**], write: [/socketio/a]}]')
  await scene.set('/socketio/a', f64(1))
  await scene.set('/socketio/b', f64(2))
  const { events, ask: request } = await connected(t, url, { auth: { token: 't1' } })
  await until(() => events.length > 0, 'a value')
  for (const [event, ...args] of [
    ['b', 1],
    ['clasp:set', '/s/x', 1],
    ['clasp:emit', '/s/x', 1],
    ['clasp:get', '/socketio/b'],
    ['clasp:subscribe', '/**'],
  ] as const)
    assert.match(String((await request(event, ...args)).error), /does not allow to (read|write) \//, event)
  assert.equal((await request('a', 5)).ok, true)
  assert.deepEqual(await request('clasp:snapshot', '/**'), { ok: true, state: { '/socketio/a': 5 } })
  assert.equal((await request('clasp:subscribe', '/s/*')).ok, true)
  assert.deepEqual(events, [['a', 1]])
})

test('as a client it brings events in and takes values out, with acknowledgements, and comes back', async (t) => {
  const serve = async (port: number) => {
    const http = createServer()
    const server = new Server(http)
    const got: [string, ...unknown[]][] = []
    server.on('connection', (socket) => {
      socket.onAny((event, ...args) => {
        const answer = args.pop()
        got.push([event, ...args])
        answer('thanks')
      })
    })
    http.listen(port, '127.0.0.1')
    await once(http, 'listening')
    t.after(() => server.close())
    return { server, got, port: (http.address() as { port: number }).port }
  }
  const first = await serve(0)
  const clock = new SteppedClock()
  const scene = await BridgeScene.start(
    t,
    `- {id: out, kind: socket-io, mode: client, url: "http://127.0.0.1:${first.port}", acks: true, events: [in]}`,
    { clock },
  )
  first.server.emit('in', 3)
  first.server.emit('other', 3)
  assert.deepEqual(await scene.untilParam('/socketio/in'), { type: 'i64', value: 3 })
  await scene.set('/socketio/cue/go', f64(0.5))
  await until(() => scene.heard.some(({ address }) => address === '/socketio/cue/go/ack'), 'the acknowledgement')
  assert.deepEqual(first.got, [['cue:go', 0.5]])
  assert.equal(scene.param('/socketio/other'), undefined)
  await first.server.close()
  await until(() => scene.report('out').state === 'degraded', 'the loss')
  const second = await serve(first.port)
  // The next try.
  clock.advance(2000)
  await until(() => second.got.some(([event]) => event === 'cue:go'), 'the value again')
})

test('a server that is not there is told with its URL', async (t) => {
  const port = await freePort()
  const scene = await BridgeScene.start(
    t,
    `- {id: out, kind: socket-io, mode: client, url: "http://127.0.0.1:${port}"}`,
  )
  assert.match(scene.report('out').reason, new RegExp(`http://127.0.0.1:${port} cannot be reached`))
})

test('as a client it hears a server that speaks at once, and notices when that one leaves at once', async (t) => {
  const http = createServer()
  // One that has no WebSockets.
  const server = new Server(http, { transports: ['polling'] })
  server.on('connection', (socket) => {
    socket.emit('hello', 1)
    if (socket.handshake.auth.token === 'go-away') socket.disconnect()
  })
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  t.after(() => server.close())
  const { port } = http.address() as { port: number }
  const scene = await BridgeScene.start(
    t,
    `- {id: a, kind: socket-io, mode: client, url: "http://127.0.0.1:${port}"}
- {id: b, kind: socket-io, mode: client, namespace: /b, token: go-away, url: "http://127.0.0.1:${port}"}`,
  )
  assert.deepEqual(await scene.untilParam('/socketio/hello'), { type: 'i64', value: 1 })
  await until(() => scene.report('b').state === 'degraded', 'the loss')
  assert.match(scene.report('b').reason, /has closed the connection/)
})

test('a burst of events is taken to its end, and a page is told all there is, however much', async (t) => {
  const { url, scene } = await start(t)
  for (let i = 0; i < 1200; i++) void scene.set(`/socketio/p${i}`, f64(i))
  await scene.settle()
  const page = await connected(t, url)
  for (let i = 0; i <= 1200; i++) page.socket.emit('x', i)
  await scene.untilParam('/socketio/x', (value) => value.type === 'i64' && value.value === 1200)
  await until(() => new Set(page.events.map(([event]) => event)).size >= 1200, 'all params')
  assert.equal(page.socket.connected, true)
  assert.equal(scene.report('sio').outDropped, 0)
})

test('nodes that are clients of each other do not send values round for ever', async (t) => {
  const [portA, portB] = [await freePort(), await freePort()]
  const server = (own: number) => `- {id: server, kind: socket-io, listen: ${own}, host: 127.0.0.1}\n`
  const client = (other: number) =>
    `- {id: client, kind: socket-io, namespace: /out, mode: client, url: "http://127.0.0.1:${other}",
   map: [{match: "/out/*", to: "/socketio/$1", direction: in}]}\n`
  const b = await BridgeScene.start(t, server(portB))
  const a = await BridgeScene.start(t, server(portA) + client(portB))
  await b.apply(server(portB) + client(portA))
  await until(() => [a, b].every((scene) => scene.report('client').state === 'running'), 'both connections')
  await a.set('/socketio/single', f64(0.5))
  assert.deepEqual(await b.untilParam('/socketio/single'), f64(0.5))
  // Values that chase each other.
  for (let i = 0; i < 40; i++) void a.set('/socketio/fader', { type: 'i64', value: i })
  await until(() => [a, b].some((scene) => scene.host.reports.some((one) => /circles/.test(one.lastError))), 'a remark')
  await untilQuiet(a, b)
  assert.ok(a.heard.length < 1000, `${a.heard.length} values`)
})

test('a connection is good for as many namespaces as it likes, one after the other and side by side', async (t) => {
  const { url, scene } = await start(t, ', sioNamespaces: ["/", "/b"], maxMessage: 4194304')
  const warnings: string[] = []
  const onWarning = ({ message }: Error) => warnings.push(message)
  process.on('warning', onWarning)
  t.after(() => process.off('warning', onWarning))
  // Engine.IO version 4, as it is on the wire.
  const socket = new WebSocket(`${url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket`)
  t.after(() => socket.terminate())
  const answers: string[] = []
  socket.on('message', (data) => answers.push(String(data)))
  await once(socket, 'open')
  const ask = async (packet: string, answer: string) => {
    const wanted = answers.filter((one) => one.startsWith(answer)).length + 1
    socket.send(packet)
    await until(() => answers.filter((one) => one.startsWith(answer)).length === wanted, answer)
  }
  await ask('40', '40{')
  for (let i = 0; i < 12; i++) {
    await ask('40/b,', '40/b,{')
    socket.send('41/b,')
    await until(() => scene.report('sio').peers === 1, 'the end of the namespace')
  }
  await ask('40/b,', '40/b,{')
  // More than one client may have waiting, of which nothing waits.
  for (let i = 0; i < 5; i++) await ask(`420["clasp:none","${'x'.repeat(3_500_000)}"]`, '430[')
  await ask('42/b,0["x",1]', '43/b,0[{"ok":true')
  assert.deepEqual(warnings, [])
})

test('pages come back by themselves after a restart, whichever way they came', async (t) => {
  const { url, scene } = await start(t)
  const pages = await Promise.all(
    ['websocket', 'polling'].map((transport) =>
      connected(t, url, { transports: [transport], reconnection: true, reconnectionDelay: 10 }),
    ),
  )
  const port = new URL(url).port
  await scene.apply(`- {id: sio, kind: socket-io, listen: ${port}, host: 127.0.0.1, maxClients: 9}`)
  await until(() => scene.report('sio').peers === 2, 'both pages')
  await until(() => pages.every(({ socket }) => socket.connected), 'both pages')
  await scene.set('/socketio/x', f64(1))
  for (const { events } of pages) await until(() => events.some(([event]) => event === 'x'), 'the value')
})
