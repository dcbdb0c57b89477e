/** Subscribers that do not take what they asked for. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { WebSocket } from 'ws'
import { encodeFrame } from '../../firmware-protocol/wire/frame.ts'
import type { Message } from '../../firmware-protocol/wire/message.ts'
import { Bench, bytes, int, type Peer } from '../router/fixture.ts'
import { until } from '../until.ts'
import { heldBytes, MEGABYTE } from './memory.ts'

const MESSAGES = 10_000
const VALUE_BYTES = 5000
/** The queue's limit, what the link holds above the high-water mark, and what the garbage collector is behind by. */
const MAX_GROWTH_BYTES = 12 * MEGABYTE

describe('a subscriber that does not read', () => {
  let bench: Bench
  let writer: Peer
  let reader: Peer

  beforeEach(async () => {
    bench = await Bench.start()
    writer = await bench.join('writer')
    reader = await bench.join('reader')
    reader.subscribe(1, '/load/**')
    await reader.settle()
    reader.socket.pause()
  })

  afterEach(() => bench.stop())

  /** 50 MB to the router, no faster than it takes them. Returns by how much the memory of this process grew at most. */
  async function broadcast(message: (i: number) => Message): Promise<number> {
    const before = heldBytes()
    let most = 0
    for (let i = 0; i < MESSAGES; i++) {
      writer.send(message(i))
      if (writer.socket.writableNeedDrain) await once(writer.socket, 'drain')
      if (i % 1000 === 999) {
        await writer.settle()
        most = Math.max(most, heldBytes() - before)
      }
    }
    return most
  }

  const load = bytes(VALUE_BYTES)

  test('gets the last value of every param when it reads again, and 50 MB of older ones took no memory', async () => {
    const addresses = 400
    const grownBytes = await broadcast((i) => ({ type: 'SET', address: `/load/${i % addresses}`, value: load }))
    assert.ok(grownBytes < MAX_GROWTH_BYTES, `${grownBytes} bytes more`)
    for (let i = 0; i < addresses; i++) writer.set(`/load/${i}`, int(i))
    await writer.settle()
    reader.socket.resume()
    const last = new Map<string, unknown>()
    await reader.until(() => {
      for (const message of reader.inbox.splice(0)) if (message.type === 'SET') last.set(message.address, message.value)
      return last.size === addresses && [...last.values()].every((value) => (value as { type: string }).type === 'i64')
    }, 'the last values')
    for (let i = 0; i < addresses; i++) assert.deepEqual(last.get(`/load/${i}`), int(i))
    assert.ok(bench.router.statistics.drops > MESSAGES / 2)
    // It catches up completely: what comes next arrives as if nothing had been.
    writer.set('/load/next', int(1))
    await reader.until(
      () => reader.inbox.some((message) => 'address' in message && message.address === '/load/next'),
      'next',
    )
  })

  test('is told that it misses messages', async () => {
    await broadcast((i) => ({ type: 'PUBLISH', address: `/load/${i % 4}`, signal: 'stream', value: load }))
    reader.socket.resume()
    await reader.until(
      () => reader.inbox.some((message) => message.type === 'ERROR' && message.code === 503),
      'ERROR 503',
    )
    const replies = await reader.settle()
    assert.ok(replies.length < MESSAGES)
    assert.equal(bench.router.statistics.sessions, 2)
  })

  test('is closed when it misses events, of which none may be left out, and 50 MB of them took no memory', async () => {
    const grownBytes = await broadcast((i) => ({
      type: 'PUBLISH',
      address: `/load/${i}`,
      signal: 'event',
      value: load,
    }))
    assert.ok(grownBytes < MAX_GROWTH_BYTES, `${grownBytes} bytes more`)
    assert.equal(bench.router.statistics.sessions, 1)
    reader.socket.resume()
    await reader.closed()
  })

  test('is closed after the configured time in which it takes nothing', async () => {
    await bench.stop()
    bench = await Bench.start({
      options: { queue: { highWaterBytes: 65_536, maxMessages: 1000, maxBytes: 1_000_000, stuckTimeoutMs: 300 } },
    })
    writer = await bench.join('writer')
    reader = await bench.join('reader')
    reader.subscribe(1, '/load/**')
    await reader.settle()
    reader.socket.pause()
    await broadcast(() => ({ type: 'SET', address: '/load/one', value: load }))
    await until(() => bench.router.statistics.sessions === 1, 'the end of its session')
    assert.equal((await writer.settle()).length, 0)
  })

  test('over WebSocket takes no more memory either, and the others get everything', async () => {
    const browser = new WebSocket(`ws://127.0.0.1:${bench.port}`, 'clasp')
    await once(browser, 'open')
    browser.send(encodeFrame({ type: 'HELLO', version: 1, features: ['param'], name: 'browser' }))
    browser.send(encodeFrame({ type: 'SUBSCRIBE', id: 1, pattern: '/load/**', types: [] }))
    await until(() => bench.router.statistics.subscriptions === 2, 'its subscription')
    browser.pause()
    reader.socket.resume()
    let heard = 0
    const grownBytes = await broadcast((i) => {
      heard += reader.inbox.splice(0).length
      return { type: 'SET', address: `/load/${i % 100}`, value: load }
    })
    await reader.until(() => {
      heard += reader.inbox.splice(0).length
      return heard === MESSAGES
    }, 'every message at the reader that reads')
    assert.ok(grownBytes < MAX_GROWTH_BYTES, `${grownBytes} bytes more`)
    assert.equal(bench.router.statistics.sessions, 3)
    browser.terminate()
    await until(() => bench.router.statistics.sessions === 2, 'the end of its session')
  })

  test('costs nothing any more once it is gone', async () => {
    await broadcast((i) => ({ type: 'SET', address: `/load/${i % 400}`, value: load }))
    const withIt = heldBytes()
    reader.close()
    await until(() => bench.router.statistics.sessions === 1, 'the end of its session')
    await writer.settle()
    const freedBytes = withIt - heldBytes()
    assert.ok(freedBytes > 1.5 * MEGABYTE, `${freedBytes} bytes freed`)
  })
})
