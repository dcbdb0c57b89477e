/** From the first byte of a connection to WELCOME and the state; router reference §2, §23.1. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { DecodeError } from '../../firmware-protocol/wire/errors.ts'
import { decodeFrame, encodeFrame } from '../../firmware-protocol/wire/frame.ts'
import type { Message } from '../../firmware-protocol/wire/message.ts'
import { until } from '../until.ts'
import { Bench, bool, int, type Peer } from './fixture.ts'
import { SteppedClock } from './stepped-clock.ts'

const UUID_V4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

describe('the handshake', () => {
  let bench: Bench

  beforeEach(async () => {
    bench = await Bench.start()
  })

  afterEach(() => bench.stop())

  const hello = (fields: object = {}): Message => ({
    type: 'HELLO',
    version: 1,
    features: ['param'],
    name: 'peer',
    ...fields,
  })

  /** The connection must end without a single message. */
  async function refusedInSilence(first: Uint8Array): Promise<void> {
    const peer = await bench.connect()
    peer.sendFrame(first)
    await until(() => peer.isClosed, 'end of the connection')
    assert.deepEqual(peer.inbox, [])
    assert.equal(bench.router.statistics.sessions, 0)
  }

  test('HELLO is answered by WELCOME and then, even without any state, by one empty SNAPSHOT', async () => {
    const peer = await bench.connect()
    const before = Date.now()
    peer.send(hello())
    const welcome = await peer.next('WELCOME')
    assert.equal(welcome.version, 1)
    assert.match(welcome.session, UUID_V4)
    assert.equal(welcome.name, 'Test Router')
    assert.equal(welcome.token, undefined)
    assert.deepEqual([...welcome.features].sort(), ['event', 'gesture', 'param', 'stream', 'timeline'])
    assert.ok(Math.abs(Number(welcome.time) / 1000 - before) < 60_000, `time ${welcome.time}`)
    assert.deepEqual((await peer.next('SNAPSHOT')).params, [])
    assert.deepEqual(await peer.settle(), [])
  })

  test('nothing is sent without being asked for after the handshake', async () => {
    const clock = new SteppedClock()
    const other = await Bench.start({ clock })
    try {
      const peer = await other.join()
      for (let i = 0; i < 20; i++) {
        clock.advance(60_000)
        assert.deepEqual(await peer.settle(), [])
      }
    } finally {
      await other.stop()
    }
  })

  for (const version of [0, 1, 2, 99, 255]) {
    test(`HELLO of version ${version} is welcomed with version 1`, async () => {
      const peer = await bench.connect()
      peer.send(hello({ version, features: [] }))
      assert.equal((await peer.next('WELCOME')).version, 1)
      await peer.next('SNAPSHOT')
    })
  }

  test('an empty name, a name of 10 000 characters and any token are welcome in open mode', async () => {
    for (const fields of [
      { name: '' },
      { name: 'x'.repeat(10_000) },
      { token: 'expired-token-2020-01-01' },
      { token: '' },
    ]) {
      const peer = await bench.connect()
      peer.send(hello(fields))
      await peer.next('WELCOME')
      await peer.next('SNAPSHOT')
    }
  })

  test('every HELLO gets an id of its own', async () => {
    const ids = new Set<string>()
    for (let i = 0; i < 5; i++) {
      const peer = await bench.join()
      ids.add(peer.session)
      peer.close()
    }
    assert.equal(ids.size, 5)
  })

  test('SET before HELLO ends the connection in silence and writes nothing', async () => {
    await refusedInSilence(encodeFrame({ type: 'SET', address: '/early', value: int(1) }))
    const peer = await bench.connect()
    peer.send(hello())
    await peer.next('WELCOME')
    assert.deepEqual((await peer.next('SNAPSHOT')).params, [])
  })

  for (const [what, bytes] of [
    ['bytes that are no frame', Buffer.from('deadbeef', 'hex')],
    ['a header that promises more than comes', Buffer.from('5301ffff', 'hex')],
    ['JSON text', Buffer.from('{"type":"HELLO","version":1}')],
    [
      'half a HELLO',
      Buffer.from(encodeFrame({ type: 'HELLO', version: 1, features: [], name: 'peer' })).subarray(0, 3),
    ],
    ['an unknown message type', Buffer.from('53010001ff', 'hex')],
  ] as const) {
    test(`${what} instead of HELLO ends the connection without a reply`, () => refusedInSilence(bytes))
  }

  test('a second HELLO makes a new session, and nothing of the first one is left', async () => {
    const peer = await bench.connect()
    peer.send(hello())
    const first = (await peer.next('WELCOME')).session
    await peer.next('SNAPSHOT')
    peer.subscribe(1, '/old/**')
    peer.set('/locked', bool(true), { lock: true })
    await peer.next('ACK')
    peer.send(hello())
    const second = (await peer.next('WELCOME')).session
    assert.notEqual(second, first)
    assert.deepEqual(
      (await peer.next('SNAPSHOT')).params.map(({ address }) => address),
      ['/locked'],
    )

    const other = await bench.join()
    other.set('/old/a', int(1))
    other.set('/locked', bool(false))
    await other.next('ACK')
    await other.next('ACK')
    assert.deepEqual(await peer.settle(), [], 'the old subscription must not deliver')
    assert.equal(bench.router.statistics.sessions, 2)
    assert.equal(bench.router.statistics.subscriptions, 0)
  })

  test('two HELLOs in a row are answered by WELCOME, SNAPSHOT, WELCOME, SNAPSHOT', async () => {
    const peer = await bench.connect()
    peer.send(hello())
    peer.send(hello())
    for (let i = 0; i < 2; i++) {
      await peer.next('WELCOME')
      await peer.next('SNAPSHOT')
    }
  })

  test('undecodable frames after HELLO are ignored and counted, and the session lives on', async () => {
    const peer = await bench.join()
    const witness = await bench.join()
    for (const bad of ['deadbeef', 'fffefdfc000102', '53010001ff', '5301000121', '53010002', '5301ffff00']) {
      peer.sendFrame(Buffer.from(bad, 'hex'))
    }
    peer.set('/after', int(1))
    assert.equal((await peer.next('ACK')).address, '/after')
    assert.equal(bench.router.statistics.undecodable, 6)
    assert.deepEqual(await witness.settle(), [])
  })

  test('messages that only a router sends mean nothing from a client', async () => {
    const peer = await bench.join()
    peer.send({ type: 'WELCOME', version: 1, features: [], time: 1, session: 'mine', name: 'me' })
    peer.send({ type: 'SNAPSHOT', params: [{ address: '/a', value: int(1), revision: 1 }] })
    peer.send({ type: 'ACK', address: '/a', revision: 1 })
    peer.send({ type: 'ERROR', code: 400, message: 'no' })
    peer.send({ type: 'RESULT', signals: [] })
    peer.send({ type: 'PONG' })
    assert.deepEqual(await peer.settle(), [])
    assert.equal(bench.router.statistics.params, 0)
  })

  test('bytes behind the frame in one transport unit are ignored', async () => {
    const peer = await bench.join()
    const set = encodeFrame({ type: 'SET', address: '/first', value: int(1) })
    const second = encodeFrame({ type: 'SET', address: '/second', value: int(2) })
    peer.sendFrame(Buffer.concat([set, second]))
    assert.equal((await peer.next('ACK')).address, '/first')
    assert.deepEqual(await peer.settle(), [])
  })

  test('QoS, a frame timestamp and the encrypted and compressed flags change nothing', async () => {
    const peer = await bench.join()
    for (const qos of [0, 1, 2, 3]) {
      peer.sendFrame(encodeFrame({ type: 'SET', address: '/q', value: int(qos) }, { qos, timestamp: 12_345 }))
      await peer.next('ACK')
    }
    const frame = encodeFrame({ type: 'SET', address: '/q', value: int(9) })
    frame[1] |= 0x18
    peer.sendFrame(frame)
    assert.equal((await peer.next('ACK')).revision, 5)
  })

  test('replies are bare frames of encoding 1 with QoS fire, SETs go out with QoS confirm', async () => {
    const peer = await bench.connect()
    const flags: string[] = []
    peer.socket.on('data', (chunk) => {
      for (let at = 0; at < chunk.length; at += 4 + chunk.readUInt32BE(at)) {
        const frame = decodeFrame(Uint8Array.from(chunk.subarray(at + 4, at + 4 + chunk.readUInt32BE(at))))
        assert.ok(!(frame instanceof DecodeError))
        assert.equal(frame.version, 1)
        assert.equal(frame.timestamp, undefined)
        assert.ok(!frame.encrypted && !frame.compressed)
        flags.push(`${frame.message.type} ${frame.qos}`)
      }
    })
    peer.send(hello())
    await peer.next('WELCOME')
    await peer.next('SNAPSHOT')
    peer.subscribe(1, '/q')
    peer.set('/q', int(1))
    await peer.settle()
    assert.deepEqual(flags, ['WELCOME 0', 'SNAPSHOT 0', 'SET 1', 'ACK 0', 'PONG 0'])
  })

  test('SYNC brings back t1 and the time of the router', async () => {
    const peer = await bench.join()
    peer.send({ type: 'SYNC', t1: 42, t2: 1, t3: 1 })
    const { t1, t2, t3 } = await peer.next('SYNC')
    assert.equal(t1, 42)
    assert.ok(Math.abs(Number(t2) / 1000 - Date.now()) < 60_000)
    assert.ok(Number(t3) >= Number(t2))
  })

  test('REPLAY without a journal is answered by 501, FEDERATION_SYNC of an ordinary session by 403', async () => {
    const peer = await bench.join()
    peer.send({ type: 'REPLAY', pattern: '/a/**', types: [] })
    const replay = await peer.next('ERROR')
    assert.deepEqual([replay.code, replay.address], [501, '/a/**'])
    peer.send({ type: 'FEDERATION_SYNC', op: 'declare_namespaces', patterns: ['/a/**'], revisions: [] })
    const federation = await peer.next('ERROR')
    assert.equal(federation.code, 403)
    assert.match(federation.message, /federation/)
  })

  test('a session that vanishes without a word leaves nothing behind but its params', async () => {
    for (let i = 0; i < 10; i++) {
      const peer = await bench.join()
      peer.subscribe(1, '/**')
      peer.set(`/left/${i}`, int(i), { lock: true })
      await peer.settle()
      peer.socket.resetAndDestroy()
    }
    await until(() => bench.router.statistics.sessions === 0, 'end of all sessions')
    assert.equal(bench.router.statistics.subscriptions, 0)
    assert.equal(bench.router.statistics.params, 10)
    const peer = await bench.join()
    peer.set('/left/0', int(100))
    assert.equal((await peer.next('ACK')).revision, 2)
  })
})

describe('the limits of a handshake', () => {
  test('a connection that says nothing is closed after the handshake timeout, and no earlier', async () => {
    const clock = new SteppedClock()
    const bench = await Bench.start({ clock })
    try {
      const silent = await bench.connect()
      // A length prefix tells the port what protocol it is; the rest of the frame never comes.
      silent.socket.write(Buffer.from([0, 0, 0, 20]))
      await until(() => bench.router.statistics.handshakes === 1, 'handshake')
      clock.advance(9_900)
      const peer = await bench.join()
      await peer.settle()
      assert.equal(silent.isClosed, false)
      clock.advance(200)
      await until(() => silent.isClosed, 'end of the connection')
      assert.deepEqual(silent.inbox, [])
      clock.advance(60_000)
      assert.deepEqual(await peer.settle(), [], 'a session that has said HELLO has no such limit')
    } finally {
      await bench.stop()
    }
  })

  test('connections beyond the limit get ERROR 503 and are closed, handshakes counted; a free place is given again', async () => {
    const bench = await Bench.start({ options: { maxSessions: 3 } })
    try {
      const inHandshake = await bench.connect()
      inHandshake.socket.write(Buffer.from([0, 0, 0, 20]))
      await until(() => bench.router.statistics.handshakes === 1, 'handshake')
      const members = [await bench.join(), await bench.join()]
      const refused = await bench.connect()
      refused.send({ type: 'HELLO', version: 1, features: [], name: 'one too many' })
      await until(() => refused.isClosed, 'end of the connection')
      assert.deepEqual(
        refused.inbox.map((message) => (message.type === 'ERROR' ? message.code : message.type)),
        [503],
      )
      members[0].close()
      await until(() => bench.router.statistics.sessions === 1, 'end of the session')
      await bench.join()
    } finally {
      await bench.stop()
    }
  })

  test('a limit of 0 is no limit', async () => {
    const bench = await Bench.start({ options: { maxSessions: 0 } })
    try {
      for (let i = 0; i < 20; i++) await bench.join()
      assert.equal(bench.router.statistics.sessions, 20)
    } finally {
      await bench.stop()
    }
  })

  test('20 clients that connect at once are all welcomed, with different ids', async () => {
    const bench = await Bench.start()
    try {
      const peers: Peer[] = await Promise.all(Array.from({ length: 20 }, () => bench.join()))
      assert.equal(new Set(peers.map(({ session }) => session)).size, 20)
    } finally {
      await bench.stop()
    }
  })

  test('stopping the router closes every session and leaves no timer', async () => {
    const clock = new SteppedClock()
    const bench = await Bench.start({ clock })
    const peers = [await bench.join(), await bench.join()]
    bench.router.stop()
    for (const peer of peers) await until(() => peer.isClosed, 'end of the connection')
    assert.equal(clock.pendingTimers, 0)
    await bench.stop()
  })
})
