import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect } from 'node:tls'
import WebSocket from 'ws'
import { silentLog } from '../../runtime/router/log.ts'
import { ListenError } from '../../runtime/transports/listen-error.ts'
import { listenPort } from '../../runtime/transports/port.ts'
import { echoAcceptor, hex, pongAcceptor, RawClient, RecordingAcceptor, startPort, unhex, until } from './fixture.ts'
import { localhostCertificate } from './fixtures/localhost-certificate.ts'

const trusted = { ca: localhostCertificate.cert, servername: 'localhost' }

test('TLS on the same port carries prefixed and bare frames', async (t) => {
  const acceptor = pongAcceptor()
  const { port } = await startPort(t, acceptor, { tls: localhostCertificate })
  for (const [sent, expected] of [
    ['00 00 00 05 53 01 00 01 41', '000000055301000142'],
    ['53 01 00 01 41', '5301000142'],
  ]) {
    const socket = connect({ port, host: '127.0.0.1', ...trusted })
    t.after(() => socket.destroy())
    let received = ''
    socket.on('data', (chunk: Buffer) => {
      received += hex(chunk)
    })
    socket.write(unhex(sent))
    await until(() => received === expected, 'PONG')
  }
  assert.equal(acceptor.links[0].link.transport, 'tcp+tls')
  const plain = await RawClient.dial(t, port)
  plain.send('53 01 00 01 41')
  await until(() => plain.received === '5301000142', 'PONG without TLS')
})

test('TLS carries HTTP and WebSocket, large messages included', async (t) => {
  const acceptor = echoAcceptor()
  const { port } = await startPort(t, acceptor, { tls: localhostCertificate })
  const socket = new WebSocket(`wss://127.0.0.1:${port}/clasp`, 'clasp', trusted)
  t.after(() => socket.terminate())
  const messages: Buffer[] = []
  socket.on('message', (data: Buffer) => messages.push(data))
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject))
  const sent = Array.from({ length: 200 }, (_, i) => Buffer.alloc(300 * i + 1, i))
  for (const message of sent) socket.send(message)
  await until(() => messages.length === sent.length, 'the echo')
  for (const [i, message] of messages.entries()) assert.ok(message.equals(sent[i]), `message ${i}`)
  assert.equal(acceptor.links[0].link.transport, 'websocket+tls')
  assert.equal(acceptor.links[0].link.backlogBytes, 0)

  const probe = connect({ port, host: '127.0.0.1', ...trusted })
  t.after(() => probe.destroy())
  let answer = ''
  probe.on('data', (chunk: Buffer) => {
    answer += chunk.toString()
  })
  probe.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  await until(() => answer.endsWith('ok\n'), 'the answer')
})

test('without a certificate, TLS is closed and the log says why', async (t) => {
  const warnings: string[] = []
  const log = { ...silentLog, warn: (message: string) => warnings.push(message) }
  const listener = await listenPort(
    { host: '127.0.0.1', port: 0 },
    new RecordingAcceptor(),
    log,
    new AbortController().signal,
  )
  t.after(() => listener.stop())
  const socket = connect({ port: listener.port, host: '127.0.0.1', ...trusted })
  t.after(() => socket.destroy())
  await new Promise((resolve) => socket.once('error', resolve))
  assert.match(warnings.join(), /no certificate is configured \(listen\.tls\)/)
})

test('a broken TLS handshake ends in a closed connection', async (t) => {
  const listener = await startPort(t, new RecordingAcceptor(), { tls: localhostCertificate, handshakeTimeoutMs: 1000 })
  const client = await RawClient.dial(t, listener.port)
  client.send('16 03 01 00 05 ff ff ff ff ff')
  await until(() => client.isClosed, 'the end of the connection')
  const halfHello = await RawClient.dial(t, listener.port)
  halfHello.send('16 03 01')
  await until(() => halfHello.isClosed, 'the end of the half handshake')
  await until(() => listener.connections === 0, 'no connection')
})

test('stop closes TLS connections too', async (t) => {
  const acceptor = pongAcceptor()
  const listener = await startPort(t, acceptor, { tls: localhostCertificate })
  const socket = connect({ port: listener.port, host: '127.0.0.1', ...trusted })
  t.after(() => socket.destroy())
  socket.resume()
  socket.write(unhex('53 01 00 01 41'))
  await until(() => acceptor.links.length === 1, 'the link')
  await listener.stop()
  assert.equal(acceptor.links[0].closed, 'the router is stopping')
})

test('an unusable certificate is a ListenError', async () => {
  const tls = { cert: 'nonsense', key: 'nonsense' }
  await assert.rejects(
    listenPort({ port: 0, tls }, new RecordingAcceptor(), silentLog, new AbortController().signal),
    (error: unknown) => error instanceof ListenError && /listen\.tls/.test(error.message),
  )
})
