/** Peers that stop in the middle of something, or leave without a word. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { WebSocket } from 'ws'
import { encodeFrame } from '../../firmware-protocol/wire/frame.ts'
import { Bench, int } from '../router/fixture.ts'
import { until } from '../until.ts'

const HELLO = encodeFrame({ type: 'HELLO', version: 1, features: ['param'], name: 'gone' })
const PREFIXED_HELLO = prefixed(HELLO)
const SUBSCRIBE = prefixed(encodeFrame({ type: 'SUBSCRIBE', id: 1, pattern: '/**', types: [] }))
const UPGRADE = [
  'GET / HTTP/1.1',
  'Host: board',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Protocol: clasp',
  '',
  '',
].join('\r\n')

/** What a peer has sent when it falls silent. */
const cases: [string, Uint8Array | string][] = Object.entries({
  nothing: '',
  'half a length prefix': PREFIXED_HELLO.subarray(0, 2),
  'a length prefix and half a HELLO': PREFIXED_HELLO.subarray(0, 9),
  'half a bare HELLO': HELLO.subarray(0, 6),
  'half an HTTP request': UPGRADE.slice(0, 60),
  'a WebSocket handshake': UPGRADE,
  'a WebSocket handshake and half a message': Buffer.concat([Buffer.from(UPGRADE), Buffer.of(0x82, 0x94, 1, 2, 3, 4)]),
  'the first byte of TLS': Buffer.of(0x16),
  'HELLO and SUBSCRIBE': Buffer.concat([PREFIXED_HELLO, SUBSCRIBE]),
  'HELLO and half a frame': Buffer.concat([PREFIXED_HELLO, SUBSCRIBE.subarray(0, 11)]),
  'a bare HELLO': HELLO,
})
const departures: Record<string, (socket: Socket) => void> = {
  'resets the connection': (socket) => socket.resetAndDestroy(),
  vanishes: (socket) => socket.destroy(),
  'closes its end': (socket) => socket.end(() => socket.on('end', () => socket.destroy())),
}

describe('a peer that falls silent', () => {
  let bench: Bench
  let sockets: Socket[] = []
  let handles: number

  beforeEach(async () => {
    bench = await Bench.start({
      options: { handshakeTimeoutMs: 300 },
      listen: { handshakeTimeoutMs: 300, idleTimeoutMs: 400, pingIntervalMs: 100 },
    })
    handles = socketHandles()
  })

  afterEach(async () => {
    for (const socket of sockets) socket.destroy()
    sockets = []
    await bench.stop()
  })

  async function begin(bytes: Uint8Array | string): Promise<Socket> {
    const socket = connect({ port: bench.port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
    sockets.push(socket)
    socket.on('error', () => {})
    await once(socket, 'connect')
    // Both, or the end of the stream is never seen.
    socket.resume()
    if (bytes.length > 0) socket.write(bytes)
    return socket
  }

  async function assertNothingRemains(): Promise<void> {
    await until(() => socketHandles() === handles, `${handles} open sockets (there are ${socketHandles()})`)
    const { sessions, handshakes, subscriptions } = bench.router.statistics
    assert.deepEqual({ sessions, handshakes, subscriptions }, { sessions: 0, handshakes: 0, subscriptions: 0 })
    const witness = await bench.join('witness')
    witness.set('/still/alive', int(1))
    assert.equal((await witness.settle()).length, 1)
  }

  test('is closed in time, whatever it has said before', async () => {
    const open = new Set<string>()
    for (const [what, bytes] of cases) {
      const socket = await begin(bytes)
      open.add(what)
      socket.on('end', () => socket.end())
      socket.on('close', () => open.delete(what))
    }
    await until(() => open.size === 0, `end of the connection after ${[...open].join(', ')}`)
    await assertNothingRemains()
  })

  test('and never closes its end is dropped, whatever it has said before', async () => {
    const started: Socket[] = []
    for (const [, bytes] of cases) started.push(await begin(bytes))
    await until(() => started.every(({ readableEnded, destroyed }) => readableEnded || destroyed), 'all farewells')
    const ends = (): number => started.filter(({ destroyed }) => !destroyed).length
    await until(() => socketHandles() === handles + ends(), 'the end of the router’s sockets')
    for (const socket of started) socket.destroy()
    await assertNothingRemains()
  })

  test('for ever but for a byte now and then is closed at the deadline', async () => {
    for (const bytes of [PREFIXED_HELLO, HELLO, Buffer.from(UPGRADE)]) {
      const socket = await begin(bytes.subarray(0, 1))
      socket.on('end', () => socket.end())
      for (let at = 1; at < bytes.length - 1 && !socket.destroyed; at++) {
        await new Promise((resolve) => setTimeout(resolve, 50))
        if (socket.writable) socket.write(bytes.subarray(at, at + 1))
      }
      assert.ok(socket.destroyed, 'closed before it had finished')
    }
    await assertNothingRemains()
  })

  for (const [way, leave] of Object.entries(departures)) {
    test(`and then ${way} leaves nothing behind, whatever it has said before`, async () => {
      for (const [, bytes] of cases) {
        for (let i = 0; i < 20; i++) {
          const socket = await begin(bytes)
          // Sometimes before the router has read anything, sometimes after.
          if (i % 2 === 0) await new Promise((resolve) => setImmediate(resolve))
          leave(socket)
        }
      }
      await assertNothingRemains()
    })
  }

  test('and then is not there to take what is being sent leaves nothing behind', async () => {
    const writer = await bench.join('writer')
    handles = socketHandles()
    for (let i = 0; i < 10; i++) {
      const reader = await begin(Buffer.concat([PREFIXED_HELLO, SUBSCRIBE]))
      reader.pause()
      await until(() => bench.router.statistics.subscriptions === 1, 'the subscription')
      for (let n = 0; n < 200; n++) writer.set(`/load/${n}`, { type: 'bytes', value: new Uint8Array(5000) })
      if (i % 2 === 0) reader.resetAndDestroy()
      else reader.destroy()
      await writer.settle()
      await until(() => bench.router.statistics.sessions === 1, 'the end of the session')
    }
    await until(() => socketHandles() === handles, 'the end of the sockets')
  })

  test('but for the WebSocket pings that its platform answers stays', async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${bench.port}`, 'clasp')
    await once(socket, 'open')
    socket.send(HELLO)
    await new Promise((resolve) => setTimeout(resolve, 1500))
    assert.equal(socket.readyState, WebSocket.OPEN)
    assert.equal(bench.router.statistics.sessions, 1)
    socket.terminate()
    await assertNothingRemains()
  })
})

function prefixed(frame: Uint8Array): Buffer {
  const prefix = Buffer.alloc(4)
  prefix.writeUInt32BE(frame.length)
  return Buffer.concat([prefix, frame])
}

/** Open TCP sockets of this process, at both ends. */
function socketHandles(): number {
  return process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length
}
