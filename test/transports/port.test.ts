import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { test } from 'node:test'
import { CloseCode } from '../../runtime/router/link.ts'
import { silentLog } from '../../runtime/router/log.ts'
import { ListenError } from '../../runtime/transports/listen-error.ts'
import { listenPort } from '../../runtime/transports/port.ts'
import { WebRoutes } from '../../runtime/transports/web-routes.ts'
import {
  echoAcceptor,
  hex,
  PING,
  pongAcceptor,
  putFrame,
  RawClient,
  RecordingAcceptor,
  startPort,
  unhex,
  until,
} from './fixture.ts'

const PREFIXED_PING = '00 00 00 05 53 01 00 01 41'
const PREFIXED_PONG = '000000055301000142'

test('a length-prefixed PING is answered with a length-prefixed PONG', async (t) => {
  const { port } = await startPort(t, pongAcceptor())
  const client = await RawClient.dial(t, port)
  client.send(PREFIXED_PING)
  await until(() => client.received === PREFIXED_PONG, 'PONG')
})

test('a bare PING is answered with a bare PONG on the same port', async (t) => {
  const acceptor = pongAcceptor()
  const { port } = await startPort(t, acceptor)
  const client = await RawClient.dial(t, port)
  client.send('53 01 00 01 41')
  await until(() => client.received === '5301000142', 'PONG')
  assert.equal(acceptor.links[0].link.transport, 'tcp')
})

test('a bare SET reaches the router byte for byte', async (t) => {
  const acceptor = new RecordingAcceptor()
  const { port } = await startPort(t, acceptor)
  const set = '53010018 2107 000c 2f73656e736f722f74656d70 c000000000000000'.replaceAll(' ', '')
  const client = await RawClient.dial(t, port)
  client.send(set)
  await until(() => acceptor.units.length === 1, 'the SET')
  assert.deepEqual(acceptor.units, [set])
})

test('two PINGs in one unit are one unit, with exactly one PONG', async (t) => {
  const acceptor = pongAcceptor()
  const { port } = await startPort(t, acceptor)
  const client = await RawClient.dial(t, port)
  client.send('00 00 00 0A 53 01 00 01 41 53 01 00 01 41')
  client.send(PREFIXED_PING)
  await until(() => client.received.length >= 2 * PREFIXED_PONG.length, 'two PONGs')
  assert.equal(client.received, PREFIXED_PONG + PREFIXED_PONG)
  assert.equal(acceptor.units.length, 2)
})

test('a unit may arrive in two halves, cut at any byte', async (t) => {
  const acceptor = pongAcceptor()
  const { port } = await startPort(t, acceptor)
  const bytes = unhex(PREFIXED_PING)
  for (let cut = 1; cut < bytes.length; cut++) {
    const client = await RawClient.dial(t, port)
    client.send(bytes.subarray(0, cut))
    await until(() => acceptor.links.length === cut, 'the link')
    client.send(bytes.subarray(cut))
    await until(() => client.received === PREFIXED_PONG, `PONG after a cut at ${cut}`)
  }
})

test('an acceptor that looks at the first unit may narrow the limits and put itself before the router', async (t) => {
  const acceptor = new RecordingAcceptor()
  const taken: string[] = []
  const seen: string[] = []
  const { port } = await startPort(
    t,
    {
      attach: (link) => acceptor.attach(link),
      admit(link, handler, bytes, start, end) {
        seen.push(hex(bytes.subarray(start, end)))
        if (bytes[start + 4] !== 0x01) return handler
        link.limits = { ...link.limits, maxFrameBytes: 252, idleTimeoutMs: 200 }
        return { ...handler, onFrame: (unit, from, to) => void taken.push(hex(unit.subarray(from, to))) }
      },
    },
    { pingIntervalMs: 400 },
  )
  const device = await RawClient.dial(t, port)
  device.send('00 00 00 10 53 41 00 0C 01 01 E0 00 05 45 53 50 33 32 00 00')
  device.send(PREFIXED_PING)
  await until(() => taken.length === 2, 'both frames')
  assert.deepEqual([seen.length, acceptor.units.length], [1, 0], 'it is asked once, and the first handler gets nothing')
  const other = await RawClient.dial(t, port)
  other.send(PREFIXED_PING)
  await until(() => acceptor.units.length === 1, 'PING')
  await until(() => device.isClosed, 'the end of the one that may be idle for 200 ms only')
  assert.equal(other.isClosed, false)
})

test('a length above 65 536 closes the connection', async (t) => {
  const acceptor = new RecordingAcceptor()
  const { port } = await startPort(t, acceptor)
  const client = await RawClient.dial(t, port)
  client.send('00 01 00 01')
  await until(() => client.isClosed, 'the end of the connection')
  await until(() => acceptor.links[0].closed !== undefined, 'onClose')
  assert.match(acceptor.links[0].closed ?? '', /65537/)
})

test('a first byte that no protocol starts with closes the connection', async (t) => {
  const listener = await startPort(t, new RecordingAcceptor())
  for (const first of ['01', '7f', 'ff', '61']) {
    const client = await RawClient.dial(t, listener.port)
    client.send(first)
    await until(() => client.isClosed, `the end of the connection after ${first}`)
  }
  assert.equal(listener.counters.byTransport.unknown, 4)
})

test('plain HTTP gets 200, HEAD without a body', async (t) => {
  const { port } = await startPort(t, new RecordingAcceptor())
  for (const method of ['GET', 'POST', 'OPTIONS', 'HEAD']) {
    const client = await RawClient.dial(t, port)
    client.send(Buffer.from(`${method} /any/path?x=1 HTTP/1.1\r\nHost: edge\r\nContent-Length: 0\r\n\r\n`))
    await until(() => client.isClosed, `the end of the ${method} connection`)
    const [head, body] = client.text.split('\r\n\r\n')
    assert.match(head, /^HTTP\/1\.1 200 OK\r\n/)
    assert.match(head, /Content-Type: text\/plain/)
    assert.match(head, /Content-Length: 3/)
    assert.match(head, /Connection: close/)
    assert.equal(body, method === 'HEAD' ? '' : 'ok\n')
  }
})

test('HTTP in pieces, garbage, other methods and offers of HTTP/2 get a proper answer', async (t) => {
  const { port } = await startPort(t, new RecordingAcceptor())
  const ask = async (...pieces: string[]): Promise<string> => {
    const client = await RawClient.dial(t, port)
    for (const piece of pieces) {
      client.send(Buffer.from(piece))
      await new Promise((resolve) => setImmediate(resolve))
    }
    await until(() => client.hasEnded, 'the answer')
    return client.text
  }
  assert.match(await ask('G', 'ET / HT', 'TP/1.1\r\nHo', 'st: x\r\n\r', '\n'), /^HTTP\/1\.1 200 OK[\s\S]*ok\n$/)
  assert.match(await ask('NOT HTTP AT ALL\r\n\r\n'), /^HTTP\/1\.1 400 Bad Request/)
  assert.match(await ask('DELETE / HTTP/1.1\r\nHost: x\r\n\r\n'), /^HTTP\/1\.1 405 [\s\S]*Allow: GET/)
  const h2c =
    'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n'
  assert.match(await ask(h2c), /^HTTP\/1\.1 200 OK[\s\S]*ok\n$/)
})

test('a registered route answers instead, and one that throws answers 500', async (t) => {
  const routes = new WebRoutes([
    ['/status', (_request: unknown, response: { end(text: string): void }) => response.end('{"up":true}')],
    [
      '/broken',
      () => {
        throw new Error('a bug')
      },
    ],
    [
      '/put',
      (request: IncomingMessage, response: { end(text: string): void }) =>
        request.once('data', (body: Buffer) => response.end(`${request.method} ${body}`)),
    ],
  ])
  const { port } = await startPort(t, new RecordingAcceptor(), { routes })
  assert.equal(await (await fetch(`http://127.0.0.1:${port}/status?pretty`)).text(), '{"up":true}')
  assert.equal((await fetch(`http://127.0.0.1:${port}/broken`)).status, 500)
  assert.equal(await (await fetch(`http://127.0.0.1:${port}/other`)).text(), 'ok\n')

  // Java and curl offer HTTP/2 with it.
  const client = await RawClient.dial(t, port)
  const offer = 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n'
  client.send(Buffer.from(`PUT /put HTTP/1.1\r\nHost: x\r\n${offer}Content-Length: 3\r\n\r\n0.5`))
  await until(() => client.hasEnded, 'the answer')
  assert.match(client.text, /^HTTP\/1\.1 200 OK[\s\S]*PUT 0\.5/)
})

test('a silent connection does not delay others, and is closed after the handshake limit', async (t) => {
  const listener = await startPort(t, pongAcceptor(), { handshakeTimeoutMs: 300 })
  const silent = await RawClient.dial(t, listener.port)
  const halfRequest = await RawClient.dial(t, listener.port)
  halfRequest.send(Buffer.from('GET / HTTP/1.1\r\nHos'))
  const client = await RawClient.dial(t, listener.port)
  client.send(PREFIXED_PING)
  await until(() => client.received === PREFIXED_PONG, 'PONG')
  assert.equal(silent.isClosed, false)
  await until(() => silent.isClosed && halfRequest.isClosed, 'the end of the silent connections')
  assert.equal(listener.counters.handshakeTimeouts, 2)
  assert.equal(client.isClosed, false)
})

test('a link that brings nothing is closed after its idle limit, one that does stays', async (t) => {
  const acceptor = pongAcceptor()
  const { port } = await startPort(t, acceptor, { idleTimeoutMs: 400 })
  const idle = await RawClient.dial(t, port)
  idle.send(PREFIXED_PING)
  const busy = await RawClient.dial(t, port)
  busy.send(PREFIXED_PING)
  const timer = setInterval(() => busy.send(PREFIXED_PING), 50)
  t.after(() => clearInterval(timer))
  await until(() => idle.isClosed, 'the end of the idle connection')
  assert.equal(busy.isClosed, false)
  await until(() => acceptor.links[0].closed !== undefined, 'onClose')
  assert.match(acceptor.links[0].closed ?? '', /nothing received/)
})

test('a client that half-closes still gets the answer to what it sent last', async (t) => {
  const acceptor = pongAcceptor()
  const { port } = await startPort(t, acceptor)
  const client = await RawClient.dial(t, port)
  client.socket.end(unhex(PREFIXED_PING))
  await until(() => client.isClosed, 'the end of the connection')
  assert.equal(client.received, PREFIXED_PONG)
  await until(() => acceptor.links[0].closed !== undefined, 'onClose')
})

test('a client that vanishes mid-frame is forgotten', async (t) => {
  const acceptor = new RecordingAcceptor()
  const listener = await startPort(t, acceptor)
  const client = await RawClient.dial(t, listener.port)
  client.send('00 00 00 05 53 01')
  await until(() => acceptor.links.length === 1, 'the link')
  client.socket.resetAndDestroy()
  await until(() => listener.connections === 0, 'no connection')
  assert.match(acceptor.links[0].closed ?? '', /ECONNRESET/)
  assert.deepEqual(acceptor.units, [])
  // Whatever a router still does with the link must be harmless.
  putFrame(acceptor.links[0].link, PING)
  acceptor.links[0].link.flush()
  acceptor.links[0].link.close(CloseCode.normal, 'again')
})

test('what a slow reader leaves is counted as backlog, arrives complete, and its end is reported', async (t) => {
  const acceptor = new RecordingAcceptor()
  const { port } = await startPort(t, acceptor)
  const client = await RawClient.dial(t, port)
  client.send(PREFIXED_PING)
  await until(() => acceptor.links.length === 1, 'the link')
  const attached = acceptor.links[0]
  client.socket.pause()
  const frame = new Uint8Array(60_000)
  let frames = 0
  // The kernel takes some megabytes first.
  while (attached.link.backlogBytes === 0 && frames < 2000) {
    frame.fill(++frames)
    putFrame(attached.link, frame)
    attached.link.flush()
  }
  for (let more = 0; more < 5; more++) {
    frame.fill(++frames)
    putFrame(attached.link, frame)
    attached.link.flush()
  }
  assert.ok(attached.link.backlogBytes >= 6 * 60_000, `${attached.link.backlogBytes} bytes`)
  assert.equal(attached.drains, 0)

  client.socket.removeAllListeners('data')
  const chunks: Buffer[] = []
  let bytes = 0
  client.socket.on('data', (chunk: Buffer) => {
    chunks.push(chunk)
    bytes += chunk.length
  })
  client.socket.resume()
  await until(() => bytes === frames * 60_004, 'all frames')
  await until(() => attached.drains > 0, 'onDrain')
  assert.equal(attached.link.backlogBytes, 0)
  const all = Buffer.concat(chunks)
  for (let i = 0; i < frames; i++) {
    const at = i * 60_004
    assert.equal(all.readUInt32BE(at), 60_000)
    assert.ok(
      all.subarray(at + 4, at + 60_004).every((byte) => byte === ((i + 1) & 0xff)),
      `frame ${i}`,
    )
  }
})

test('a flood from one peer does not keep another from being served', async (t) => {
  const acceptor = pongAcceptor()
  const { port } = await startPort(t, acceptor)
  const flooder = await RawClient.dial(t, port)
  const flood = Buffer.concat(Array.from({ length: 20_000 }, () => unhex('00 00 00 05 53 01 00 01 42')))
  let isFlooding = true
  const pour = (): void => {
    if (isFlooding) flooder.socket.write(flood, pour)
  }
  pour()
  t.after(() => {
    isFlooding = false
  })
  await until(() => acceptor.units.length > 50_000, 'the flood')
  const client = await RawClient.dial(t, port)
  client.send(PREFIXED_PING)
  await until(() => client.received === PREFIXED_PONG, 'PONG')
  isFlooding = false
})

test('the output buffer is used again as long as the peer keeps up', async (t) => {
  const acceptor = pongAcceptor()
  const { port } = await startPort(t, acceptor)
  const client = await RawClient.dial(t, port)
  client.send(PREFIXED_PING)
  await until(() => client.received.length === PREFIXED_PONG.length, 'PONG')
  const { output } = acceptor.links[0].link
  const { bytes } = output
  for (let i = 2; i < 50; i++) {
    client.send(PREFIXED_PING)
    await until(() => client.received.length === i * PREFIXED_PONG.length, 'PONG')
  }
  assert.equal(output.bytes, bytes)
  assert.equal(acceptor.links[0].link.backlogBytes, 0)
})

test('an echo of many frames comes back complete and in order', async (t) => {
  const { port } = await startPort(t, echoAcceptor())
  const client = await RawClient.dial(t, port)
  const frames = Array.from({ length: 5000 }, (_, i) => {
    const frame = Buffer.alloc(4 + (i % 700))
    frame.writeUInt32BE(frame.length - 4)
    return frame.fill(i & 0xff, 4)
  })
  const all = Buffer.concat(frames)
  client.send(all)
  await until(() => client.received.length === all.length * 2, 'the echo')
  assert.equal(client.received, hex(all))
})

test('connections above the limit are refused in their own protocol, and later ones are welcome again', async (t) => {
  const listener = await startPort(t, pongAcceptor(), { maxConnections: 1 })
  const first = await RawClient.dial(t, listener.port)
  first.send(PREFIXED_PING)
  await until(() => first.received === PREFIXED_PONG, 'PONG')
  const web = await RawClient.dial(t, listener.port)
  web.send(Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'))
  await until(() => web.hasEnded, 'the refusal')
  assert.match(web.text, /^HTTP\/1\.1 503 /)
  const tcp = await RawClient.dial(t, listener.port)
  tcp.send(PREFIXED_PING)
  await until(() => tcp.isClosed, 'the end of the connection')
  assert.equal(tcp.received, '')
  assert.equal(listener.counters.refused, 2)
  first.socket.destroy()
  await until(() => listener.connections === 0, 'room')
  const later = await RawClient.dial(t, listener.port)
  later.send(PREFIXED_PING)
  await until(() => later.received === PREFIXED_PONG, 'PONG')
})

test('a link that the router refuses at once is closed, and its handler hears of it', async (t) => {
  let closed = 0
  const refusing = {
    attach: (link: { close(code: CloseCode, reason: string): void }) => {
      link.close(CloseCode.tryAgainLater, 'full')
      return { onFrame: () => assert.fail('no frame expected'), onAlive() {}, onDrain() {}, onClose: () => closed++ }
    },
  }
  const { port } = await startPort(t, refusing)
  const client = await RawClient.dial(t, port)
  client.send(PREFIXED_PING)
  await until(() => client.isClosed && closed === 1, 'the end of the connection')
})

test('stop closes every kind of connection within a second, and the port is free again', async (t) => {
  const acceptor = pongAcceptor()
  const listener = await listenPort({ host: '127.0.0.1', port: 0 }, acceptor, silentLog, new AbortController().signal)
  for (const first of [PREFIXED_PING, '53 01 00 01 41', '', '474554']) {
    // They do not close their side when the router closes its own.
    const client = await RawClient.dial(t, listener.port, { allowHalfOpen: true })
    client.send(first)
  }
  await until(() => listener.connections === 4 && acceptor.links.length === 2, 'the connections')
  const start = performance.now()
  await listener.stop()
  assert.ok(performance.now() - start < 2000)
  assert.equal(listener.connections, 0)
  assert.deepEqual(
    acceptor.links.map((attached) => attached.closed),
    ['the router is stopping', 'the router is stopping'],
  )
  const again = await listenPort(
    { host: '127.0.0.1', port: listener.port },
    acceptor,
    silentLog,
    new AbortController().signal,
  )
  await again.stop()
  await again.stop()
})

test('without a host, IPv4 is served too, and shown as such', async (t) => {
  const acceptor = pongAcceptor()
  const { port } = await startPort(t, acceptor, { host: undefined })
  const client = await RawClient.dial(t, port)
  client.send(PREFIXED_PING)
  await until(() => client.received === PREFIXED_PONG, 'PONG')
  assert.match(acceptor.links[0].link.remote, /^127\.0\.0\.1:\d+$/)
})

test('a port in use is reported with the process that has it and the remedy', async (t) => {
  const { port } = await startPort(t, new RecordingAcceptor())
  await assert.rejects(
    listenPort({ host: '127.0.0.1', port }, new RecordingAcceptor(), silentLog, new AbortController().signal),
    (error: unknown) => {
      assert.ok(error instanceof ListenError)
      assert.equal(error.code, 'EADDRINUSE')
      assert.equal(error.port, port)
      assert.match(error.message, new RegExp(`TCP port ${port} at 127\\.0\\.0\\.1 is in use by `))
      if (process.platform === 'linux') assert.match(error.message, /by another part of this router:/)
      assert.match(error.message, /stop it, or set listen\.port/)
      return true
    },
  )
})

test('an address that the machine does not have is reported with the setting to change', async () => {
  // 192.0.2.0/24 is reserved for documentation.
  await assert.rejects(
    listenPort({ host: '192.0.2.1', port: 0 }, new RecordingAcceptor(), silentLog, new AbortController().signal),
    (error: unknown) => error instanceof ListenError && /listen\.host/.test(error.message),
  )
})
