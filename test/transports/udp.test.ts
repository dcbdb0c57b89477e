import assert from 'node:assert/strict'
import { createSocket, type Socket } from 'node:dgram'
import { type TestContext, test } from 'node:test'
import type { Link } from '../../runtime/router/link.ts'
import { silentLog } from '../../runtime/router/log.ts'
import { ListenError } from '../../runtime/transports/listen-error.ts'
import { listenUdp, type UdpListener, type UdpOptions } from '../../runtime/transports/udp.ts'
import { hex, PING, PONG, putFrame, RecordingAcceptor, unhex, until } from './fixture.ts'

const HELLO = '5301000c 0101f8 0005 4553503332 0000'.replaceAll(' ', '')
const PROBE = '53010010 010100 0009 446973636f76657279 0000'.replaceAll(' ', '')
const WELCOME = '5301000302e000'
const SNAPSHOT = '53010003230000'

/** Answers HELLO as the router does, and anything else with PONG. */
function welcomingAcceptor(): RecordingAcceptor {
  return new RecordingAcceptor((unit: Uint8Array, link: Link) => {
    if (unit[4] !== 0x01) return PONG
    putFrame(link, unhex(WELCOME))
    return unhex(SNAPSHOT)
  })
}

async function start(
  t: TestContext,
  acceptor: RecordingAcceptor,
  options: Partial<UdpOptions> = {},
): Promise<UdpListener> {
  const listener = await listenUdp(
    { host: '127.0.0.1', ports: [0], ...options },
    acceptor,
    silentLog,
    new AbortController().signal,
  )
  t.after(() => listener.stop())
  return listener
}

class Device {
  readonly received: string[] = []
  private readonly socket: Socket
  private readonly port: number
  private readonly host: string

  private constructor(socket: Socket, port: number, host: string) {
    this.socket = socket
    this.port = port
    this.host = host
    socket.on('message', (bytes) => this.received.push(hex(bytes)))
  }

  static async open(t: TestContext, port: number, host = '127.0.0.1'): Promise<Device> {
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
    t.after(() => socket.close())
    await new Promise<void>((resolve) => socket.bind(0, host, resolve))
    return new Device(socket, port, host)
  }

  send(bytes: Uint8Array | string): void {
    this.socket.send(typeof bytes === 'string' ? unhex(bytes) : bytes, this.port, this.host)
  }
}

test('HELLO gets WELCOME only, and a second datagram gets what was held back', async (t) => {
  const acceptor = welcomingAcceptor()
  const listener = await start(t, acceptor)
  const device = await Device.open(t, listener.ports[0])
  device.send(HELLO)
  await until(() => device.received.length === 1, 'WELCOME')
  const { link } = acceptor.links[0]
  await until(() => link.backlogBytes === SNAPSHOT.length / 2, 'the snapshot to be held back')
  // Broadcasts wait too.
  putFrame(link, PING)
  link.flush()
  device.send(PING)
  await until(() => device.received.length === 4, 'the rest')
  assert.deepEqual(device.received, [WELCOME, SNAPSHOT, hex(PING), hex(PONG)])
  assert.equal(link.backlogBytes, 0)
  assert.equal(acceptor.links[0].drains, 1)
  assert.equal(listener.sessions, 1)
  assert.equal(link.limits.maxFrameBytes, 1200)
  assert.equal(link.limits.isReliable, false)
})

test('repeated HELLOs never release more than WELCOMEs', async (t) => {
  const acceptor = welcomingAcceptor()
  const listener = await start(t, acceptor)
  const device = await Device.open(t, listener.ports[0])
  for (let i = 1; i <= 3; i++) {
    device.send(HELLO)
    await until(() => device.received.length === i, 'WELCOME')
  }
  device.send(PING)
  await until(() => device.received.includes(hex(PONG)), 'PONG')
  assert.deepEqual(device.received, [WELCOME, WELCOME, WELCOME, SNAPSHOT, hex(PONG)])
  assert.equal(acceptor.links.length, 1)
})

test('HELLOs that come together get one WELCOME at least, and nothing else', async (t) => {
  const acceptor = welcomingAcceptor()
  const listener = await start(t, acceptor)
  const device = await Device.open(t, listener.ports[0])
  for (let i = 0; i < 5; i++) device.send(HELLO)
  await until(() => acceptor.units.length === 5 && acceptor.links[0].link.output.length === 0, 'all HELLOs')
  device.send(PING)
  await until(() => device.received.includes(hex(PONG)), 'PONG')
  const welcomes = device.received.filter((frame) => frame === WELCOME).length
  assert.ok(welcomes >= 1 && welcomes <= 5)
  assert.deepEqual(device.received.slice(welcomes), [SNAPSHOT, hex(PONG)])
})

test('a HELLO on an open session reaches the router on the same link', async (t) => {
  const acceptor = welcomingAcceptor()
  const listener = await start(t, acceptor)
  const device = await Device.open(t, listener.ports[0])
  device.send(HELLO)
  await until(() => device.received.length === 1, 'WELCOME')
  device.send(PING)
  await until(() => device.received.length === 3, 'SNAPSHOT and PONG')
  device.send(HELLO)
  await until(() => device.received.length === 5, 'WELCOME and SNAPSHOT')
  assert.deepEqual(acceptor.units, [HELLO, hex(PING), HELLO])
})

test('a legacy HELLO opens a session too', async (t) => {
  const acceptor = new RecordingAcceptor()
  const listener = await start(t, acceptor)
  const device = await Device.open(t, listener.ports[0])
  const payload = Buffer.concat([
    unhex('83 a474797065 a5'),
    Buffer.from('HELLO'),
    unhex('a776657273696f6e 01 a46e616d65 a178'),
  ])
  device.send(Buffer.concat([Buffer.of(0x53, 0, 0, payload.length), payload]))
  await until(() => acceptor.units.length === 1, 'HELLO')
})

test('a discovery probe is answered without a session', async (t) => {
  const acceptor = welcomingAcceptor()
  const reply = unhex(WELCOME)
  const listener = await start(t, acceptor, { probeReply: () => reply })
  const seeker = await Device.open(t, listener.ports[0])
  seeker.send(PROBE)
  await until(() => seeker.received.length === 1, 'WELCOME')
  assert.deepEqual(seeker.received, [WELCOME])
  assert.equal(acceptor.links.length, 0)
  assert.equal(listener.counters.probes, 1)
})

test('frames from unknown sources, broken frames and other datagrams are dropped and counted', async (t) => {
  const acceptor = welcomingAcceptor()
  const listener = await start(t, acceptor)
  const stranger = await Device.open(t, listener.ports[0])
  stranger.send(PING)
  stranger.send('53 01 00 05 01')
  stranger.send('53')
  stranger.send('')
  stranger.send('0c 00')
  await until(() => listener.counters.received === 5, 'all datagrams')
  assert.equal(listener.counters.unknownSource, 1)
  assert.equal(listener.counters.malformed, 4)
  assert.equal(acceptor.links.length, 0)
  assert.deepEqual(stranger.received, [])
})

test('link datagrams go to their own handler, which can reply', async (t) => {
  const seen: string[] = []
  const listener = await start(t, new RecordingAcceptor(), {
    onLinkDatagram: (bytes, _source, reply) => {
      seen.push(hex(bytes))
      reply(unhex('0cff'))
    },
  })
  const device = await Device.open(t, listener.ports[0])
  device.send('0c0102')
  await until(() => device.received.length === 1, 'the reply')
  assert.deepEqual([seen, device.received], [['0c0102'], ['0cff']])
})

test('WELCOMEs are limited by source and in total', async (t) => {
  const acceptor = welcomingAcceptor()
  const listener = await start(t, acceptor, { welcomesPerSource: 3, probeReply: () => unhex(WELCOME) })
  const device = await Device.open(t, listener.ports[0])
  for (let i = 0; i < 20; i++) device.send(i === 0 ? HELLO : PROBE)
  await until(() => listener.counters.received === 20, 'all datagrams')
  // A second may end in between, hence up to two windows.
  assert.ok(listener.counters.rateLimited >= 14, `${listener.counters.rateLimited}`)
  await until(() => device.received.length === 20 - listener.counters.rateLimited, 'the answers')
})

test('sessions are limited', async (t) => {
  const acceptor = welcomingAcceptor()
  const listener = await start(t, acceptor, { maxSessions: 2 })
  const devices = await Promise.all([0, 1, 2].map(() => Device.open(t, listener.ports[0])))
  for (const device of devices) device.send(HELLO)
  await until(() => listener.counters.received === 3, 'all HELLOs')
  assert.equal(listener.counters.refused, 1)
  assert.equal(listener.sessions, 2)
})

test('a silent device is sent a PING, then forgotten; one that answers stays', async (t) => {
  const acceptor = welcomingAcceptor()
  const listener = await start(t, acceptor, { pingAfterMs: 100, idleTimeoutMs: 500 })
  const silent = await Device.open(t, listener.ports[0])
  silent.send(HELLO)
  await until(() => silent.received.length === 1, 'WELCOME')
  const answering = await Device.open(t, listener.ports[0])
  answering.send(HELLO)
  await until(() => answering.received.length === 1, 'WELCOME')
  const timer = setInterval(() => answering.send(PONG), 50)
  t.after(() => clearInterval(timer))
  await until(() => acceptor.links[0].closed !== undefined, 'the end of the session')
  assert.match(acceptor.links[0].closed ?? '', /nothing received/)
  assert.ok(silent.received.filter((frame) => frame === hex(PING)).length >= 2)
  assert.equal(acceptor.links[1].closed, undefined)
  assert.equal(listener.sessions, 1)
  // The address may come back.
  silent.send(HELLO)
  await until(() => acceptor.links.length === 3, 'a new session')
})

test('every frame is a datagram of its own, and one above 1200 bytes is dropped and counted', async (t) => {
  const acceptor = welcomingAcceptor()
  const listener = await start(t, acceptor)
  const device = await Device.open(t, listener.ports[0])
  device.send(HELLO)
  await until(() => device.received.length === 1, 'WELCOME')
  device.send(PING)
  await until(() => device.received.length === 3, 'SNAPSHOT and PONG')
  const { link } = acceptor.links[0]
  const frames = [1196, 1197, 0, 30].map((payload, i) => {
    const frame = Buffer.alloc(4 + payload, i)
    frame.set([0x53, 1, payload >>> 8, payload & 0xff])
    return frame
  })
  for (const frame of frames) putFrame(link, frame)
  // With a frame timestamp, the header is longer.
  putFrame(link, unhex('53210001 0000000000000001 41'))
  link.flush()
  await until(() => device.received.length === 7, 'the frames')
  assert.deepEqual(device.received.slice(3), [
    ...[0, 2, 3].map((i) => hex(frames[i])),
    '5321000100000000000000' + '0141',
  ])
  assert.equal(listener.counters.oversize, 1)
  assert.equal(link.output.length, 0)
})

test('a listed network gets sessions without HELLO, others do not', async (t) => {
  const acceptor = new RecordingAcceptor()
  const listener = await start(t, acceptor, { implicit: ['127.0.0.0/8', '2001:db8::/32'] })
  const sensor = await Device.open(t, listener.ports[0])
  sensor.send(PING)
  await until(() => acceptor.units.length === 2, 'HELLO and the frame')
  const { remote } = acceptor.links[0].link
  const name = Buffer.from(`udp:${remote}`)
  assert.equal(
    acceptor.units[0],
    `530100${hex(Buffer.of(7 + name.length))}0101f800${hex(Buffer.of(name.length))}${hex(name)}0000`,
  )
  assert.equal(acceptor.units[1], hex(PING))
  const elsewhere = await start(t, acceptor, { implicit: ['10.0.0.0/8'] })
  const stranger = await Device.open(t, elsewhere.ports[0])
  stranger.send(PING)
  await until(() => elsewhere.counters.unknownSource === 1, 'the drop')
})

test('a wrong network is refused at once', async () => {
  for (const implicit of ['300.1.1.1/8', '10.0.0.0/33', 'sensors', '10.0.0.0/']) {
    await assert.rejects(
      listenUdp({ ports: [0], implicit: [implicit] }, new RecordingAcceptor(), silentLog, new AbortController().signal),
      RangeError,
    )
  }
})

test('several ports and both IP versions are served by one listener', async (t) => {
  const acceptor = welcomingAcceptor()
  const listener = await start(t, acceptor, { host: undefined, ports: [0, 0] })
  assert.equal(listener.ports.length, 2)
  for (const port of listener.ports) {
    for (const host of ['127.0.0.1', '::1']) {
      const device = await Device.open(t, port, host)
      device.send(HELLO)
      await until(() => device.received.length === 1, `WELCOME from ${host} port ${port}`)
    }
  }
  assert.equal(listener.sessions, 4)
})

test('a UDP port in use is reported with its holder', async (t) => {
  const listener = await start(t, new RecordingAcceptor())
  await assert.rejects(
    listenUdp(
      { host: '127.0.0.1', ports: [0, listener.ports[0]] },
      new RecordingAcceptor(),
      silentLog,
      new AbortController().signal,
    ),
    (error: unknown) => {
      assert.ok(error instanceof ListenError)
      assert.match(error.message, /^UDP port \d+ at 127\.0\.0\.1 is in use by /)
      if (process.platform === 'linux') assert.match(error.message, /by another part of this router:/)
      return true
    },
  )
})
