import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { hostname } from 'node:os'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { WebSocket } from 'ws'
import { pageProblem } from '../../runtime/bridges/page-trust.ts'
import { parseConfig } from '../../runtime/config/load.ts'
import { BridgeScene } from './bridge-scene.ts'
import { freePort } from './free-port.ts'

const upgrade = (path: string) =>
  [
    `GET ${path} HTTP/1.1`,
    'Host: x',
    'Origin: http://b',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    '\r\n',
  ].join('\r\n')

/** Says something, and resets the connection before there can be an answer. */
async function sayAndReset(port: number, text: string): Promise<void> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  await once(socket, 'connect')
  const closed = once(socket, 'close')
  socket.write(text, () => socket.resetAndDestroy())
  await closed
}

// An error of a socket to which nobody listens would end the process, and this test with it.
test('a peer that resets its connection while it is refused costs nobody else anything', async (t) => {
  const port = await freePort()
  const scene = await BridgeScene.start(
    t,
    `- {id: web, kind: websocket-json, listen: ${port}, host: 127.0.0.1, origins: ["http://a"]}`,
  )
  for (const path of ['/nothing', '/json']) {
    for (let i = 0; i < 40; i++) await sayAndReset(port, upgrade(path))
  }
  const page = new WebSocket(`ws://127.0.0.1:${port}/json`, { origin: 'http://a' })
  t.after(() => page.terminate())
  await once(page, 'open')
  assert.equal(scene.report('web').state, 'running')
})

test('a path that is no URL is served as others are', async (t) => {
  const port = await freePort()
  const scene = await BridgeScene.start(
    t,
    `- {id: web, kind: websocket-json, listen: ${port}, host: 127.0.0.1, path: /}`,
  )
  const socket = connect(port, '127.0.0.1')
  t.after(() => socket.destroy())
  socket.write(upgrade('//'))
  // The JSON text 7 (RFC 6455 §5.7), masked with zeros.
  socket.write(Buffer.from([0x81, 0x81, 0, 0, 0, 0, 0x37]))
  assert.deepEqual(await scene.untilParam('/ws/message'), { type: 'i64', value: 7 })
})

test('what a library throws at a request costs nobody else anything', async (t) => {
  const port = await freePort()
  const scene = await BridgeScene.start(t, `- {id: sio, kind: socket-io, listen: ${port}, host: 127.0.0.1, path: //}`)
  for (const request of ['GET // HTTP/1.1\r\nHost: x\r\n\r\n', upgrade('//')]) {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => {})
    socket.write(request)
    await once(socket, 'close')
  }
  assert.equal(scene.report('sio').state, 'running')
})

test('an offer of another protocol than WebSocket is ignored: what is asked for is answered', async (t) => {
  const port = await freePort()
  const scene = await BridgeScene.start(t, `- {id: rest, kind: http, listen: ${port}, host: 127.0.0.1}`)
  // RFC 7540 §3.2, as Java's HttpClient does.
  const offer = 'Host: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAQAAP__\r\n'
  const socket = connect(port, '127.0.0.1')
  t.after(() => socket.destroy())
  socket.write(`PUT /v1/state/x HTTP/1.1\r\n${offer}Content-Length: 3\r\n\r\n1`)
  socket.write('.5')
  assert.match(await text(socket), /^HTTP\/1\.1 200 /)
  assert.deepEqual(scene.param('/x'), { type: 'f64', value: 1.5 })
})

test('at the port of the router no bridge takes the paths of its own clients away', async () => {
  const read = (kind: string, more: string) =>
    parseConfig(`bridges: [{id: web, kind: ${kind}, ${more}}]\n`, 'test.yaml')
  for (const [kind, path] of [
    ['websocket-json', '/'],
    ['websocket-json', '/clasp'],
    ['socket-io', '/clasp/'],
  ]) {
    await assert.rejects(read(kind, `path: ${path}`), /clients of the router/)
    await read(kind, `path: ${path}, listen: 8080`)
    await read(kind, 'path: /other/')
  }
})

test('a token that everybody knows is none: an empty one is refused', async () => {
  for (const more of [
    'kind: http, tokens: [{token: ""}]',
    'kind: websocket-json, token: ""',
    'kind: socket-io, token: ""',
  ])
    await assert.rejects(parseConfig(`bridges: [{id: web, ${more}}]\n`, 'test.yaml'), /a token is empty/, more)
})

test('web pages may connect where neither a stranger nor his page has a hand in the name', () => {
  const rules = { origins: [], hosts: ['node.example.org'], isGuarded: false }
  const problem = (origin: string | undefined, host: string, more = {}, socket = {}) =>
    pageProblem({ headers: { origin, host }, socket: socket as Socket }, { ...rules, ...more })
  for (const [origin, host] of [
    [undefined, 'evil.example'],
    ['http://203.0.113.5', '203.0.113.5:7330'],
    ['https://node.example.org', 'NODE.example.org:7330'],
    [`http://${hostname()}:8080`, `${hostname()}:7330`],
    ['http://localhost:5173', '192.168.1.20:7330'],
    ['http://192.168.1.5', '192.168.1.20:7330'],
    ['http://[fd00::5]:80', '192.168.1.20:7330'],
    ['http://desk.local', '192.168.1.20:7330'],
    ['http://desk', 'board.local'],
    ['file://', '192.168.1.20'],
    ['capacitor://localhost', '192.168.1.20'],
  ] as const)
    assert.equal(problem(origin, host), undefined, `${origin} at ${host}`)
  for (const [origin, host] of [
    ['http://evil.example', '192.168.1.20:7330'],
    // Rebinding: its name leads to this node.
    ['http://evil.example:7330', 'evil.example:7330'],
    ['http://localhost.evil.example', '192.168.1.20:7330'],
    ['http://192.168.1.5.evil.example', '192.168.1.20'],
    ['http://203.0.113.5', '192.168.1.20:7330'],
    ['null', '192.168.1.20:7330'],
    ['http://', 'http://'],
  ] as const)
    assert.match(String(problem(origin, host)), /origins|hosts/, `${origin} at ${host}`)
  const evil = ['http://evil.example', 'evil.example'] as const
  assert.equal(problem(...evil, { isGuarded: true }), undefined, 'a stranger does not know the token')
  assert.equal(problem(...evil, { origins: ['*'] }), undefined)
  assert.equal(problem(...evil, {}, { encrypted: true }), undefined, 'the certificate has vouched for the name')
  assert.match(String(problem('http://localhost', 'x', { origins: ['http://a'] })), /origins/)
})
