import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import { framed, type OscFraming, packetReader } from '../../../runtime/bridges/osc/osc-framing.ts'
import { SteppedClock } from '../../router/stepped-clock.ts'
import { until } from '../../until.ts'
import { freePort } from '../free-port.ts'
import { float32, hex, message, startOsc, text } from './osc-scene.ts'

const int = (value: number): Value => ({ type: 'i64', value })

/** What arrives at a socket. */
function listen(t: TestContext, socket: Socket): { bytes: Buffer } {
  const heard = { bytes: Buffer.alloc(0) }
  socket.on('data', (chunk: Buffer) => {
    heard.bytes = Buffer.concat([heard.bytes, chunk])
  })
  socket.on('error', () => {})
  t.after(() => socket.destroy())
  return heard
}

async function dial(t: TestContext, port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  t.after(() => socket.destroy())
  await once(socket, 'connect')
  return socket
}

test('packets leave a stream as they entered it, in whatever pieces it comes', () => {
  const packets = [hex('2fc0db00'), hex('c0c0dbdb'), Buffer.alloc(1000, 0xdb), hex('dcdddcdd')]
  for (const framing of ['len32', 'slip'] as OscFraming[]) {
    const stream = Buffer.concat(packets.map((packet) => framed(framing, packet, 0, packet.length)))
    for (const step of [1, 3, 7, stream.length]) {
      const found: Buffer[] = []
      const reader = packetReader(framing, 1000, (bytes, start, end) =>
        found.push(Buffer.from(bytes.subarray(start, end))),
      )
      for (let at = 0; at < stream.length; at += step) assert.ok(reader.receive(stream.subarray(at, at + step)))
      assert.deepEqual(found, packets)
    }
  }
  assert.deepEqual(framed('slip', hex('00c0db01'), 0, 4), hex('c0 00 dbdc dbdd 01 c0'))
  assert.deepEqual(framed('len32', hex('2f610000'), 0, 4), hex('00000004 2f610000'))
  assert.equal(packetReader('len32', 100, () => {}).receive(hex('00000065')), false)
  assert.equal(packetReader('slip', 100, () => {}).receive(Buffer.alloc(101, 1)), false)
})

for (const framing of ['len32', 'slip'] as OscFraming[]) {
  test(`a program that connects (${framing}) sets, subscribes and hears`, async (t) => {
    const port = await freePort()
    const { scene } = await startOsc(t, `, tcp: {listen: ${port}, framing: ${framing}}`)
    const socket = await dial(t, port)
    const heard = listen(t, socket)
    const say = (packet: Buffer) => socket.write(framed(framing, packet, 0, packet.length))
    // -8.0 has an END byte in it.
    say(message('/x', 'f', float32(-8)))
    say(message('/clasp/subscribe', 's', text('/y')))
    say(message('/clasp/ping'))
    await until(() => heard.bytes.length > 0, 'an answer')
    assert.deepEqual(await scene.untilParam('/osc/x'), { type: 'f64', value: -8 })
    await scene.set('/osc/y', { type: 'f64', value: -6 })
    const answers = [message('/clasp/pong', 'N'), message('/y', 'f', hex('c0c00000'))]
    const expected = Buffer.concat(answers.map((packet) => framed(framing, packet, 0, packet.length)))
    await until(() => heard.bytes.length >= expected.length, 'a value')
    assert.deepEqual(heard.bytes, expected)
    assert.equal(scene.report('osc').peers, 1)
    socket.destroy()
    await until(() => scene.report('osc').peers === 0, 'a peer that has gone')
  })
}

test('a stream with the wrong framing is closed and told', async (t) => {
  const port = await freePort()
  const { scene } = await startOsc(t, `, tcp: {listen: ${port}}`)
  const socket = await dial(t, port)
  listen(t, socket)
  const closed = once(socket, 'close')
  socket.write(framed('slip', message('/x'), 0, 8))
  await closed
  assert.match(scene.report('osc').lastError, /this is not len32: see tcp.framing/)
})

test('a target over TCP that is away is told, and gets all that it missed when it comes', async (t) => {
  const clock = new SteppedClock()
  const port = await freePort()
  const { scene } = await startOsc(t, `, targets: [{host: 127.0.0.1, port: ${port}, protocol: tcp}]`, { clock })
  await until(() => scene.report('osc').state === 'degraded', 'a reason')
  assert.match(scene.report('osc').reason, new RegExp(`target 127.0.0.1:${port}: .*ECONNREFUSED.*is it running`))
  await scene.set('/osc/x', int(1))
  await scene.set('/osc/x', int(2))
  await scene.event('/osc/go', int(3))
  const server = createServer()
  server.listen(port, '127.0.0.1')
  t.after(() => server.close())
  await once(server, 'listening')
  const accepted = once(server, 'connection')
  clock.advance(1000)
  const [socket] = (await accepted) as [Socket]
  const heard = listen(t, socket)
  await until(() => scene.report('osc').state === 'running', 'a bridge that runs')
  await until(() => {
    clock.advance(5)
    return heard.bytes.includes('/go')
  }, 'an event')
  const told = message('/x', 'i', hex('00000002'))
  assert.ok(heard.bytes.includes(told))
  assert.ok(!heard.bytes.includes(message('/x', 'i', hex('00000001'))))
  // It goes, and is dialled again.
  const again = once(server, 'connection')
  socket.destroy()
  await until(() => scene.report('osc').state === 'degraded', 'a reason')
  clock.advance(2000)
  await again
})

test('a peer that does not read costs bounded memory, and gets the last values when it does', async (t) => {
  const port = await freePort()
  const { scene } = await startOsc(t, `, minInterval: 0ms, tcp: {listen: ${port}}`)
  const socket = await dial(t, port)
  const say = (packet: Buffer) => socket.write(framed('len32', packet, 0, packet.length))
  const heard = listen(t, socket)
  say(message('/clasp/subscribe', 's', text('/**')))
  say(message('/clasp/ping'))
  await until(() => heard.bytes.length > 0, 'an answer')
  socket.pause()
  const blob = new Uint8Array(50_000)
  for (let i = 1; i <= 400; i++) {
    blob[0] = i & 0xff
    blob[1] = i >> 8
    await scene.set(`/osc/${i & 1}`, { type: 'bytes', value: blob })
  }
  await scene.set('/osc/end', int(400))
  socket.resume()
  await until(() => heard.bytes.includes('/end'), 'the last value')
  // 20 MB were set.
  assert.ok(heard.bytes.length < 16_000_000, `${heard.bytes.length} bytes`)
  const last = heard.bytes.lastIndexOf(message('/0', 'b').subarray(0, 8))
  assert.equal(heard.bytes.readUInt16LE(last + 12), 400)
})
