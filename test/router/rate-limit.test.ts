/** How much one session may send; router reference §11, D-28. Time stands still unless a test moves it. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import type { Message } from '../../firmware-protocol/wire/message.ts'
import { Bench, int, type Peer } from './fixture.ts'
import { SteppedClock } from './stepped-clock.ts'

const LIMIT = 100

describe('the rate limit', () => {
  let clock: SteppedClock
  let bench: Bench
  let peer: Peer

  beforeEach(async () => {
    clock = new SteppedClock()
    bench = await Bench.start({ clock, options: { maxMessagesPerSecond: LIMIT } })
    peer = await bench.join()
  })

  afterEach(() => bench.stop())

  /** Sends SETs and returns how many were acknowledged, and the codes of the errors. */
  async function burst(count: number, from = peer): Promise<{ taken: number; errors: number[] }> {
    for (let i = 0; i < count; i++) from.set('/rate', int(i))
    const replies = await from.settle()
    return {
      taken: replies.filter(({ type }) => type === 'ACK').length,
      errors: replies.flatMap((message) => (message.type === 'ERROR' ? [message.code] : [])),
    }
  }

  test('lets a burst of one second’s worth pass, drops the rest and says so once', async () => {
    for (let i = 0; i < LIMIT; i++) peer.set('/rate', int(i))
    assert.equal((await peer.settle()).filter(({ type }) => type === 'ACK').length, LIMIT)
    peer.set('/rate', int(-1))
    const [error, ...rest] = await peer.settle()
    assert.deepEqual(error, { type: 'ERROR', code: 429, message: `Rate limit exceeded: ${LIMIT} messages/second` })
    assert.deepEqual(rest, [])
    assert.deepEqual(await burst(50), { taken: 0, errors: [] })
    assert.equal(bench.router.statistics.errors[429], 51, 'each is counted, told or not')
  })

  test('fills up again evenly, to one second’s worth and no more', async () => {
    assert.equal((await burst(200)).taken, LIMIT)
    clock.advance(250)
    assert.equal((await burst(200)).taken, LIMIT / 4)
    clock.advance(10)
    assert.equal((await burst(200)).taken, 1)
    clock.advance(3_600_000)
    assert.equal((await burst(300)).taken, LIMIT)
    assert.equal((await burst(300)).taken, 0)
  })

  test('allows no double burst after a pause', async () => {
    clock.advance(10_000)
    assert.equal((await burst(3 * LIMIT)).taken, LIMIT)
  })

  test('lets a sender that keeps to it go on for ever', async () => {
    for (let i = 0; i < 500; i++) {
      peer.set('/rate', int(i))
      await peer.next('ACK')
      clock.advance(10)
    }
  })

  test('tells a flooding session once a second', async () => {
    const told: number[] = []
    for (let second = 0; second < 5; second++) {
      told.push(...(await burst(2 * LIMIT)).errors)
      clock.advance(1000)
    }
    assert.deepEqual(told, [429, 429, 429, 429, 429])
  })

  test('counts every kind of message but PING and PONG', async () => {
    const messages: Message[] = [
      { type: 'PUBLISH', address: '/e', signal: 'event' },
      { type: 'GET', address: '/missing' },
      { type: 'SUBSCRIBE', id: 1, pattern: '/nothing', types: [] },
      { type: 'UNSUBSCRIBE', id: 1 },
      { type: 'ACK' },
    ]
    for (let i = 0; i < LIMIT; i++) peer.send(messages[i % messages.length])
    for (let i = 0; i < LIMIT; i++) peer.send({ type: i % 2 === 0 ? 'PING' : 'PONG' })
    assert.ok((await peer.settle()).every(({ type }) => type === 'PONG'))
    await peer.until(() => peer.inbox.length === LIMIT / 2, 'all PONGs')
    peer.inbox.length = 0
    assert.deepEqual(await burst(1), { taken: 0, errors: [429] })
  })

  test('counts the messages inside a bundle', async () => {
    const messages = Array.from({ length: 60 }, (_, i): Message => ({ type: 'SET', address: `/b/${i}`, value: int(i) }))
    peer.send({ type: 'BUNDLE', messages })
    assert.equal((await peer.next('ACK')).revision, 1)
    peer.send({ type: 'BUNDLE', messages })
    assert.equal((await peer.next('ERROR')).code, 429)
    peer.send({ type: 'GET', address: '/b/0' })
    assert.equal((await peer.next('SNAPSHOT')).params[0].revision, 1, 'nothing of it was done')
  })

  test('is that of one session: others are not slowed down', async () => {
    await burst(5 * LIMIT)
    const other = await bench.join('other')
    assert.equal((await burst(LIMIT, other)).taken, LIMIT)
  })

  test('takes no notice of the wall clock', async () => {
    await burst(LIMIT)
    clock.stepWall(10_000_000_000_000)
    assert.equal((await burst(10)).taken, 0)
    clock.stepWall(-20_000_000_000_000)
    clock.advance(1000)
    assert.equal((await burst(LIMIT)).taken, LIMIT)
  })

  test('of 0 is none', async () => {
    const unlimited = await Bench.start({ options: { maxMessagesPerSecond: 0 } })
    try {
      const flooder = await unlimited.join()
      assert.deepEqual(await burst(5000, flooder), { taken: 5000, errors: [] })
    } finally {
      await unlimited.stop()
    }
  })
})
