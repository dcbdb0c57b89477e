/**
 * The 40 checks of the upstream compliance suite, by number, in order, against one router with shared state, twice;
 * then what a router must not break. Router reference §22, §26.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { DecodeError } from '../../firmware-protocol/wire/errors.ts'
import { decodeFrame, encodeFrame } from '../../firmware-protocol/wire/frame.ts'
import type { Message } from '../../firmware-protocol/wire/message.ts'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import { until } from '../until.ts'
import { Bench, bool, bytes, float, int, nil, type Peer, text } from './fixture.ts'

const hello = (fields: object = {}): Message => ({ type: 'HELLO', version: 1, features: [], name: 'check', ...fields })

async function get(peer: Peer, address: string): Promise<Value> {
  await peer.settle()
  peer.send({ type: 'GET', address })
  return (await peer.next('SNAPSHOT')).params[0].value
}

/** Addresses of the SETs and SNAPSHOT entries that have come. */
async function heard(peer: Peer): Promise<string[]> {
  return (await peer.settle()).flatMap((message) => {
    if (message.type === 'SNAPSHOT') return message.params.map(({ address }) => address)
    return message.type === 'SET' ? [message.address] : []
  })
}

function roundTrip(message: Message): Message {
  const frame = decodeFrame(encodeFrame(message))
  if (frame instanceof DecodeError) throw new Error(frame.reason)
  return frame.message
}

function keepsValue(value: Value): void {
  const set: Message = { type: 'SET', address: '/v', value }
  assert.deepEqual(roundTrip(set), set)
}

describe('the compliance suite', () => {
  let bench: Bench

  before(async () => {
    bench = await Bench.start({ options: { name: 'Test Router' } })
  })

  after(() => bench.stop())

  for (const round of ['first', 'second']) {
    const check = (name: string, run: () => Promise<void> | void) => test(`${name} (${round} run)`, run)

    check('1 HELLO must be first message', async () => {
      const peer = await bench.connect()
      peer.set('/test', int(1))
      await until(() => peer.isClosed, 'end of the connection')
      assert.ok(!peer.inbox.some(({ type }) => type === 'ACK' || type === 'WELCOME'))
    })

    check('2 WELCOME contains session ID', async () => {
      assert.equal((await bench.join()).session.length, 36)
    })

    check('3 Version negotiation', async () => {
      const peer = await bench.connect()
      peer.send(hello())
      assert.notEqual((await peer.next('WELCOME')).session, '')
    })

    check('4 Feature negotiation', async () => {
      const peer = await bench.connect()
      peer.send(hello({ features: ['param', 'event', 'stream'] }))
      assert.ok((await peer.next('WELCOME')).features.includes('stream'))
    })

    check('5 Duplicate HELLO rejected', async () => {
      const peer = await bench.connect()
      peer.send(hello())
      await peer.next('WELCOME')
      peer.send(hello())
      await peer.until(() => peer.inbox.length > 0, 'a message')
      assert.notEqual(peer.inbox[0].type, 'WELCOME')
    })

    check('6 Handshake timeout', async () => {
      await bench.join()
    })

    check('7 SET message', async () => {
      const peer = await bench.join()
      const values: [string, Value][] = [
        ['int', int(42)],
        ['float', float(1.25)],
        ['string', text('hello')],
        ['bool', bool(true)],
      ]
      for (const [name, value] of values) {
        peer.set(`/msg/test/${name}`, value)
        assert.equal((await peer.next('ACK')).address, `/msg/test/${name}`)
      }
    })

    check('8 GET message', async () => {
      const peer = await bench.join()
      peer.set('/msg/get/test', int(123))
      assert.deepEqual(await get(peer, '/msg/get/test'), int(123))
    })

    check('9 SUBSCRIBE message', async () => {
      const peer = await bench.join()
      peer.subscribe(1, '/msg/sub/**')
      assert.deepEqual(await peer.settle(), [])
    })

    check('10 PUBLISH message', async () => {
      const peer = await bench.join()
      peer.send({ type: 'PUBLISH', address: '/msg/pub/event', signal: 'event', value: text('happened') })
      assert.deepEqual(await peer.settle(), [])
    })

    check('11 ACK message', async () => {
      const peer = await bench.join()
      peer.set('/msg/ack/test', int(1))
      await peer.next('ACK')
    })

    check('12 ERROR message', async () => {
      const peer = await bench.join()
      peer.subscribe(1, 'no/slash')
      assert.equal((await peer.next('ERROR')).code, 202)
    })

    check('13 LWW conflict resolution', async () => {
      const [a, b] = [await bench.join('a'), await bench.join('b')]
      a.set('/state/lww/test', int(1))
      await a.settle()
      b.set('/state/lww/test', int(2))
      await b.settle()
      for (const peer of [a, b]) assert.deepEqual(await get(peer, '/state/lww/test'), int(2))
    })

    for (const [number, name, address] of [
      [14, 'Max merge strategy', '/state/max/test'],
      [15, 'Min merge strategy', '/state/min/test'],
    ] as const) {
      check(`${number} ${name}`, async () => {
        const peer = await bench.join()
        peer.set(address, int(50))
        assert.deepEqual(await get(peer, address), int(50))
      })
    }

    check('16 Lock acquisition', async () => {
      const peer = await bench.join()
      peer.set('/state/lock/acquire', int(1), { lock: true })
      assert.deepEqual(await get(peer, '/state/lock/acquire'), int(1))
      peer.close()
      await peer.closed()
    })

    check('17 Lock release', async () => {
      const peer = await bench.join()
      peer.set('/state/lock/release', int(1), { lock: true })
      peer.set('/state/lock/release', int(2), { unlock: true })
      assert.deepEqual(await get(peer, '/state/lock/release'), int(2))
    })

    check('18 Lock prevents other writes', async () => {
      const owner = await bench.join('owner')
      const intruder = await bench.join('intruder')
      owner.set('/state/lock/prevent', int(1), { lock: true })
      await owner.next('ACK')
      intruder.set('/state/lock/prevent', int(999))
      assert.match((await intruder.next('ERROR')).message, /^LockHeld/)
      assert.deepEqual(await get(owner, '/state/lock/prevent'), int(1))
      const sessions = bench.router.statistics.sessions
      owner.close()
      // The second run locks it again, with another session.
      await until(() => bench.router.statistics.sessions < sessions, 'end of the session')
    })

    check('19 Revision tracking', async () => {
      const peer = await bench.join()
      for (const value of [1, 2, 3]) peer.set('/state/revision/test', int(value))
      const revisions = (await peer.settle()).map((message) => message.type === 'ACK' && Number(message.revision))
      assert.equal(Number(revisions[2]) - Number(revisions[0]), 2)
      assert.deepEqual(await get(peer, '/state/revision/test'), int(3))
    })

    for (const [number, name, patterns, addresses, count] of [
      [20, 'Exact address subscription', ['/sub/exact/test'], ['/sub/exact/test'], 1],
      [21, 'Single-level wildcard (*)', ['/sub/single/*/value'], ['/sub/single/a/value', '/sub/single/b/value'], 2],
      [22, 'Multi-level wildcard (**)', ['/sub/multi/**'], ['/sub/multi/1', '/sub/multi/1/2', '/sub/multi/1/2/3'], 3],
      [
        25,
        'Wildcard non-matching',
        ['/sub/nomatch/*/specific'],
        ['/sub/nomatch/a/b/specific', '/sub/nomatch/different', '/other/nomatch/a/specific'],
        0,
      ],
      [26, 'Multiple subscriptions', ['/sub/multi1/**', '/sub/multi2/**'], ['/sub/multi1/a', '/sub/multi2/a'], 2],
    ] as const) {
      check(`${number} ${name}`, async () => {
        const [reader, writer] = [await bench.join('reader'), await bench.join('writer')]
        for (const [id, pattern] of patterns.entries()) reader.subscribe(id + 1, pattern)
        await reader.settle()
        for (const address of addresses) writer.set(address, int(42))
        await writer.settle()
        assert.deepEqual(await heard(reader), count === 0 ? [] : addresses)
      })
    }

    check('23 Unsubscribe', async () => {
      const [reader, writer] = [await bench.join('reader'), await bench.join('writer')]
      reader.subscribe(1, '/sub/unsub/test')
      await reader.settle()
      writer.set('/sub/unsub/test', int(1))
      await writer.settle()
      assert.deepEqual(await heard(reader), ['/sub/unsub/test'])
      reader.send({ type: 'UNSUBSCRIBE', id: 1 })
      await reader.settle()
      writer.set('/sub/unsub/test', int(2))
      await writer.settle()
      assert.deepEqual(await heard(reader), [])
    })

    check('24 Subscription snapshot', async () => {
      const [reader, writer] = [await bench.join('reader'), await bench.join('writer')]
      writer.set('/sub/snapshot/test', int(100))
      await writer.settle()
      reader.subscribe(1, '/sub/snapshot/test')
      assert.deepEqual((await reader.next('SNAPSHOT')).params[0].value, int(100))
    })

    for (const [number, name, token] of [
      [27, 'Connection without token', undefined],
      [28, 'Connection with token', 'test-token-12345'],
      [29, 'Invalid token handling', 'invalid-token-xxx'],
      [32, 'Expired token handling', 'expired-token-2020-01-01'],
    ] as const) {
      check(`${number} ${name}`, async () => {
        const peer = await bench.join('client', token)
        assert.deepEqual(await peer.settle(), [])
      })
    }

    for (const [number, name, address, value] of [
      [30, 'Token scope - read', '/security/scope/read', 42],
      [31, 'Token scope - write', '/security/scope/write', 123],
    ] as const) {
      check(`${number} ${name}`, async () => {
        const peer = await bench.join('client', 'token')
        peer.set(address, int(value))
        assert.deepEqual(await get(peer, address), int(value))
      })
    }
  }

  test('33 HELLO message encoding', () => {
    const message = hello({ name: 'Encoder', features: ['param', 'event'], token: undefined })
    assert.deepEqual(roundTrip(message), message)
  })

  test('34 SET message encoding', () => {
    const message: Message = { type: 'SET', address: '/enc/set', value: float(0.5) }
    assert.deepEqual(roundTrip(message), message)
  })

  test('35 Int value encoding', () => {
    for (const value of [0, 1, -1, 127, -128, 32_767, -32_768, 2_147_483_647, -2_147_483_648]) keepsValue(int(value))
    for (const value of [2n ** 63n - 1n, -(2n ** 63n)]) keepsValue({ type: 'i64', value })
  })

  test('36 Float value encoding', () => {
    for (const value of [0, 1, -1, 1.23456789012345, 2.2250738585072014e-308, Number.MAX_VALUE, -Number.MAX_VALUE]) {
      keepsValue(float(value))
    }
  })

  test('37 String value encoding', () => {
    for (const value of ['', 'ASCII', 'Üñí 日本語 🎛️', 'x'.repeat(1000)]) keepsValue(text(value))
  })

  test('38 Bool value encoding', () => {
    for (const value of [true, false]) keepsValue(bool(value))
  })

  test('39 Bytes value encoding', () => {
    for (const length of [0, 1, 6, 100, 256]) keepsValue(bytes(length))
  })

  test('40 Full roundtrip encoding', () => {
    for (const message of [
      hello({ token: 'token' }),
      { type: 'SET', address: '/enc/full', value: int(7), revision: 5, lock: true } as const,
    ]) {
      const frame = encodeFrame(message)
      assert.deepEqual(encodeFrame(roundTrip(message)), frame)
    }
  })
})

describe('what a router must not break', () => {
  let bench: Bench

  before(async () => {
    bench = await Bench.start()
  })

  after(() => bench.stop())

  test('the next message after a SET of an unsubscribed writer is its ACK, for every kind of value and address', async () => {
    const peer = await bench.join()
    const values: Value[] = [
      int(0),
      float(0),
      bool(false),
      text(''),
      nil,
      bytes(0),
      { type: 'array', value: [] },
      { type: 'map', value: [] },
    ]
    for (const [i, value] of values.entries()) {
      const address = `/unicode_日本語/-_.Aa${i}`
      peer.set(address, value)
      assert.equal((await peer.next('ACK')).address, address)
    }
  })

  test('a value of 50 kB is acknowledged, and one of the largest payload too, and both are delivered whole', async () => {
    const [reader, writer] = [await bench.join('reader'), await bench.join('writer')]
    reader.subscribe(1, '/large')
    for (const length of [0, 1, 100, 1000, 10_000, 16_384, 50_000, 60_000, 65_500]) {
      const value: Value = { type: 'string', value: 'x'.repeat(length) }
      writer.set('/large', value)
      await writer.next('ACK')
      assert.deepEqual((await reader.next('SET')).value, value)
    }
  })

  test('10 000 params fit by default, and a late joiner has them within seconds', async () => {
    const writer = await bench.join('writer')
    for (let i = 0; i < 10_000; i++) writer.set(`/memory/pressure/${i}`, int(i))
    assert.equal((await writer.settle()).filter(({ type }) => type === 'ACK').length, 10_000)
    const late = await bench.connect()
    const startedAt = performance.now()
    late.send(hello())
    const params = (await late.settle()).flatMap((message) => (message.type === 'SNAPSHOT' ? message.params : []))
    assert.ok(performance.now() - startedAt < 5000)
    const found = new Map(params.map(({ address, value }) => [address, value]))
    for (let i = 0; i < 10_000; i++) assert.deepEqual(found.get(`/memory/pressure/${i}`), int(i))
  })

  test('1000 SETs in a burst are all acknowledged and delivered, in order', async () => {
    const [reader, writer] = [await bench.join('reader'), await bench.join('writer')]
    reader.subscribe(1, '/burst')
    for (const peer of [reader, writer]) await peer.settle()
    for (let i = 0; i < 1000; i++) writer.set('/burst', int(i))
    assert.equal((await writer.settle()).length, 1000)
    const values = (await reader.settle()).map((message) => message.type === 'SET' && message.value)
    assert.deepEqual(
      values,
      Array.from({ length: 1000 }, (_, i) => int(i)),
    )
  })

  test('each of 12 subscribers gets every update of every writer in the same order', async () => {
    const writers = await Promise.all(Array.from({ length: 3 }, (_, i) => bench.join(`writer ${i}`)))
    const readers = await Promise.all(Array.from({ length: 12 }, (_, i) => bench.join(`reader ${i}`)))
    for (const reader of readers) {
      reader.subscribe(1, '/fan/**')
      await reader.settle()
    }
    for (let i = 0; i < 200; i++) for (const [w, writer] of writers.entries()) writer.set(`/fan/${i % 7}`, int(w))
    for (const writer of writers) await writer.settle()
    const [first, ...others] = await Promise.all(readers.map((reader) => reader.settle()))
    assert.equal(first.length, 600)
    for (const other of others) assert.deepEqual(other, first)
  })

  test('100 cycles of subscribing and unsubscribing, and 50 of connecting and leaving, leave nothing behind', async () => {
    const peer = await bench.join()
    const before = bench.router.statistics
    for (let i = 0; i < 100; i++) {
      peer.subscribe(i, `/churn/${i}/**`)
      peer.send({ type: 'UNSUBSCRIBE', id: i })
    }
    await peer.settle()
    for (let i = 0; i < 50; i++) {
      const visitor = await bench.join()
      visitor.subscribe(1, '/**')
      visitor.set('/churn', int(i))
      visitor.close()
    }
    await until(() => bench.router.statistics.sessions === before.sessions, 'end of all visits')
    assert.equal(bench.router.statistics.subscriptions, before.subscriptions)
    assert.equal(bench.router.statistics.handshakes, 0)
  })

  test('numbers leave as 64-bit integers and floats, in frames of encoding 1', async () => {
    const [reader, writer] = [await bench.join('reader'), await bench.join('writer')]
    reader.subscribe(1, '/width')
    await reader.settle()
    const raw: Buffer[] = []
    reader.socket.on('data', (chunk) => raw.push(chunk))
    writer.set('/width', { type: 'i8', value: -1 })
    writer.set('/width', { type: 'f32', value: 0.5 })
    await writer.settle()
    await reader.settle()
    const frames = Buffer.concat(raw)
    const value = (at: number) => frames.subarray(at + 4 + 4 + 2 + 2 + 6, at + 4 + 4 + 2 + 2 + 6 + 8).toString('hex')
    const second = 4 + frames.readUInt32BE(0)
    assert.deepEqual([frames[4 + 1] & 7, frames[4 + 5] & 15, value(0)], [1, 5, 'ffffffffffffffff'])
    assert.deepEqual([frames[second + 5] & 7, frames[second + 9] & 15, value(second)], [1, 7, '3fe0000000000000'])
  })

  test('bytes on the wire are those of upstream: empty SNAPSHOT, PONG, ACK', async () => {
    const empty = await Bench.start()
    try {
      const peer = await empty.connect()
      const raw: Buffer[] = []
      peer.socket.on('data', (chunk) => raw.push(chunk))
      peer.send(hello())
      peer.set('/q', int(1))
      await peer.settle()
      const hex = Buffer.concat(raw).toString('hex')
      assert.ok(hex.includes('53010003230000'), 'an empty SNAPSHOT')
      assert.ok(hex.includes('5301000e500300022f710000000000000001'), 'the ACK of /q with revision 1')
      assert.ok(hex.endsWith('5301000142'), 'a PONG')
    } finally {
      await empty.stop()
    }
  })
})
