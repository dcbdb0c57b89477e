import assert from 'node:assert/strict'
import { request } from 'node:http'
import { type TestContext, test } from 'node:test'
import WebSocket from 'ws'
import { CloseCode } from '../../runtime/router/link.ts'
import { echoAcceptor, hex, PING, putFrame, RawClient, RecordingAcceptor, startPort, unhex, until } from './fixture.ts'

class Peer {
  readonly socket: WebSocket
  readonly messages: string[] = []
  closed: { code: number; reason: string } | undefined

  private constructor(socket: WebSocket) {
    this.socket = socket
    socket.on('message', (data: Buffer) => this.messages.push(hex(data)))
    socket.on('close', (code, reason) => {
      this.closed = { code, reason: reason.toString() }
    })
    socket.on('error', () => {})
  }

  static async open(t: TestContext, port: number, path = '/', protocols: string[] = []): Promise<Peer> {
    const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, protocols)
    t.after(() => socket.terminate())
    const peer = new Peer(socket)
    await new Promise<void>((resolve, reject) => socket.once('open', resolve).once('error', reject))
    return peer
  }
}

const UPGRADE =
  'GET /clasp HTTP/1.1\r\nHost: edge\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'

test('any path is accepted, and the sub-protocol is confirmed if and only if it was offered', async (t) => {
  const { port } = await startPort(t, new RecordingAcceptor())
  assert.equal((await Peer.open(t, port, '/clasp', ['clasp'])).socket.protocol, 'clasp')
  assert.equal((await Peer.open(t, port, '/any?token=1', ['mqtt', 'clasp'])).socket.protocol, 'clasp')
  assert.equal((await Peer.open(t, port)).socket.protocol, '')
  const other = await RawClient.dial(t, port)
  other.send(Buffer.from(`${UPGRADE}Sec-WebSocket-Protocol: claspx, mqtt\r\n\r\n`))
  await until(() => other.text.includes('\r\n\r\n'), 'the response')
  assert.match(other.text, /^HTTP\/1\.1 101 /)
  assert.match(other.text, /Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=\r\n/)
  assert.doesNotMatch(other.text, /Sec-WebSocket-Protocol/)
})

test('messages of every length class come back as they were sent', async (t) => {
  const { port } = await startPort(t, echoAcceptor())
  const peer = await Peer.open(t, port)
  const sent = [0, 1, 3, 125, 126, 127, 1000, 65_535, 65_536, 65_547].map((length, i) => Buffer.alloc(length, i + 1))
  for (const message of sent) peer.socket.send(message)
  await until(() => peer.messages.length === sent.length, 'the echo')
  assert.deepEqual(peer.messages, sent.map(hex))
})

test('text is ignored, fragments become one message', async (t) => {
  const acceptor = echoAcceptor()
  const { port } = await startPort(t, acceptor)
  const peer = await Peer.open(t, port)
  peer.socket.send('{"json":true}')
  peer.socket.send(Buffer.of(1, 2), { fin: false })
  peer.socket.send(Buffer.of(3), { fin: false })
  peer.socket.ping('between')
  peer.socket.send(Buffer.of(4, 5), { fin: true })
  await until(() => peer.messages.length === 1, 'the echo')
  assert.deepEqual(acceptor.units, ['0102030405'])
})

test('a ping is answered with a pong of the same content, and counts as a sign of life', async (t) => {
  const acceptor = new RecordingAcceptor()
  const { port } = await startPort(t, acceptor)
  const peer = await Peer.open(t, port)
  const pongs: string[] = []
  peer.socket.on('pong', (data) => pongs.push(data.toString()))
  peer.socket.ping('')
  peer.socket.ping('x'.repeat(125))
  await until(() => pongs.length === 2, 'the pongs')
  assert.deepEqual(pongs, ['', 'x'.repeat(125)])
  assert.equal(acceptor.links[0].alive, 2)
})

test('the router pings, and the pong keeps a silent client connected', async (t) => {
  const acceptor = new RecordingAcceptor()
  const { port } = await startPort(t, acceptor, { pingIntervalMs: 40, idleTimeoutMs: 400 })
  const peer = await Peer.open(t, port)
  let pings = 0
  peer.socket.on('ping', () => pings++)
  // Four times the idle limit.
  await until(() => pings >= 40, 'pings')
  assert.equal(peer.closed, undefined)
  assert.ok(acceptor.links[0].alive >= 38)
})

test('a WebSocket client that answers nothing is closed with a reason', async (t) => {
  const acceptor = new RecordingAcceptor()
  const { port } = await startPort(t, acceptor, { pingIntervalMs: 0, idleTimeoutMs: 200 })
  const peer = await Peer.open(t, port)
  await until(() => peer.closed !== undefined, 'the close frame')
  assert.equal(peer.closed?.code, 1008)
  assert.match(peer.closed?.reason ?? '', /nothing received/)
})

test('close codes and reasons reach the client; what was flushed before arrives first', async (t) => {
  const acceptor = new RecordingAcceptor((_unit, link) => {
    putFrame(link, PING)
    link.close(CloseCode.policy, `not welcome ${'é'.repeat(100)}`)
    return undefined
  })
  const { port } = await startPort(t, acceptor)
  const peer = await Peer.open(t, port)
  peer.socket.send(PING)
  peer.socket.send(PING)
  await until(() => peer.closed !== undefined, 'the close frame')
  assert.deepEqual(peer.messages, [hex(PING)])
  assert.equal(peer.closed?.code, 1008)
  // At most 123 bytes, cut between characters.
  assert.equal(peer.closed?.reason, `not welcome ${'é'.repeat(55)}`)
  assert.equal(acceptor.units.length, 1)
  await until(() => acceptor.links[0].closed !== undefined, 'onClose')
})

test("the client's close is answered with its own code", async (t) => {
  const acceptor = new RecordingAcceptor()
  const { port } = await startPort(t, acceptor)
  for (const [sent, echoed] of [
    [unhex('8882 00000000 0fa0'), '88020fa0'],
    [unhex('8880 00000000'), '8800'],
    // 1006 must never be sent.
    [unhex('8882 00000000 03ee'), '880203ea'],
  ] as const) {
    const client = await RawClient.dial(t, port)
    client.send(Buffer.concat([Buffer.from(`${UPGRADE}\r\n`), sent]))
    await until(() => client.isClosed, 'the end of the connection')
    assert.equal(client.received.slice(client.received.indexOf('0d0a0d0a') + 8), echoed)
  }
  await until(() => acceptor.links.every((attached) => attached.closed !== undefined), 'onClose')
  assert.match(acceptor.links[0].closed ?? '', /4000/)
})

test('an unmasked frame is answered with 1002, a message above the limit with 1009', async (t) => {
  const { port } = await startPort(t, new RecordingAcceptor())
  const unmasked = await RawClient.dial(t, port)
  unmasked.send(Buffer.concat([Buffer.from(`${UPGRADE}\r\n`), unhex('8205 5301000141')]))
  await until(() => unmasked.isClosed, 'the end of the connection')
  assert.match(unmasked.received, /88..03ea/)
  const peer = await Peer.open(t, port)
  peer.socket.send(Buffer.alloc(65_548))
  await until(() => peer.closed !== undefined, 'the close frame')
  assert.equal(peer.closed?.code, 1009)
})

test('frames that come in the same packet as the upgrade request are not lost', async (t) => {
  const acceptor = new RecordingAcceptor()
  const { port } = await startPort(t, acceptor)
  const bytes = Buffer.concat([
    Buffer.from(`${UPGRADE}\r\n`),
    unhex('8285 00000000 5301000141'),
    unhex('8285 00000000 53'),
  ])
  for (const cut of [bytes.length, 1, 100, bytes.length - 12, bytes.length - 3]) {
    const before = acceptor.links.length
    const client = await RawClient.dial(t, port)
    client.send(bytes.subarray(0, cut))
    await new Promise((resolve) => setImmediate(resolve))
    client.send(Buffer.concat([bytes.subarray(cut), unhex('01000142')]))
    await until(() => acceptor.links[before]?.units.length === 2, `both frames after a cut at ${cut}`)
    assert.deepEqual(acceptor.links[before].units, ['5301000141', '5301000142'])
  }
})

test('bad upgrade requests get an HTTP error with a text', async (t) => {
  const acceptor = new RecordingAcceptor()
  const { port } = await startPort(t, acceptor)
  const refused: [string, RegExp][] = [
    [UPGRADE.replace('13', '8'), /^HTTP\/1\.1 426 [\s\S]*Sec-WebSocket-Version: 13\r\n[\s\S]*version 13/],
    [UPGRADE.replace('dGhlIHNhbXBsZSBub25jZQ==', 'short'), /^HTTP\/1\.1 400 [\s\S]*Sec-WebSocket-Key/],
    [UPGRADE.replace('GET', 'POST'), /^HTTP\/1\.1 400 [\s\S]*GET/],
    [UPGRADE.replace('Connection: Upgrade', 'Connection: close'), /^HTTP\/1\.1 400 [\s\S]*Connection: Upgrade/],
  ]
  for (const [head, expected] of refused) {
    const client = await RawClient.dial(t, port)
    client.send(Buffer.from(`${head}\r\n`))
    await until(() => client.hasEnded, 'the refusal')
    assert.match(client.text, expected)
  }
  assert.equal(acceptor.links.length, 0)
})

test('200 upgrades at once all succeed', async (t) => {
  const acceptor = echoAcceptor()
  const listener = await startPort(t, acceptor)
  const peers = await Promise.all(Array.from({ length: 200 }, () => Peer.open(t, listener.port, '/clasp', ['clasp'])))
  for (const peer of peers) peer.socket.send(PING)
  await until(() => peers.every((peer) => peer.messages.length === 1), 'all echoes')
  assert.equal(listener.counters.byTransport.websocket, 200)
  await listener.stop()
  await until(() => peers.every((peer) => peer.closed?.code === 1001), 'the close frames')
})

test('a client that sends pings and reads nothing cannot make the router hoard pongs', async (t) => {
  const acceptor = new RecordingAcceptor()
  const { port } = await startPort(t, acceptor)
  const upgrade = request({ port, host: '127.0.0.1', headers: { ...upgradeHeaders } })
  upgrade.end()
  const socket = await new Promise<import('node:net').Socket>((resolve) =>
    upgrade.once('upgrade', (_response, socket) => resolve(socket)),
  )
  t.after(() => socket.destroy())
  socket.pause()
  const ping = Buffer.concat([unhex('89fd 00000000'), Buffer.alloc(125)])
  const pings = Buffer.concat(Array.from({ length: 2000 }, () => ping))
  for (let i = 0; i < 60; i++) await new Promise((resolve) => socket.write(pings, resolve))
  await until(() => acceptor.links[0].alive === 120_000, 'all pings')
  assert.ok(acceptor.links[0].link.backlogBytes < 262_144, `${acceptor.links[0].link.backlogBytes} bytes`)
})

const upgradeHeaders = {
  Upgrade: 'websocket',
  Connection: 'Upgrade',
  'Sec-WebSocket-Version': '13',
  'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
}
