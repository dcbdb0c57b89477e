/** Bundles beyond the ordinary case; router reference §4.6, D-10, §23.5. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import fc from 'fast-check'
import { encodeFrame } from '../../firmware-protocol/wire/frame.ts'
import type { Message, SnapshotParam } from '../../firmware-protocol/wire/message.ts'
import { defaultRouterOptions } from '../../runtime/router/options.ts'
import { until } from '../until.ts'
import { Bench, bool, bytes, int, nil, type Peer, text } from './fixture.ts'
import { SteppedClock } from './stepped-clock.ts'

const set = (address: string, value: number, fields: object = {}): Message => ({
  type: 'SET',
  address,
  value: int(value),
  ...fields,
})
const event = (address: string): Message => ({ type: 'PUBLISH', address, signal: 'event' })
const bundle = (messages: Message[], timestamp?: number): Message => ({ type: 'BUNDLE', messages, timestamp })
const nameOf = (message: Message): string =>
  message.type === 'SET' && 'value' in message.value
    ? `${message.address}=${message.value.value}`
    : 'address' in message
      ? `${message.type} ${message.address}`
      : message.type

async function state(peer: Peer): Promise<SnapshotParam[]> {
  peer.subscribe(99, '/**')
  const params = (await peer.settle()).flatMap((message) => (message.type === 'SNAPSHOT' ? message.params : []))
  peer.send({ type: 'UNSUBSCRIBE', id: 99 })
  return params.sort((a, b) => (a.address < b.address ? -1 : 1))
}

describe('a bundle', () => {
  let clock: SteppedClock
  let bench: Bench
  let sender: Peer
  let watcher: Peer

  beforeEach(async () => {
    clock = new SteppedClock()
    bench = await Bench.start({
      clock,
      options: { bundles: { maxMessages: 1000, maxScheduled: 3, horizonSeconds: 3600 } },
    })
    sender = await bench.join('sender')
    watcher = await bench.join('watcher')
    watcher.subscribe(1, '/**')
    await watcher.settle()
  })

  afterEach(() => bench.stop())

  const seen = async () => (await watcher.settle()).map(nameOf)
  const inMs = (ms: number) => clock.wallUs() + ms * 1000

  /** Lets time pass, and the event loop turn until the router has done what was due. */
  async function elapse(ms: number): Promise<string[]> {
    clock.advance(ms)
    await new Promise((resolve) => setImmediate(resolve))
    return seen()
  }

  async function refused(message: Message): Promise<[number, string, string | undefined]> {
    sender.send(message)
    const error = await sender.next('ERROR')
    return [error.code, error.message, error.address]
  }

  test('reaches its sender as echoes of the SETs, without the events, and before the ACK', async () => {
    sender.subscribe(1, '/**')
    sender.send(bundle([set('/a', 1), event('/e'), set('/b', 2)]))
    assert.deepEqual((await sender.settle()).map(nameOf), ['/a=1', '/b=2', 'ACK'])
    assert.deepEqual(await seen(), ['/a=1', 'PUBLISH /e', '/b=2'])
  })

  test('inside a bundle takes part in its order, whatever time it carries itself', async () => {
    sender.send(bundle([set('/a', 1), bundle([set('/b', 1), bundle([event('/e')])], inMs(60_000)), set('/c', 1)]))
    assert.equal((await sender.next('ACK')).revision, 1)
    assert.deepEqual(await seen(), ['/a=1', '/b=1', 'PUBLISH /e', '/c=1'])
  })

  test('with a broken message in it is ignored as a whole, and counted', async () => {
    const frame = encodeFrame(bundle([set('/a', 1), set('/b', 2)]))
    // The last inner message loses its last byte: its length and that of the frame no longer agree.
    frame[3]--
    sender.sendFrame(frame.subarray(0, frame.length - 1))
    let nested: Message = set('/deep', 1)
    for (let i = 0; i < 9; i++) nested = bundle([nested])
    let frameOfTooDeep: Uint8Array | undefined
    try {
      frameOfTooDeep = encodeFrame(nested)
    } catch {
      // The encoder may refuse what the router must refuse.
    }
    if (frameOfTooDeep !== undefined) sender.sendFrame(frameOfTooDeep)
    assert.deepEqual(await sender.settle(), [])
    assert.deepEqual(await seen(), [])
    assert.equal(bench.router.statistics.undecodable, frameOfTooDeep === undefined ? 1 : 2)
    assert.equal(bench.router.statistics.params, 0)
  })

  test('with an address that nothing can be sent to is refused as a whole', async () => {
    const [code, message] = await refused(bundle([set('/a', 1), set('/b/*', 2)]))
    assert.equal(code, 400)
    assert.match(message, /^Bundle rejected: .*address/)
    assert.deepEqual(await seen(), [])
    assert.deepEqual(await state(watcher), [])
  })

  test('ignores inner messages that are neither SET nor PUBLISH', async () => {
    const others: Message[] = [
      { type: 'PING' },
      { type: 'GET', address: '/a' },
      { type: 'SUBSCRIBE', id: 5, pattern: '/**', types: [] },
      { type: 'HELLO', version: 1, features: [], name: 'x' },
    ]
    sender.send(bundle([...others, set('/a', 1)]))
    assert.deepEqual((await sender.settle()).map(nameOf), ['ACK'])
    assert.equal(bench.router.statistics.subscriptions, 1)
  })

  test('carries gestures and peer signals like single messages', async () => {
    const gesture = (phase: 'start' | 'move' | 'end', value: number): Message => ({
      type: 'PUBLISH',
      address: '/pad',
      signal: 'gesture',
      phase,
      id: 1,
      value: int(value),
    })
    sender.send(bundle([gesture('start', 0), gesture('move', 1), gesture('move', 2), gesture('move', 3)]))
    sender.send(bundle([gesture('end', 4), event(`/clasp/p2p/signal/${sender.session}`)]))
    const own = await sender.settle()
    assert.deepEqual(own.map(nameOf), ['ACK', `PUBLISH /clasp/p2p/signal/${sender.session}`, 'ACK'])
    const phases = (await watcher.settle()).map((m) => m.type === 'PUBLISH' && `${m.phase} ${JSON.stringify(m.value)}`)
    assert.equal(phases.length, 4)
    assert.deepEqual(phases[2], `move ${JSON.stringify(int(3))}`)
  })

  test('of more messages than allowed is refused', async () => {
    const [code, message] = await refused(bundle(Array.from({ length: 1001 }, (_, i) => set(`/${i}`, i))))
    assert.equal(code, 400)
    assert.match(message, /1001 messages, at most 1000/)
    sender.send(bundle(Array.from({ length: 1000 }, (_, i) => set(`/${i}`, i))))
    await sender.next('ACK')
    assert.equal((await seen()).length, 1000)
  })

  test('that cannot be applied leaves every param exactly as it was', async () => {
    const address = fc.constantFrom('/a', '/b', '/c', '/locked', '/new')
    const value = fc.oneof(
      fc.integer().map(int),
      fc.string({ maxLength: 300 }).map(text),
      fc.boolean().map(bool),
      fc.constant(nil),
      fc.integer({ min: 0, max: 2000 }).map(bytes),
    )
    const fields = fc.record({
      lock: fc.boolean(),
      unlock: fc.boolean(),
      revision: fc.option(fc.integer({ min: 0, max: 3 }), { nil: undefined, freq: 5 }),
      ttl: fc.constantFrom(undefined, { mode: 'never' as const }, { mode: 'sliding' as const, seconds: 1000 }),
    })
    watcher.set('/locked', int(1), { lock: true })
    sender.set('/a', text('a value'), { ttl: { mode: 'sliding', seconds: 1000 } })
    sender.set('/b', bytes(500), { lock: true })
    await sender.settle()
    await watcher.settle()
    let refusals = 0
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(address, value, fields), { minLength: 1, maxLength: 8 }),
        fc.boolean(),
        async (writes, isDoomed) => {
          const before = await state(watcher)
          const { params, paramBytes } = bench.router.statistics
          const messages = writes.map(
            ([address, value, fields]): Message => ({ type: 'SET', address, value, ...fields }),
          )
          sender.send(bundle(isDoomed ? [...messages, set('/locked', 2)] : messages))
          const [reply] = await sender.settle()
          const delivered = await watcher.settle()
          if (reply.type === 'ACK') {
            assert.ok(!isDoomed)
            assert.equal(delivered.length, messages.length)
            return
          }
          refusals++
          assert.deepEqual(delivered, [])
          assert.deepEqual(await state(watcher), before)
          assert.equal(bench.router.statistics.params, params)
          assert.ok(bench.router.statistics.paramBytes - paramBytes <= 32, 'only addresses may stay known')
        },
      ),
      { numRuns: 150 },
    )
    assert.ok(refusals > 20, `only ${refusals} bundles were refused`)
  })

  test('that cannot be applied gives back the TTL and the lock that it touched', async () => {
    watcher.set('/locked', int(1), { lock: true })
    sender.set('/p', int(1), { ttl: { mode: 'sliding', seconds: 10 } })
    await sender.settle()
    await watcher.settle()
    const touch = set('/p', 2, { lock: true, ttl: { mode: 'never' } })
    assert.equal((await refused(bundle([touch, set('/locked', 2)])))[0], 400)
    watcher.set('/p', int(3))
    assert.equal((await watcher.settle()).length, 2, 'echo and ACK: nobody holds a lock')
    clock.advance(10_001)
    assert.deepEqual(
      (await state(watcher)).map(({ address }) => address),
      ['/locked'],
    )
  })

  describe('with a time', () => {
    test('is acknowledged at once without a revision, and happens at its time, not before', async () => {
      sender.send(bundle([set('/a', 1), event('/e')], inMs(500)))
      assert.deepEqual(await sender.next('ACK'), { type: 'ACK' })
      assert.deepEqual(await elapse(499), [])
      assert.deepEqual(await state(watcher), [])
      assert.deepEqual(await elapse(1), ['/a=1', 'PUBLISH /e'])
      assert.deepEqual(await sender.settle(), [], 'there is no second ACK')
    })

    test('keeps to the order of times, and of arrival for equal times', async () => {
      const at = inMs(100)
      sender.send(bundle([set('/2', 1)], at))
      sender.send(bundle([set('/3', 1)], at))
      sender.send(bundle([set('/1', 1)], at - 1000))
      await sender.settle()
      assert.deepEqual(await elapse(200), ['/1=1', '/2=1', '/3=1'])
    })

    test('is told 400 when it fails then, naming the address, and does nothing', async () => {
      sender.send(bundle([set('/a', 1), set('/locked', 1)], inMs(100)))
      await sender.next('ACK')
      watcher.set('/locked', int(9), { lock: true })
      await watcher.settle()
      assert.deepEqual(await elapse(100), [])
      const error = await sender.next('ERROR')
      assert.deepEqual([error.code, error.address], [400, '/locked'])
      assert.match(error.message, /^LockHeld/)
    })

    test('happens although its sender has left, and then takes no lock', async () => {
      sender.send(bundle([set('/a', 1, { lock: true })], inMs(100)))
      await sender.next('ACK')
      sender.close()
      await until(() => bench.router.statistics.sessions === 1, 'end of the session')
      assert.deepEqual(await elapse(100), ['/a=1'])
      watcher.set('/a', int(2))
      assert.deepEqual((await watcher.settle()).map(nameOf), ['/a=2', 'ACK /a'])
    })

    test('too far ahead, or beyond the number that may wait, is refused', async () => {
      assert.match((await refused(bundle([set('/a', 1)], inMs(3_600_001))))[1], /more than 3600 s ahead/)
      for (let i = 0; i < 3; i++) sender.send(bundle([set('/a', i)], inMs(1000)))
      await sender.settle()
      assert.equal(bench.router.statistics.scheduledBundles, 3)
      assert.equal((await refused(bundle([set('/a', 9)], inMs(1000))))[0], 429)
      assert.equal((await elapse(1000)).length, 3)
      assert.equal(bench.router.statistics.scheduledBundles, 0)
    })

    test('keeps its distance when the wall clock jumps meanwhile', async () => {
      sender.send(bundle([set('/a', 1)], inMs(1000)))
      await sender.next('ACK')
      clock.stepWall(-86_400_000_000)
      assert.deepEqual(await elapse(999), [])
      assert.deepEqual(await elapse(1), ['/a=1'])
    })

    test('is dropped when the router stops', async () => {
      sender.send(bundle([set('/a', 1)], inMs(1000)))
      await sender.next('ACK')
      bench.router.stop()
      assert.equal(bench.router.statistics.scheduledBundles, 0)
      assert.equal(clock.pendingTimers, 0)
    })

    test('writes to the right param although its address was forgotten meanwhile', async () => {
      sender.send(bundle([set('/patient', 1)], inMs(1000)))
      await sender.next('ACK')
      watcher.send({ type: 'UNSUBSCRIBE', id: 1 })
      for (let i = 0; i < 50_000; i++) {
        sender.send(event(`/flood/${i}/of/addresses`))
        if (i % 5000 === 0) await sender.settle()
      }
      await sender.settle()
      await elapse(1000)
      sender.send({ type: 'GET', address: '/patient' })
      assert.deepEqual((await sender.next('SNAPSHOT')).params.map(nameOfParam), ['/patient=1'])
      sender.send(set('/patient', 2))
      assert.equal((await sender.next('ACK')).revision, 2)
      assert.deepEqual((await state(watcher)).map(nameOfParam), ['/patient=2'])
    })
  })

  const nameOfParam = ({ address, value }: SnapshotParam) => `${address}=${'value' in value ? value.value : ''}`
})

describe('a bundle with a time, by the real clock', () => {
  test('happens within 50 ms of its time, in the middle', async (t) => {
    const bench = await Bench.start({ options: { ...defaultRouterOptions, name: 'Timed' } })
    try {
      const sender = await bench.join('sender')
      const watcher = await bench.join('watcher')
      const arrivals = new Map<string, number>()
      watcher.subscribe(1, '/at/*')
      await watcher.settle()
      watcher.socket.on('data', () => {
        const now = performance.now()
        for (const message of watcher.inbox) {
          if (message.type === 'SET' && !arrivals.has(message.address)) arrivals.set(message.address, now)
        }
      })
      const wallOffset = Date.now() - performance.now()
      const due = new Map<string, number>()
      for (let i = 0; i < 21; i++) {
        const at = performance.now() + 50 + i * 13.7
        due.set(`/at/${i}`, at)
        sender.send(bundle([set(`/at/${i}`, i)], Math.round((at + wallOffset) * 1000)))
      }
      await until(() => arrivals.size === 21, 'all bundles')
      const lateness = [...due].map(([address, at]) => (arrivals.get(address) ?? 0) - at).sort((a, b) => a - b)
      const median = lateness[10]
      t.diagnostic(`median ${median.toFixed(2)} ms, from ${lateness[0].toFixed(2)} to ${lateness[20].toFixed(2)} ms`)
      assert.ok(Math.abs(median) <= 50, `${median} ms`)
      assert.ok(lateness[0] > -5, `one came ${-lateness[0]} ms early`)
    } finally {
      await bench.stop()
    }
  })
})
