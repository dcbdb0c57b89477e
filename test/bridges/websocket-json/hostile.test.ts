import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { WebSocket, WebSocketServer } from 'ws'
import { jsonCodec, messagePackCodec } from '../../../runtime/bridges/websocket-json/json-codec.ts'
import { readRequest } from '../../../runtime/bridges/websocket-json/json-request.ts'
import { until } from '../../until.ts'
import { BridgeScene, untilQuiet } from '../bridge-scene.ts'
import { freePort } from '../free-port.ts'

async function start(t: TestContext, more = '') {
  const port = await freePort()
  const scene = await BridgeScene.start(t, `- {id: web, kind: websocket-json, listen: ${port}, host: 127.0.0.1${more}}`)
  const page = new WebSocket(`ws://127.0.0.1:${port}/json`)
  t.after(() => page.terminate())
  let closedWith: number | undefined
  page.on('close', (code) => {
    closedWith = code
  })
  await once(page, 'open')
  return { scene, page, closedWith: () => closedWith }
}

test('a burst of requests is served to its end', async (t) => {
  const { scene, page, closedWith } = await start(t)
  for (let i = 0; i <= 1500; i++) page.send(`{"address":"/a","value":${i}}`)
  await scene.untilParam('/a', (value) => value.type === 'i64' && value.value === 1500)
  assert.equal(closedWith(), undefined)
  assert.equal(scene.report('web').in, 1501)
})

test('of a page that does not read its answers, requests are not read either', async (t) => {
  const { scene, page } = await start(t)
  for (let i = 0; i < 100; i++) void scene.set(`/s/${i}`, { type: 'string', value: 'x'.repeat(20_000) })
  await scene.settle()
  page.pause()
  for (let i = 0; i < 15; i++) page.send('{"type":"snapshot"}')
  await until(() => scene.report('web').in > 0, 'the first request')
  for (let i = 0; i < 20; i++) await scene.settle()
  // Each answer has 2 MB; sockets of the loopback interface hold some.
  assert.ok(scene.report('web').in < 10, `${scene.report('web').in} of 15 were read`)
  let answers = 0
  page.on('message', () => answers++)
  page.resume()
  await until(() => answers >= 15, 'all answers')
})

test('who does not show the token in time makes room for others', async (t) => {
  const { closedWith } = await startStepped(t)
  await until(() => closedWith() === 1008, 'a goodbye')
})

async function startStepped(t: TestContext) {
  const { SteppedClock } = await import('../../router/stepped-clock.ts')
  const clock = new SteppedClock()
  const port = await freePort()
  const yaml = `- {id: web, kind: websocket-json, listen: ${port}, host: 127.0.0.1, token: secret-token}`
  const scene = await BridgeScene.start(t, yaml, { clock })
  const page = new WebSocket(`ws://127.0.0.1:${port}/json`)
  t.after(() => page.terminate())
  let code: number | undefined
  page.on('close', (given) => {
    code = given
  })
  await once(page, 'open')
  await until(() => scene.report('web').peers === 1, 'the page')
  await scene.settle()
  clock.advance(20_000)
  return { closedWith: () => code }
}

test('as a client it hears a server that speaks together with its handshake', async (t) => {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', (request) => {
      const [, key] = /Sec-WebSocket-Key: (.*)\r\n/i.exec(request.toString()) ?? []
      // RFC 6455 §4.2.2.
      const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
      const head = `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`
      const message = Buffer.from('{"address":"/ws/first","value":1}')
      socket.write(Buffer.concat([Buffer.from(head), Buffer.from([0x81, message.length]), message]))
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const { port } = server.address() as { port: number }
  const scene = await BridgeScene.start(
    t,
    `- {id: web, kind: websocket-json, mode: client, url: "ws://127.0.0.1:${port}"}`,
  )
  assert.deepEqual(await scene.untilParam('/ws/first'), { type: 'i64', value: 1 })
})

test('as a client it tells a server all there is, however much, and nothing twice', async (t) => {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  await once(server, 'listening')
  t.after(() => {
    for (const one of server.clients) one.terminate()
    server.close()
  })
  const told: string[] = []
  server.on('connection', (one) => one.on('message', (data) => told.push(String(data))))
  const { port } = server.address() as { port: number }
  const scene = await BridgeScene.start(t, '[]')
  for (let i = 0; i < 2000; i++) void scene.set(`/ws/${i}`, { type: 'i64', value: i })
  await scene.settle()
  await scene.apply(`- {id: web, kind: websocket-json, mode: client, url: "ws://127.0.0.1:${port}"}`)
  await until(() => told.length >= 2000, 'all params')
  await scene.set('/ws/1', { type: 'i64', value: 1 })
  await scene.set('/ws/1', { type: 'i64', value: 7 })
  await until(() => told.at(-1) === '{"address":"/ws/1","value":7}', 'the change')
  assert.equal(told.length, 2001)
  assert.equal(scene.report('web').outDropped, 0)
})

test('nodes that are clients of each other do not send values round for ever', async (t) => {
  const [portA, portB] = [await freePort(), await freePort()]
  const server = (own: number) => `- {id: server, kind: websocket-json, listen: ${own}, host: 127.0.0.1}\n`
  const client = (other: number) =>
    `- {id: client, kind: websocket-json, namespace: /out, mode: client, url: "ws://127.0.0.1:${other}/json"}\n`
  const b = await BridgeScene.start(t, server(portB))
  const a = await BridgeScene.start(t, server(portA) + client(portB))
  await b.apply(server(portB) + client(portA))
  await until(() => [a, b].every((scene) => scene.report('client').state === 'running'), 'both connections')
  await a.set('/ws/single', { type: 'f64', value: 0.5 })
  assert.deepEqual(await b.untilParam('/ws/single'), { type: 'f64', value: 0.5 })
  await a.settle()
  assert.doesNotMatch(a.report('client').lastError, /circles/, 'one value comes back once, which is no loop')
  // Values that chase each other.
  for (let i = 0; i < 40; i++) void a.set('/ws/fader', { type: 'i64', value: i })
  await until(() => [a, b].some((scene) => scene.host.reports.some((one) => /circles/.test(one.lastError))), 'a remark')
  await untilQuiet(a, b)
  assert.ok(a.heard.length < 1000, `${a.heard.length} values`)
})

test('whatever arrives is a request, a value or refused', () => {
  const keys = fc.constantFrom(
    'type',
    'address',
    'path',
    'value',
    'pattern',
    'prefix',
    'operations',
    'token',
    'id',
    'ack',
  )
  const words = fc.constantFrom(
    'set',
    'emit',
    'get',
    'subscribe',
    'unsubscribe',
    'snapshot',
    'batch',
    'auth',
    'ping',
    '/a',
    '',
  )
  const request = fc.dictionary(keys, fc.oneof(words, fc.jsonValue({ maxDepth: 2 })))
  const json = fc.oneof(
    fc.string(),
    fc.jsonValue().map((value) => JSON.stringify(value)),
    request.map((value) => JSON.stringify(value)),
    fc.array(request, { maxLength: 3 }).map((operations) => JSON.stringify({ type: 'batch', operations })),
  )
  const known = /^(set|emit|get|subscribe|unsubscribe|snapshot|batch|auth|ping|plain|misunderstood)$/
  fc.assert(
    fc.property(json, fc.uint8Array(), (text, bytes) => {
      for (const message of [jsonCodec.decode(text), messagePackCodec.decode(bytes)])
        if (message !== undefined) assert.match(readRequest(message).type, known)
    }),
    { numRuns: 200, seed: 12, endOnFailure: true },
  )
})
