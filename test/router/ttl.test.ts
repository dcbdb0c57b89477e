/** How long params live; router reference §5.4, D-06, D-24, D-25. Time stands still unless a test moves it. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import type { Ttl } from '../../firmware-protocol/wire/message.ts'
import { defaultRouterOptions, type RouterOptions } from '../../runtime/router/options.ts'
import { until } from '../until.ts'
import { Bench, int, type Peer } from './fixture.ts'
import { SteppedClock } from './stepped-clock.ts'

const DAY_MS = 86_400_000
const YEAR_US = 365 * 86_400_000_000

describe('the time to live of a param', () => {
  let clock: SteppedClock
  let bench: Bench
  let peer: Peer

  async function start(options: Partial<RouterOptions> = {}): Promise<void> {
    clock = new SteppedClock()
    bench = await Bench.start({ clock, options })
    peer = await bench.join()
  }

  beforeEach(() => start())
  afterEach(() => bench.stop())

  async function restart(options: Partial<RouterOptions>): Promise<void> {
    await bench.stop()
    await start(options)
  }

  async function write(address: string, value: number, fields: { ttl?: Ttl; lock?: boolean; unlock?: boolean } = {}) {
    peer.set(address, int(value), fields)
    return (await peer.next('ACK')).revision
  }

  async function exists(address: string): Promise<boolean> {
    peer.send({ type: 'GET', address })
    return (await peer.settle()).length === 1
  }

  /** The param lives for so long from now on, and no longer. */
  async function livesFor(address: string, seconds: number): Promise<void> {
    clock.advance(seconds * 1000 - 1)
    assert.ok(await exists(address), `${address} is gone before its ${seconds} s are over`)
    clock.advance(2)
    assert.ok(!(await exists(address)), `${address} is still there after its ${seconds} s`)
  }

  const sliding = (seconds: number): Ttl => ({ mode: 'sliding', seconds })
  const absolute = (seconds: number): Ttl => ({ mode: 'absolute', seconds })

  test('is an hour when nobody says otherwise, counted from the last write', async () => {
    await write('/p', 1)
    clock.advance(3_000_000)
    await write('/p', 2)
    await livesFor('/p', 3600)
  })

  test('slides with every write when it is sliding, also with one that does not repeat it', async () => {
    await write('/p', 1, { ttl: sliding(10) })
    clock.advance(9_000)
    await write('/p', 2)
    clock.advance(9_000)
    await write('/p', 3)
    await livesFor('/p', 10)
  })

  test('is not prolonged by reading', async () => {
    await write('/p', 1, { ttl: sliding(10) })
    clock.advance(9_000)
    assert.ok(await exists('/p'))
    peer.subscribe(1, '/**')
    await peer.next('SNAPSHOT')
    await livesFor('/p', 1)
  })

  test('counts from the write that carried it when it is absolute', async () => {
    await write('/p', 1, { ttl: absolute(10) })
    clock.advance(6_000)
    await write('/p', 2)
    await livesFor('/p', 4)
  })

  test('starts over when a write carries another one', async () => {
    await write('/p', 1, { ttl: absolute(10) })
    clock.advance(6_000)
    await write('/p', 2, { ttl: sliding(20) })
    await livesFor('/p', 20)
  })

  test('never ends when it says never, whatever is written later without one', async () => {
    await write('/p', 1, { ttl: { mode: 'never' } })
    await write('/p', 2)
    clock.advance(10 * DAY_MS)
    assert.ok(await exists('/p'))
  })

  test('of 0 s absolute is over at once, after the update has been delivered and acknowledged', async () => {
    peer.subscribe(1, '/p')
    peer.set('/p', int(1), { ttl: absolute(0) })
    assert.deepEqual((await peer.next('SET')).ttl, absolute(0))
    assert.equal((await peer.next('ACK')).revision, 1)
    assert.ok(!(await exists('/p')))
  })

  test('is enforced per param when there is no general one', async () => {
    await restart({ paramTtlSeconds: 0 })
    await write('/mortal', 1, { ttl: sliding(10) })
    await write('/eternal', 1)
    await livesFor('/mortal', 10)
    clock.advance(10 * DAY_MS)
    assert.ok(await exists('/eternal'))
  })

  test('comes from the first matching policy, unless the SET has one of its own', async () => {
    await restart({
      policies: [
        { pattern: '/short/**', ttlSeconds: 5 },
        { pattern: '/keep/**', ttlSeconds: 0 },
        { pattern: '/**', ttlSeconds: 60 },
      ],
    })
    await write('/keep/a', 1)
    await write('/short/b', 1, { ttl: sliding(8) })
    await write('/short/a', 1)
    await livesFor('/short/a', 5)
    await livesFor('/short/b', 2.999)
    await write('/other', 1)
    await livesFor('/other', 60)
    clock.advance(10 * DAY_MS)
    assert.ok(await exists('/keep/a'))
  })

  test('stops while somebody holds the lock, and starts again when it is released', async () => {
    for (const [address, seconds, ttl] of [
      ['/sliding', 10, sliding(10)],
      ['/absolute', 10, absolute(10)],
      ['/default', 3600, undefined],
    ] as const) {
      await write(address, 1, { ttl, lock: true })
      clock.advance(2 * 3_600_000)
      assert.ok(await exists(address), `${address} expired although it is locked`)
      await write(address, 2, { unlock: true })
      await livesFor(address, seconds)
    }
  })

  test('stops when the lock is taken later than the TTL was given', async () => {
    await write('/p', 1, { ttl: absolute(10) })
    clock.advance(5_000)
    await write('/p', 2, { lock: true })
    clock.advance(60_000)
    assert.ok(await exists('/p'))
  })

  test('starts when the session that held the lock is gone', async () => {
    const holder = await bench.join('holder')
    holder.set('/p', int(1), { lock: true, ttl: absolute(10) })
    await holder.next('ACK')
    clock.advance(60_000)
    holder.close()
    await until(() => bench.router.statistics.sessions === 1, 'end of the session')
    await livesFor('/p', 10)
  })

  test('ends without a word to subscribers, and the revision goes on counting afterwards', async () => {
    peer.subscribe(1, '/**')
    for (let i = 1; i <= 3; i++) peer.set('/p', int(i), { ttl: sliding(10) })
    await peer.settle()
    clock.advance(60_000)
    assert.deepEqual(await peer.settle(), [])
    peer.set('/p', int(4))
    assert.equal((await peer.next('SET')).revision, 4)
    await peer.next('ACK')
    assert.equal(bench.router.statistics.expirations, 1)
  })

  test('hides an expired param from late joiners and subscribers before it is swept', async () => {
    await write('/gone', 1, { ttl: sliding(1) })
    await write('/here', 1)
    clock.advance(1_001)
    assert.equal(bench.router.statistics.params, 2, 'the sweep has not come yet')
    const late = await bench.connect()
    late.send({ type: 'HELLO', version: 1, features: [], name: 'late' })
    await late.next('WELCOME')
    const addresses = (await late.next('SNAPSHOT')).params.map(({ address }) => address)
    assert.deepEqual(addresses, ['/here'])
    late.subscribe(1, '/gone')
    late.subscribe(2, '/gone/**')
    assert.deepEqual(await late.settle(), [])
  })

  test('gives the memory of expired params back within some seconds', async () => {
    const before = bench.router.statistics.paramBytes
    for (let i = 0; i < 500; i++) peer.set(`/many/${i}`, int(i), { ttl: sliding(1) })
    await peer.settle()
    assert.equal(bench.router.statistics.params, 500)
    clock.advance(10_000)
    assert.equal(bench.router.statistics.params, 0)
    assert.equal(bench.router.statistics.expirations, 500)
    // Addresses stay known for their routes, values do not stay.
    assert.ok(bench.router.statistics.paramBytes - before <= 500 * 16)
  })

  test('takes new defaults over at the next write', async () => {
    await write('/p', 1)
    bench.router.reconfigure({ ...defaultRouterOptions, paramTtlSeconds: 5 })
    clock.advance(10_000)
    assert.ok(await exists('/p'))
    await write('/p', 2)
    await livesFor('/p', 5)
  })

  for (const years of [-56, -1, 1, 30]) {
    test(`takes no notice of a wall clock that jumps by ${years} years`, async () => {
      await write('/absolute', 1, { ttl: absolute(100) })
      await write('/sliding', 1, { ttl: sliding(50) })
      clock.stepWall(years * YEAR_US)
      assert.ok((await exists('/absolute')) && (await exists('/sliding')))
      assert.equal(await write('/absolute', 2), 2)
      assert.equal(await write('/sliding', 2), 2)
      await livesFor('/sliding', 50)
      await livesFor('/absolute', 49.999)
    })
  }

  test('stamps never run backwards for one param while the wall clock does', async () => {
    const stamp = async () => {
      peer.send({ type: 'GET', address: '/p' })
      return Number((await peer.next('SNAPSHOT')).params[0].timestamp)
    }
    await write('/p', 1)
    const first = await stamp()
    assert.equal(first, clock.wallUs())
    clock.stepWall(-YEAR_US)
    await write('/p', 2)
    assert.equal(await stamp(), first)
    clock.stepWall(3 * YEAR_US)
    await write('/p', 3)
    assert.equal(await stamp(), clock.wallUs())
  })
})
