/** A board without a battery-backed clock: the wall clock is years off at boot, and jumps when the network is there. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { type Clock, systemClock } from '../../runtime/router/clock.ts'
import { Bench, int, type Peer } from '../router/fixture.ts'

const YEAR_US = 365 * 86_400_000_000

/** The system's clock with a wall clock that can be set, and time that can be skipped. */
class SteppedClock implements Clock {
  wallOffsetUs = 0
  skippedMs = 0
  readonly timer = systemClock.timer
  readonly afterTurn = systemClock.afterTurn

  now(): number {
    return systemClock.now() + this.skippedMs
  }

  wallUs(): number {
    return systemClock.wallUs() + this.wallOffsetUs + this.skippedMs * 1000
  }
}

describe('a wall clock that jumps', () => {
  let clock: SteppedClock
  let bench: Bench
  let writer: Peer
  let reader: Peer

  beforeEach(async () => {
    clock = new SteppedClock()
    bench = await Bench.start({ clock, listen: { clock } })
    writer = await bench.join('writer')
    reader = await bench.join('reader')
    reader.subscribe(1, '/**')
    await reader.settle()
  })

  afterEach(() => bench.stop())

  /** The stored value, undefined when there is none. */
  async function stored(address: string): Promise<unknown> {
    reader.send({ type: 'GET', address })
    const [reply] = await reader.settle()
    return reply?.type === 'SNAPSHOT' ? reply.params[0].value : undefined
  }

  for (const [direction, years] of [
    ['back to 1970', -56],
    ['back by a year', -1],
    ['ahead by ten years', 10],
  ] as const) {
    test(`${direction} blocks no write, from anybody`, async () => {
      writer.set('/p', int(1))
      await writer.next('ACK')
      clock.wallOffsetUs = years * YEAR_US
      writer.set('/p', int(2))
      assert.equal((await writer.next('ACK')).revision, 2)
      reader.set('/p', int(3))
      assert.equal((await reader.settle()).filter(({ type }) => type === 'ACK').length, 1)
      assert.deepEqual(await stored('/p'), int(3))
      clock.wallOffsetUs = 0
      writer.set('/p', int(4))
      assert.equal((await writer.next('ACK')).revision, 4)
      await reader.settle()
      assert.deepEqual(await stored('/p'), int(4))
    })

    test(`${direction} neither expires a value early nor keeps it too long`, async () => {
      writer.set('/sliding', int(1), { ttl: { mode: 'sliding', seconds: 60 } })
      writer.set('/absolute', int(1), { ttl: { mode: 'absolute', seconds: 60 } })
      writer.set('/default', int(1))
      writer.set('/never', int(1), { ttl: { mode: 'never' } })
      await writer.settle()
      await reader.settle()
      clock.wallOffsetUs = years * YEAR_US
      clock.skippedMs += 50_000
      assert.deepEqual(await stored('/absolute'), int(1))
      assert.deepEqual(await stored('/sliding'), int(1))
      assert.deepEqual(await stored('/default'), int(1))
      clock.skippedMs += 11_000
      assert.equal(await stored('/absolute'), undefined)
      clock.skippedMs += 60_000
      assert.equal(await stored('/sliding'), undefined)
      assert.deepEqual(await stored('/default'), int(1))
      clock.skippedMs += 3_600_000
      assert.equal(await stored('/default'), undefined)
      assert.deepEqual(await stored('/never'), int(1))
    })

    test(`${direction} moves no bundle that is already waiting`, async () => {
      const delayMs = 200
      writer.send({
        type: 'BUNDLE',
        timestamp: clock.wallUs() + delayMs * 1000,
        messages: [{ type: 'SET', address: '/later', value: int(1) }],
      })
      const acceptedAt = performance.now()
      await writer.next('ACK')
      clock.wallOffsetUs = years * YEAR_US
      assert.deepEqual(await reader.settle(), [])
      await reader.next('SET')
      const tookMs = performance.now() - acceptedAt
      assert.ok(tookMs > delayMs - 5 && tookMs < delayMs + 1000, `after ${tookMs} ms`)
    })

    test(`${direction} is told to clients, and new bundles keep the new time`, async () => {
      clock.wallOffsetUs = years * YEAR_US
      writer.send({ type: 'SYNC', t1: 1 })
      const { t2 } = await writer.next('SYNC')
      assert.ok(Math.abs(Number(t2) - clock.wallUs()) < 5_000_000)
      const newcomer = await bench.connect()
      newcomer.send({ type: 'HELLO', version: 1, features: ['param'], name: 'newcomer' })
      assert.ok(Math.abs(Number((await newcomer.next('WELCOME')).time) - clock.wallUs()) < 5_000_000)
      const startedAt = performance.now()
      writer.send({
        type: 'BUNDLE',
        timestamp: clock.wallUs() + 150_000,
        messages: [{ type: 'SET', address: '/later', value: int(1) }],
      })
      await writer.next('ACK')
      await reader.next('SET')
      const tookMs = performance.now() - startedAt
      assert.ok(tookMs > 145 && tookMs < 1150, `after ${tookMs} ms`)
    })
  }

  test('does not end idle connections, gestures or sessions', async () => {
    writer.send({ type: 'PUBLISH', address: '/touch', signal: 'gesture', phase: 'start', id: 1 })
    await reader.next('PUBLISH')
    for (const years of [30, -50, 0]) {
      clock.wallOffsetUs = years * YEAR_US
      assert.deepEqual(await reader.settle(), [])
      assert.deepEqual(await writer.settle(), [])
    }
    assert.equal(bench.router.statistics.sessions, 2)
  })
})
