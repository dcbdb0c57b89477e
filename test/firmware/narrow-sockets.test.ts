/** Which peers are served as devices over the real carriers, and how long they may be silent. */
import assert from 'node:assert/strict'
import { createSocket, type Socket } from 'node:dgram'
import { type TestContext, test } from 'node:test'
import { WebSocket } from 'ws'
import { DecodeError } from '../../firmware-protocol/wire/errors.ts'
import { decodeFrame, encodeFrame } from '../../firmware-protocol/wire/frame.ts'
import type { Message } from '../../firmware-protocol/wire/message.ts'
import { NarrowAcceptor } from '../../runtime/firmware/narrow-acceptor.ts'
import { systemClock } from '../../runtime/router/clock.ts'
import type { LocalSession } from '../../runtime/router/local-session.ts'
import { silentLog } from '../../runtime/router/log.ts'
import { defaultRouterOptions } from '../../runtime/router/options.ts'
import { Router } from '../../runtime/router/router.ts'
import type { PortOptions } from '../../runtime/transports/port.ts'
import { listenUdp, type UdpOptions } from '../../runtime/transports/udp.ts'
import { float, int, text } from '../router/fixture.ts'
import { RawClient, startPort, unhex } from '../transports/fixture.ts'
import { until } from '../until.ts'

const HELLO_A = unhex('53 41 000C 01 01 E0 0005 4553503332 0000')
const HELLO_E = unhex('53 01 000C 01 01 F8 0005 4553503332 0000')
const SUBSCRIBE = encodeFrame({ type: 'SUBSCRIBE', id: 0, pattern: '/led/*', types: [] })
const PING = encodeFrame({ type: 'PING' })

class Stage {
  readonly router = new Router(defaultRouterOptions, { clock: systemClock, log: silentLog })
  readonly acceptor = new NarrowAcceptor(this.router, { clock: systemClock, log: silentLog })
  readonly other: LocalSession = this.router.openLocal({ name: 'other' })

  constructor(t: TestContext) {
    t.after(() => this.router.stop())
    this.other.send({ type: 'SET', address: '/led/1', value: float(0.5) })
    this.other.send({ type: 'SET', address: '/led/2', value: text('on') })
  }

  async listenTcp(t: TestContext, options: Partial<PortOptions> = {}): Promise<number> {
    return (await startPort(t, this.acceptor, options)).port
  }

  async listenUdp(t: TestContext, options: Partial<UdpOptions> = {}): Promise<number> {
    const listener = await listenUdp(
      { host: '127.0.0.1', ports: [0], ...options },
      this.acceptor,
      silentLog,
      new AbortController().signal,
    )
    t.after(() => listener.stop())
    return listener.ports[0]
  }
}

class Datagrams {
  readonly messages: Message[] = []
  private readonly socket: Socket
  private readonly port: number

  constructor(t: TestContext, port: number) {
    this.port = port
    this.socket = createSocket('udp4')
    t.after(() => this.socket.close())
    this.socket.on('message', (bytes) => this.messages.push(decoded(bytes)))
  }

  send(frame: Uint8Array): void {
    this.socket.send(frame, this.port, '127.0.0.1')
  }

  get types(): string[] {
    return this.messages.map(({ type }) => type)
  }
}

function decoded(bytes: Uint8Array): Message {
  const frame = decodeFrame(bytes)
  assert.ok(!(frame instanceof DecodeError))
  return frame.message
}

/** Length-prefixed frames that a client has received. */
function units(client: RawClient): Message[] {
  const bytes = unhex(client.received)
  const messages: Message[] = []
  for (let at = 0; at + 4 <= bytes.length && at + 4 + bytes.readUInt32BE(at) <= bytes.length; ) {
    const end = at + 4 + bytes.readUInt32BE(at)
    messages.push(decoded(bytes.subarray(at + 4, end)))
    at = end
  }
  return messages
}

function prefixed(frame: Uint8Array): Buffer {
  const prefix = Buffer.alloc(4)
  prefix.writeUInt32BE(frame.length)
  return Buffer.concat([prefix, frame])
}

test('over UDP the embedded client gets SETs that it can read, after its address is proven', async (t) => {
  const stage = new Stage(t)
  const device = new Datagrams(t, await stage.listenUdp(t))
  device.send(HELLO_E)
  await until(() => device.messages.length === 1, 'WELCOME')
  device.send(SUBSCRIBE)
  await until(() => device.messages.length === 3, 'the rest')
  assert.deepEqual(device.types, ['WELCOME', 'SNAPSHOT', 'SET'])
  const [, snapshot, led] = device.messages
  assert.deepEqual(snapshot, { type: 'SNAPSHOT', params: [] })
  assert.deepEqual(led, { type: 'SET', address: '/led/1', value: float(0.5) })
  stage.other.send({ type: 'SET', address: '/led/3', value: int(7) })
  await until(() => device.messages.length === 4, 'the update')
})

test('over UDP an embedded client that only listens keeps its session, where others lose theirs', async (t) => {
  const stage = new Stage(t)
  const port = await stage.listenUdp(t, { idleTimeoutMs: 200, pingAfterMs: 50 })
  const device = new Datagrams(t, port)
  device.send(HELLO_E)
  await until(() => device.messages.length === 1, 'WELCOME')
  device.send(SUBSCRIBE)
  await until(() => device.messages.length >= 3, 'the stored value')
  const other = new Datagrams(t, port)
  other.send(encodeFrame({ type: 'HELLO', version: 1, features: [], name: 'other' }))
  await until(() => stage.router.statistics.sessions === 3, 'both sessions')
  await until(() => stage.router.statistics.sessions === 2, 'the end of the silent one')
  stage.other.send({ type: 'SET', address: '/led/1', value: float(0.75) })
  await until(
    () =>
      device.messages.some(
        (message) => message.type === 'SET' && message.value.type === 'f64' && message.value.value === 0.75,
      ),
    'the update',
  )
})

test('over UDP a device that never says HELLO is an embedded client, until it sends 32-bit numbers', async (t) => {
  const stage = new Stage(t)
  const device = new Datagrams(t, await stage.listenUdp(t, { implicit: ['127.0.0.0/8'] }))
  device.send(SUBSCRIBE)
  await until(() => device.messages.length === 1, 'WELCOME')
  device.send(PING)
  await until(() => device.messages.length === 4, 'the stored value')
  assert.deepEqual(device.types, ['WELCOME', 'SNAPSHOT', 'SET', 'PONG'])
  device.send(encodeFrame({ type: 'SET', address: '/led/4', value: { type: 'f32', value: 1.5 } }))
  await until(() => device.types.filter((type) => type === 'SET').length === 2, 'its own value')
  assert.deepEqual(device.messages.at(-1)?.type === 'ACK' ? device.messages.at(-2) : device.messages.at(-1), {
    type: 'SET',
    address: '/led/4',
    value: { type: 'f32', value: 1.5 },
  })
})

test('over UDP another peer at the same address and port is served as what it is', async (t) => {
  const stage = new Stage(t)
  const device = new Datagrams(t, await stage.listenUdp(t))
  device.send(encodeFrame({ type: 'HELLO', version: 1, features: [], name: 'full' }))
  await until(() => device.messages.length === 1, 'WELCOME')
  device.send(PING)
  await until(() => device.types.includes('PONG'), 'PONG')
  assert.equal(stage.acceptor.links.size, 0)
  device.send(HELLO_E)
  await until(() => device.types.filter((type) => type === 'WELCOME').length === 2, 'the second WELCOME')
  assert.equal(stage.acceptor.links.size, 1)
  assert.equal(stage.router.statistics.sessions, 2)
  device.send(SUBSCRIBE)
  await until(() => device.messages.at(-1)?.type === 'SET', 'the stored value')
  device.send(encodeFrame({ type: 'HELLO', version: 1, features: [], name: 'full' }))
  await until(() => {
    const last = device.messages.at(-1)
    return last?.type === 'SNAPSHOT' && last.params.length === 2
  }, 'the whole state')
})

test('over length-prefixed TCP only the Arduino library is a device', async (t) => {
  const stage = new Stage(t)
  const port = await stage.listenTcp(t)
  const arduino = await RawClient.dial(t, port)
  arduino.send(prefixed(HELLO_A))
  await until(() => units(arduino).length === 2, 'WELCOME and SNAPSHOT')
  const client = await RawClient.dial(t, port)
  client.send(prefixed(HELLO_E))
  await until(() => units(client).length === 2, 'WELCOME and the state')
  const sizes = [arduino, client].map((peer) => {
    const message = units(peer)[1]
    return message.type === 'SNAPSHOT' ? message.params.length : -1
  })
  assert.deepEqual(sizes, [0, 2])
  assert.equal(stage.acceptor.links.size, 1)
  assert.equal([...stage.acceptor.links][0].profile, 'arduino')
})

test('over WebSocket nobody is a device', async (t) => {
  const stage = new Stage(t)
  const port = await stage.listenTcp(t)
  const messages: Message[] = []
  const socket = new WebSocket(`ws://127.0.0.1:${port}/clasp`, 'clasp')
  t.after(() => socket.terminate())
  socket.on('open', () => socket.send(HELLO_A))
  socket.on('message', (bytes: Buffer) => messages.push(decoded(bytes)))
  await until(() => messages.length === 2, 'WELCOME and the state')
  assert.equal(messages[1].type === 'SNAPSHOT' && messages[1].params.length, 2)
  assert.equal(stage.acceptor.links.size, 0)
})

test('over bare TCP the embedded client may be silent for ever, others may not', async (t) => {
  const stage = new Stage(t)
  const port = await stage.listenTcp(t, { idleTimeoutMs: 150 })
  const device = await RawClient.dial(t, port)
  device.send(HELLO_E)
  const client = await RawClient.dial(t, port)
  client.send(encodeFrame({ type: 'HELLO', version: 1, features: [], name: 'client' }))
  await until(() => stage.router.statistics.sessions === 3, 'both sessions')
  await until(() => client.isClosed, 'the end of the client')
  const [link] = stage.acceptor.links
  assert.equal(link.profile, 'embedded')
  assert.equal(device.isClosed, false)
  const again = await RawClient.dial(t, port)
  again.send(encodeFrame({ type: 'HELLO', version: 1, features: [], name: 'client' }))
  await until(() => again.isClosed, 'the end of another')
  assert.equal(device.isClosed, false)
})

test('a device that leaves is forgotten, and what it was sent stays counted', async (t) => {
  const stage = new Stage(t)
  const port = await stage.listenTcp(t)
  for (let i = 0; i < 3; i++) {
    const device = await RawClient.dial(t, port)
    device.send(HELLO_E)
    device.send(SUBSCRIBE)
    await until(() => stage.acceptor.counters.sent === 3 * (i + 1), 'WELCOME, SNAPSHOT and SET')
    device.socket.destroy()
    await until(() => stage.acceptor.links.size === 0, 'its end')
  }
  assert.equal(stage.acceptor.counters.sent, 9)
  assert.equal(stage.acceptor.counters.unreadable, 3)
  assert.equal(stage.router.statistics.sessions, 1)
})
