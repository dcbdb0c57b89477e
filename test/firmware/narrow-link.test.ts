/** How devices with upstream firmware are served: what they get, in which form, and how fast (firmware reference §5). */
import assert from 'node:assert/strict'
import { afterEach, describe, test } from 'node:test'
import fc from 'fast-check'
import { encodeFrame } from '../../firmware-protocol/wire/frame.ts'
import type { Message } from '../../firmware-protocol/wire/message.ts'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import type { NarrowAcceptorOptions } from '../../runtime/firmware/narrow-acceptor.ts'
import type { LinkLimits } from '../../runtime/router/link.ts'
import type { RouterOptions } from '../../runtime/router/options.ts'
import { bool, bytes, float, int, nil, text } from '../router/fixture.ts'
import { unhex } from '../transports/fixture.ts'
import { Desk } from './carrier.ts'

const HELLO_A = unhex('53 41 000C 01 01 E0 0005 4553503332 0000')
const HELLO_E = unhex('53 01 000C 01 01 F8 0005 4553503332 0000')
const PING = { type: 'PING' } as const

const set = (address: string, value: Value): Message => ({ type: 'SET', address, value })
const subscribe = (pattern: string, id = 0): Message => ({ type: 'SUBSCRIBE', id, pattern, types: [] })
const event = (address: string, value?: Value): Message => ({ type: 'PUBLISH', address, signal: 'event', value })
const stream = (address: string, value: Value): Message => ({ type: 'PUBLISH', address, signal: 'stream', value })
const typesOf = (messages: Message[]) => messages.map(({ type }) => type)

describe('a device with upstream firmware', () => {
  let desk: Desk

  afterEach(async () => {
    await desk.stop()
  })

  /** A device that has said HELLO, with WELCOME and the empty SNAPSHOT out of the way. */
  async function start(
    hello: Uint8Array,
    {
      transport = 'serial',
      narrow,
      router,
      limits,
    }: {
      transport?: string
      narrow?: Partial<NarrowAcceptorOptions>
      router?: Partial<RouterOptions>
      limits?: Partial<LinkLimits>
    } = {},
  ): Promise<void> {
    desk = new Desk(transport, narrow, router, limits)
    await desk.send(hello)
    assert.deepEqual(typesOf(desk.take()), ['WELCOME', 'SNAPSHOT'])
  }

  describe('before HELLO', () => {
    test('is not closed for frames that mean nothing, nor for messages out of turn', async () => {
      desk = new Desk()
      await desk.send(unhex('53 01 00 02 21 07'), unhex('53 01 00 01 99'), PING, set('/a', int(1)))
      assert.equal(desk.carrier.closed, undefined)
      assert.equal(desk.link.counters.ignored, 4)
      await desk.send(HELLO_E)
      assert.deepEqual(typesOf(desk.take()), ['WELCOME', 'SNAPSHOT'])
    })

    test('gets a session by its first message when the port is set to that', async () => {
      desk = new Desk('serial', { implicitName: 'greenhouse' })
      await desk.send(unhex('53 01 00 01 99'))
      assert.deepEqual(desk.take(), [])
      await desk.send(set('/temp', float(20)), subscribe('/led'))
      assert.deepEqual(typesOf(desk.take()), ['WELCOME', 'SNAPSHOT'])
      assert.ok(desk.router.sessionStatistics().some(({ name }) => name === 'greenhouse'))
      await desk.tell(set('/led', int(1)))
      assert.deepEqual(desk.takeSets(), [['/led', 1]])
      // It was switched on meanwhile.
      await desk.send(HELLO_E)
      assert.deepEqual(
        desk.router.sessionStatistics().map(({ name }) => name),
        ['other', 'ESP32'],
      )
    })
  })

  describe('after HELLO', () => {
    test('gets a small WELCOME and one empty SNAPSHOT, whatever the router holds', async () => {
      desk = new Desk('serial', {}, { name: 'é'.repeat(200) })
      for (let i = 0; i < 2000; i++) desk.other.send(set(`/p/${i}`, int(i)))
      await desk.turn()
      await desk.send(HELLO_A)
      await desk.advance(1000)
      const [frame] = desk.carrier.frames
      assert.ok(frame.length <= 252)
      const [welcome, snapshot, ...rest] = desk.take()
      assert.equal(welcome.type === 'WELCOME' && welcome.name, 'é'.repeat(32))
      assert.deepEqual(snapshot, { type: 'SNAPSHOT', params: [] })
      assert.deepEqual(rest, [])
    })

    test('starts over with a new HELLO: nothing that waits, nothing that was subscribed', async () => {
      await start(HELLO_E)
      for (let i = 0; i < 100; i++) desk.other.send(set(`/p/${i}`, int(i)))
      await desk.turn()
      await desk.send(subscribe('/p/*'))
      assert.equal(desk.takeSets().length, 20)
      await desk.send(HELLO_E)
      await desk.advance(1000)
      await desk.tell(set('/p/1', int(7)))
      assert.deepEqual(typesOf(desk.take()), ['WELCOME', 'SNAPSHOT'])
    })

    test('may turn out to be of another class', async () => {
      await start(HELLO_E)
      assert.equal(desk.link.profile, 'embedded')
      const { link } = desk
      await desk.send(HELLO_A)
      assert.equal(desk.link.profile, 'arduino')
      await desk.send({ type: 'HELLO', version: 1, features: [], name: 'console' })
      assert.equal(desk.link.profile, 'full')
      assert.equal(desk.link, link, 'on the same link')
      assert.equal(desk.router.statistics.sessions, 2)
    })
  })

  describe('subscribing', () => {
    test('gets the stored values as single SETs, at most 20 in 100 ms', async () => {
      await start(HELLO_E)
      for (let i = 0; i < 50; i++) desk.other.send(set(`/p/${i}`, int(i)))
      await desk.turn()
      await desk.send(subscribe('/p/*'))
      const seen = [desk.takeSets()]
      for (let i = 0; i < 3; i++) {
        await desk.advance(99)
        assert.deepEqual(desk.take(), [])
        await desk.advance(1)
        seen.push(desk.takeSets())
      }
      assert.deepEqual(
        seen.map(({ length }) => length),
        [20, 20, 10, 0],
      )
      assert.equal(new Set(seen.flat().map(([address]) => address)).size, 50)
    })

    test('gets only what it subscribed to, even while the router still tells its whole state', async () => {
      desk = new Desk()
      for (let i = 0; i < 30_000; i++) desk.other.send(set(`/p/${i}`, int(i)))
      await desk.turn()
      await desk.send(HELLO_E, subscribe('/p/777'), subscribe('/p/888', 5))
      await desk.turn()
      assert.deepEqual(
        desk.takeSets().sort(([a], [b]) => a.localeCompare(b)),
        [
          ['/p/777', 777],
          ['/p/888', 888],
        ],
      )
      await desk.advance(20)
      await desk.send({ type: 'UNSUBSCRIBE', id: 0 })
      await desk.tell(set('/p/777', int(1)), set('/p/888', int(2)))
      assert.deepEqual(desk.takeSets(), [['/p/888', 2]])
    })

    test('again, gets the stored values again', async () => {
      await start(HELLO_E)
      await desk.tell(set('/led', int(1)))
      await desk.send(subscribe('/led'))
      assert.deepEqual(desk.takeSets(), [['/led', 1]])
      await desk.advance(1000)
      await desk.send(subscribe('/led'))
      assert.deepEqual(desk.takeSets(), [['/led', 1]])
    })

    test('gets an update at once, before the stored values that still wait, and not the old value after it', async () => {
      await start(HELLO_E)
      for (let i = 0; i < 50; i++) desk.other.send(set(`/p/${i}`, int(i)))
      await desk.turn()
      await desk.send(subscribe('/p/*'))
      const first = new Set(desk.takeSets().map(([address]) => address))
      const waiting = Array.from({ length: 50 }, (_, i) => `/p/${i}`).filter((address) => !first.has(address))
      await desk.tell(set(waiting[0], int(99)))
      assert.deepEqual(desk.takeSets(), [[waiting[0], 99]])
      await desk.advance(1000)
      assert.deepEqual(
        desk.takeSets().map(([address]) => address),
        waiting.slice(1).sort((a, b) => Number(b.slice(3)) - Number(a.slice(3))),
      )
    })

    test('is not sent stored values while the line is busy', async () => {
      await start(HELLO_E)
      for (let i = 0; i < 50; i++) desk.other.send(set(`/p/${i}`, int(i)))
      await desk.turn()
      desk.carrier.isBlocked = true
      await desk.send(subscribe('/p/*'))
      await desk.advance(1000)
      const begun = desk.takeSets().length
      assert.ok(begun < 20, `${begun} frames`)
      desk.carrier.unblock()
      await desk.advance(1000)
      assert.equal(desk.takeSets().length, 50 - begun)
    })

    test('answers to GET come as SETs too', async () => {
      await start(HELLO_E)
      await desk.tell(set('/led', float(0.5)))
      await desk.send({ type: 'GET', address: '/led' })
      assert.deepEqual(desk.takeSets(), [['/led', 0.5]])
    })
  })

  describe('of class E', () => {
    test('gets null, bool, i64 and f64, and nothing else', async () => {
      await start(HELLO_E)
      await desk.send(subscribe('/**'))
      desk.take()
      await desk.tell(
        set('/null', nil),
        set('/bool', bool(true)),
        set('/int', { type: 'i8', value: -1 }),
        set('/wide', { type: 'i64', value: 2n ** 60n }),
        set('/float', { type: 'f32', value: 0.5 }),
        set('/text', text('on')),
        set('/bytes', bytes(3)),
        set('/list', { type: 'array', value: [int(1)] }),
        set('/map', { type: 'map', value: [['a', int(1)]] }),
      )
      const values = desk.take().map((message) => (message.type === 'SET' ? message.value : message))
      assert.deepEqual(values, [nil, bool(true), int(-1), { type: 'i64', value: 2n ** 60n }, float(0.5)])
      assert.equal(desk.link.counters.unreadable, 4)
    })

    test('gets SETs with no revision, lock or TTL behind the value', async () => {
      await start(HELLO_E)
      await desk.send(subscribe('/x'))
      await desk.tell({
        type: 'SET',
        address: '/x',
        value: int(1),
        lock: true,
        ttl: { mode: 'sliding', seconds: 9 },
      })
      assert.equal(Buffer.from(desk.carrier.frames[0]).toString('hex'), '5301000e210500022f780000000000000001')
    })

    test('hears of events by their address, or as SETs when that is chosen', async () => {
      await start(HELLO_E)
      await desk.send(subscribe('/**'))
      await desk.tell(event('/e', float(1)), event('/plain'), stream('/s', int(2)))
      assert.deepEqual(
        desk.take().map((message) => message.type === 'PUBLISH' && [message.address, message.signal, message.value]),
        [
          ['/e', 'event', undefined],
          ['/plain', 'event', undefined],
          ['/s', 'stream', undefined],
        ],
      )
      await desk.stop()
      await start(HELLO_E, { narrow: { eventsAsSet: true } })
      await desk.send(subscribe('/**'))
      await desk.tell(event('/e', float(1)), event('/plain'), stream('/s', int(2)), event('/text', text('x')))
      assert.deepEqual(desk.takeSets(), [
        ['/e', 1],
        ['/plain', null],
        ['/s', 2],
      ])
    })

    test('gets lists element by element, and words as values, when that is chosen', async () => {
      await start(HELLO_E, { narrow: { listsAsItems: true, textAsValue: true } })
      await desk.send(subscribe('/**'))
      desk.take()
      await desk.tell(
        set('/rgb', { type: 'array', value: [int(1), float(0.5), text('off')] }),
        set('/xy', {
          type: 'map',
          value: [
            ['x', int(3)],
            ['y', { type: 'array', value: [int(4)] }],
          ],
        }),
        set('/a', text('ON')),
        set('/b', text(' -1.5e3 ')),
        set('/c', text('hello')),
        set('/d', text('')),
        set('/e', { type: 'array', value: Array.from({ length: 65 }, () => nil) }),
      )
      assert.deepEqual(desk.takeSets().slice(0, 7), [
        ['/rgb/0', 1],
        ['/rgb/1', 0.5],
        ['/rgb/2', false],
        ['/xy/x', 3],
        ['/xy/y/0', 4],
        ['/a', true],
        ['/b', -1500],
      ])
      assert.equal(desk.link.counters.unreadable, 3, 'two texts and the 65th element')
    })

    test('never gets an address that is longer than 64 bytes or not ASCII, which is logged once', async () => {
      await start(HELLO_E)
      await desk.send(subscribe('/**'))
      desk.take()
      const longest = `/${'x'.repeat(63)}`
      await desk.tell(
        set(`${longest}x`, int(1)),
        set(longest, int(2)),
        set('/grün', int(3)),
        event(`${longest}/y`),
        set(`${longest}x`, int(4)),
      )
      assert.deepEqual(desk.takeSets(), [[longest, 2]])
      assert.equal(desk.link.counters.badAddresses, 4)
      assert.deepEqual(
        desk.warnings.filter((line) => line.includes('64 ASCII')),
        [`a device cannot be sent an address: it takes 64 ASCII characters ${longest}x`],
      )
    })

    test('is sent what it subscribed to even beyond its 32 entries, with one warning', async () => {
      await start(HELLO_E)
      await desk.send(subscribe('/p/*'))
      for (let i = 0; i < 40; i++) desk.other.send(set(`/p/${i}`, int(i)))
      await desk.turn()
      assert.equal(desk.takeSets().length, 40)
      assert.equal(desk.warnings.filter((line) => line.includes('subscribe to fewer')).length, 1)
    })
  })

  describe('of class A', () => {
    test('gets 32-bit numbers, text and bytes that fit 252 bytes, and no lists', async () => {
      await start(HELLO_A)
      await desk.send(subscribe('/**', 1))
      desk.take()
      await desk.tell(
        set('/float', float(0.1)),
        set('/int', int(-5)),
        set('/wide', int(2 ** 40)),
        set('/min', int(-(2 ** 31))),
        set('/text', text('x'.repeat(237))),
        set('/more', text('x'.repeat(238))),
        set('/list', { type: 'array', value: [] }),
        event('/e', { type: 'map', value: [] }),
        stream('/s', float(2.5)),
      )
      const messages = desk.take()
      const values = messages.flatMap((message) =>
        'value' in message && message.value !== undefined ? [message.value] : [],
      )
      assert.deepEqual(values, [
        { type: 'f32', value: Math.fround(0.1) },
        { type: 'i32', value: -5 },
        { type: 'f32', value: 2 ** 40 },
        { type: 'i32', value: -(2 ** 31) },
        text('x'.repeat(237)),
        { type: 'f32', value: 2.5 },
      ])
      assert.equal(desk.link.counters.tooLarge, 1)
      assert.equal(desk.link.counters.unreadable, 2)
    })

    test('gets the number of elements of a list when that is chosen', async () => {
      await start(HELLO_A, { narrow: { listsAsCount: true } })
      await desk.send(subscribe('/list', 1))
      await desk.tell(set('/list', { type: 'array', value: [int(1), text('x')] }))
      assert.deepEqual(desk.takeSets(), [['/list', 2]])
    })

    test('gets gestures without their id, and no move after the end', async () => {
      await start(HELLO_A, { router: { gestures: { coalesce: false, intervalMs: 0, timeoutSeconds: 300 } } })
      await desk.send(subscribe('/g', 1))
      const gesture = (phase: 'start' | 'move' | 'end', value: number): Message => ({
        type: 'PUBLISH',
        address: '/g',
        signal: 'gesture',
        phase,
        id: 4,
        value: float(value),
      })
      await desk.tell(gesture('start', 0), gesture('move', 1))
      await desk.tell(gesture('move', 2))
      await desk.tell(gesture('move', 3), gesture('end', 4))
      await desk.advance(1000)
      assert.deepEqual(
        desk.take().map((message) => message.type === 'PUBLISH' && [message.phase, message.value, message.id]),
        [
          ['start', { type: 'f32', value: 0 }, undefined],
          ['move', { type: 'f32', value: 1 }, undefined],
          ['move', { type: 'f32', value: 3 }, undefined],
          ['end', { type: 'f32', value: 4 }, undefined],
        ],
      )
    })
  })

  describe('on a slow line', () => {
    test('gets at most 50 values of an address in a second, and the newest in the end', async () => {
      await start(HELLO_E)
      await desk.send(subscribe('/level'))
      const seen: unknown[] = []
      for (let i = 1; i <= 200; i++) {
        await desk.tell(set('/level', int(i)))
        await desk.advance(5)
        seen.push(...desk.takeSets().map(([, value]) => value))
      }
      assert.ok(seen.length <= 51, `${seen.length} values in a second`)
      assert.ok(seen.length >= 48, `${seen.length} values in a second`)
      await desk.advance(20)
      seen.push(...desk.takeSets().map(([, value]) => value))
      assert.equal(seen.at(-1), 200)
      assert.equal(desk.link.counters.coalesced + seen.length, 200)
    })

    test('gets every value of every other address at once', async () => {
      await start(HELLO_E)
      await desk.send(subscribe('/**'))
      desk.take()
      await desk.tell(set('/a', int(1)), set('/a', int(2)), set('/b', int(1)), event('/c'), event('/c'))
      assert.deepEqual(typesOf(desk.take()), ['SET', 'SET', 'PUBLISH', 'PUBLISH'])
      await desk.advance(20)
      assert.deepEqual(desk.takeSets(), [])
    })

    test('is not sent more than its line takes: params keep their newest value, events all come', async () => {
      await start(HELLO_E)
      await desk.send(subscribe('/**'))
      desk.take()
      desk.carrier.isBlocked = true
      await desk.tell(set('/first', int(0)))
      assert.deepEqual(desk.takeSets(), [['/first', 0]])
      for (let i = 0; i < 100; i++) await desk.tell(set('/level', int(i)), event('/e'))
      await desk.advance(1000)
      assert.deepEqual(desk.take(), [])
      desk.carrier.unblock()
      const messages = desk.take()
      assert.equal(messages.filter(({ type }) => type === 'PUBLISH').length, 100)
      assert.deepEqual(
        messages.filter(({ type }) => type === 'SET').map((message) => message.type === 'SET' && message.value),
        [int(99)],
      )
    })

    test('gets no ACK and no echo of what it set itself', async () => {
      await start(HELLO_E)
      await desk.send(subscribe('/led/*'))
      await desk.send(set('/led/1', float(0.5)), set('/led/1', float(0.6)), set('/led/2', int(3)))
      assert.deepEqual(desk.take(), [])
      assert.deepEqual([desk.link.counters.acks, desk.link.counters.echoes], [3, 3])
      await desk.tell(set('/led/1', float(0.5)))
      assert.deepEqual(desk.takeSets(), [['/led/1', 0.5]], 'the same value from somebody else is news')
    })

    test('gets the stored value when that is not what it set', async () => {
      await start(HELLO_E, { router: { policies: [{ pattern: '/max', conflict: 'max' }] } })
      await desk.send(subscribe('/max'))
      await desk.tell(set('/max', int(10)))
      assert.deepEqual(desk.takeSets(), [['/max', 10]])
      await desk.advance(2000)
      await desk.send(set('/max', int(12)))
      assert.deepEqual(desk.takeSets(), [])
      await desk.send(set('/locked', int(1)), { type: 'GET', address: '/max' })
      assert.deepEqual(desk.takeSets(), [['/max', 12]])
    })

    test('gets its echo while another value of that address may still be on its way to it', async () => {
      await start(HELLO_E)
      await desk.send(subscribe('/led'))
      await desk.tell(set('/led', int(6)))
      await desk.send(set('/led', int(5)))
      await desk.advance(20)
      assert.deepEqual(desk.takeSets(), [
        ['/led', 6],
        ['/led', 5],
      ])
      await desk.advance(1000)
      await desk.send(set('/led', int(4)))
      assert.deepEqual(desk.take(), [])
    })

    test('gets ACK and echo where they are chosen, and over TCP by itself', async () => {
      await start(HELLO_E, { narrow: { suppressAck: false, suppressEcho: false } })
      await desk.send(subscribe('/led'), set('/led', int(1)))
      assert.deepEqual(typesOf(desk.take()).sort(), ['ACK', 'SET'])
      await desk.stop()
      await start(HELLO_E, { transport: 'tcp' })
      await desk.send(subscribe('/led'), set('/led', int(1)))
      assert.deepEqual(typesOf(desk.take()).sort(), ['ACK', 'SET'])
    })
  })

  test('gets every single value over a fast carrier, as long as that takes them', async () => {
    await start(HELLO_A, { transport: 'tcp' })
    await desk.send(subscribe('/level', 1), subscribe('/meter', 2))
    const values = Array.from({ length: 5000 }, (_, i) => i)
    await desk.tell(...values.flatMap((i) => [set('/level', int(i)), stream('/meter', int(i))]))
    const messages = desk.take()
    for (const type of ['SET', 'PUBLISH']) {
      const numbers = messages.flatMap((message) =>
        (message.type === 'SET' || message.type === 'PUBLISH') && message.type === type && message.value?.type === 'i32'
          ? [message.value.value]
          : [],
      )
      assert.deepEqual(numbers, values, type)
    }
    assert.equal(desk.link.counters.coalesced, 0)
  })

  test('gets the newest value only of what came while a fast carrier was full', async () => {
    await start(HELLO_A, { transport: 'tcp' })
    await desk.send(subscribe('/level', 1))
    desk.carrier.isBlocked = true
    await desk.tell(set('/level', int(0)))
    assert.deepEqual(desk.takeSets(), [['/level', 0]])
    await desk.tell(...Array.from({ length: 100 }, (_, i) => set('/level', int(i))))
    assert.equal(desk.carrier.output.length, 0)
    desk.carrier.unblock()
    assert.deepEqual(desk.takeSets(), [['/level', 99]])
  })

  test('gets the answers that wait before its session is closed', async () => {
    await start(HELLO_E)
    desk.carrier.isBlocked = true
    await desk.send(PING, PING, subscribe('/**'))
    await desk.tell(set('/a', int(1)))
    desk.take()
    await desk.send(PING)
    await desk.stop()
    assert.deepEqual(desk.take(), [{ type: 'PONG' }])
    assert.match(desk.carrier.closed ?? '', /stopping/)
  })

  test('gets errors in at most 64 bytes of text', async () => {
    await start(HELLO_E)
    await desk.send(set(`/${'nowhere/'.repeat(20)}*`, int(1)))
    const [error] = desk.take()
    assert.ok(error.type === 'ERROR', error.type)
    assert.ok(error.message.length > 0 && error.message.length <= 64)
    assert.equal(error.address, undefined)
  })

  test('gets a bundle as single messages, in order', async () => {
    await start(HELLO_A)
    await desk.send(subscribe('/**', 1))
    desk.take()
    await desk.tell({ type: 'BUNDLE', messages: [set('/a', int(1)), event('/b'), set('/c', int(2)), event('/d')] })
    const addresses = desk.take().map((message) => 'address' in message && message.address)
    assert.deepEqual(addresses, ['/a', '/b', '/c', '/d'])
  })

  test('is pinged after 20 s of silence, need not answer, and is not pinged while it speaks', async () => {
    await start(HELLO_E)
    await desk.advance(19_999)
    assert.deepEqual(desk.take(), [])
    await desk.advance(1)
    assert.deepEqual(desk.take(), [PING])
    await desk.advance(10_000)
    await desk.send({ type: 'PONG' })
    await desk.advance(19_999)
    assert.deepEqual(desk.take(), [])
    await desk.advance(3_600_000)
    assert.equal(desk.take().length, 180)
    assert.equal(desk.carrier.closed, undefined)
  })

  test('leaves no timer behind', async () => {
    await start(HELLO_E)
    const before = desk.clock.pendingTimers
    for (let i = 0; i < 50; i++) desk.other.send(set(`/p/${i}`, int(i)))
    await desk.turn()
    await desk.send(subscribe('/p/*'))
    assert.equal(desk.clock.pendingTimers, before + 1, 'the next stored values')
    desk.carrier.handler?.onClose('unplugged')
    assert.equal(desk.clock.pendingTimers, before - 1, 'neither that nor the PING')
    assert.equal(desk.acceptor.links.size, 0)
    assert.equal(desk.acceptor.counters.sent, 22, 'what it got stays counted')
  })

  test('is told what was wrong before its session is closed', async () => {
    desk = new Desk('serial', {}, { maxSessions: 1 })
    assert.match(desk.carrier.closed ?? '', /too many sessions/)
    await desk.turn()
    assert.deepEqual(typesOf(desk.take()), ['ERROR'])
    assert.equal(desk.clock.pendingTimers, 1, 'the router has one of its own')
  })

  test('costs two megabytes at most, however much it subscribes to and however little it takes', async () => {
    await start(HELLO_A)
    const params = 30_000
    for (let i = 0; i < params; i++) desk.other.send(set(`/a/param/with/quite/a/long/name/${i}`, int(i)))
    await desk.turn()
    await desk.send(subscribe('/**', 1))
    for (let i = 0; i < 20; i++) await desk.turn()
    const { waiting, counters } = desk.link
    assert.ok(waiting > 10_000 && waiting < 20_000, `${waiting} frames`)
    assert.ok(counters.dropped >= params - waiting - 20, `${counters.dropped} dropped`)
    // News has room all the same.
    await desk.tell(event('/e'))
    assert.ok(typesOf(desk.take()).includes('PUBLISH'))
  })

  describe('that nothing tells from a full client', () => {
    const hello = encodeFrame({ type: 'HELLO', version: 1, features: ['param', 'event'], name: 'home-made' })

    test('gets everything as it is, within what its carrier takes', async () => {
      desk = new Desk()
      for (let i = 0; i < 200; i++) desk.other.send(set(`/p/${i}`, int(i)))
      await desk.turn()
      await desk.send(hello)
      const [welcome, ...snapshots] = desk.take()
      assert.equal(welcome.type, 'WELCOME')
      assert.equal(snapshots.flatMap((message) => (message.type === 'SNAPSHOT' ? message.params : [])).length, 200)
      await desk.send(subscribe('/x', 1))
      await desk.tell(set('/x', text('words')), set('/x', bytes(5000)))
      assert.deepEqual(desk.takeSets(), [['/x', 'words']])
    })

    test('is taken for class E when it subscribes with id 0, and for class A when it sends 32-bit numbers', async () => {
      desk = new Desk()
      await desk.send(hello)
      await desk.send(subscribe('/x'))
      assert.equal(desk.link.profile, 'embedded')
      desk.take()
      await desk.send(set('/y', { type: 'f32', value: 1 }))
      assert.equal(desk.link.profile, 'arduino')
      await desk.tell(set('/x', float(1)))
      assert.deepEqual(
        desk.take().map((message) => message.type === 'SET' && message.value.type),
        ['f32'],
      )
    })

    test('stays what the port says it is', async () => {
      desk = new Desk('tcp', { profile: 'arduino' })
      await desk.send(HELLO_E, subscribe('/x'))
      assert.equal(desk.link.profile, 'arduino')
      await desk.stop()
      desk = new Desk('serial', { profile: 'full' })
      await desk.send(HELLO_A, subscribe('/x'))
      assert.equal(desk.acceptor.links.size, 0)
    })
  })

  test('never gets a frame that its class cannot read, whatever the others send', async () => {
    const address = fc.oneof(
      fc.stringMatching(/^\/[a-z]{1,3}(\/[a-z]{1,3})?$/),
      fc.nat(300).map((length) => `/${'x'.repeat(length + 1)}`),
      fc.constant('/größe'),
    )
    const { value } = fc.letrec<{ value: Value }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 3 },
        fc.constant(nil),
        fc.boolean().map(bool),
        fc.integer().map((n) => int(n)),
        fc
          .bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
          .map((n): Value => ({ type: 'i64', value: Number.isSafeInteger(Number(n)) ? Number(n) : n })),
        fc.double().map(float),
        fc.float().map((n): Value => ({ type: 'f32', value: n })),
        fc.string({ maxLength: 600, unit: 'grapheme' }).map(text),
        fc.nat(600).map(bytes),
        fc.array(tie('value'), { maxLength: 4 }).map((items): Value => ({ type: 'array', value: items })),
        fc
          .dictionary(fc.string({ maxLength: 5 }), tie('value'), { maxKeys: 4 })
          .map((map): Value => ({ type: 'map', value: Object.entries(map) })),
      ),
    }))
    const single: fc.Arbitrary<Message> = fc.oneof(
      fc.tuple(address, value).map(([a, v]) => set(a, v)),
      fc.tuple(address, fc.option(value, { nil: undefined })).map(([a, v]) => event(a, v)),
      fc.tuple(address, value).map(([a, v]) => stream(a, v)),
      fc
        .tuple(address, fc.array(fc.double(), { maxLength: 100 }))
        .map(([a, samples]): Message => ({ type: 'PUBLISH', address: a, signal: 'stream', samples })),
    )
    const message = fc.oneof(
      single,
      fc.array(single, { maxLength: 5 }).map((messages): Message => ({ type: 'BUNDLE', messages })),
    )
    const readable = {
      arduino: ['null', 'bool', 'i32', 'f32', 'string', 'bytes'],
      embedded: ['null', 'bool', 'i64', 'f64'],
    }
    for (const options of [{}, { listsAsItems: true, listsAsCount: true, textAsValue: true, eventsAsSet: true }]) {
      for (const profile of ['arduino', 'embedded'] as const) {
        desk = new Desk('tcp', { profile, ...options })
        await desk.send(HELLO_E, subscribe('/**'))
        await fc.assert(
          fc.asyncProperty(fc.array(message, { maxLength: 10 }), async (messages) => {
            await desk.tell(...messages)
            const limit = profile === 'arduino' ? 252 : 512
            for (const frame of desk.carrier.frames) {
              assert.ok(frame.length <= limit)
              assert.equal(frame[1] & 0x3f, 1)
              assert.equal(4 + frame[2] * 256 + frame[3], frame.length)
            }
            for (const received of desk.take()) {
              assert.ok(['WELCOME', 'SNAPSHOT', 'SET', 'PUBLISH'].includes(received.type))
              if (received.type === 'SNAPSHOT') assert.deepEqual(received.params, [])
              if (received.type !== 'SET' && received.type !== 'PUBLISH') continue
              if (profile === 'embedded') assert.match(received.address, /^[ -~]{1,64}$/)
              assert.equal(
                received.type === 'PUBLISH' && received.samples,
                received.type === 'PUBLISH' ? undefined : false,
              )
              if (received.value !== undefined) assert.ok(readable[profile].includes(received.value.type))
            }
          }),
          { numRuns: 60 },
        )
        await desk.stop()
      }
    }
  })
})
