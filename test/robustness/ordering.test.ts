import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import type { Message, SetParam } from '../../firmware-protocol/wire/message.ts'
import { Bench, int, type Peer } from '../router/fixture.ts'

describe('the order of updates', () => {
  let bench: Bench

  beforeEach(async () => {
    bench = await Bench.start()
  })

  afterEach(() => bench.stop())

  async function subscribers(count: number, pattern: string): Promise<Peer[]> {
    const peers: Peer[] = []
    for (let i = 0; i < count; i++) {
      const peer = await bench.join(`subscriber ${i}`)
      peer.subscribe(1, pattern)
      await peer.settle()
      peers.push(peer)
    }
    return peers
  }

  test('16 subscribers all get 2000 updates of one param in order and end on its last value', async () => {
    const readers = await subscribers(16, '/fader')
    const writer = await bench.join('writer')
    for (let i = 1; i <= 2000; i++) writer.set('/fader', int(i))
    await writer.until(() => writer.inbox.length === 2000, 'all ACKs')
    for (const reader of readers) {
      await reader.until(() => reader.inbox.length >= 2000, 'all updates')
      assert.deepEqual(
        sets(reader.inbox).map(({ value }) => value),
        range(2000).map(int),
      )
      assert.deepEqual(
        sets(reader.inbox).map(({ revision }) => revision),
        range(2000),
      )
    }
  })

  test('what two writers do to one param has rising revisions for every subscriber, the same for all', async () => {
    const readers = await subscribers(12, '/**')
    const writers = [await bench.join('left'), await bench.join('right')]
    for (let i = 1; i <= 1000; i++) {
      for (const [which, writer] of writers.entries()) writer.set('/shared', int(which * 10_000 + i))
      // Lets both writers' bytes reach the router by turns.
      if (i % 100 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    const histories: unknown[] = []
    for (const reader of readers) {
      await reader.until(() => reader.inbox.length >= 2000, 'all updates')
      assert.deepEqual(
        sets(reader.inbox).map(({ revision }) => revision),
        range(2000),
      )
      histories.push(sets(reader.inbox).map(({ value }) => value))
    }
    for (const history of histories) assert.deepEqual(history, histories[0])
    for (const writer of writers) {
      await writer.until(() => writer.inbox.length === 1000, 'all ACKs')
      const revisions = writer.inbox.map((message) => (message.type === 'ACK' ? Number(message.revision) : 0))
      assert.deepEqual(
        revisions,
        [...revisions].sort((a, b) => a - b),
      )
    }
  })

  test('what two subscribers both hear, of several params and events by several senders, they hear in one order', async () => {
    const [all, some] = await subscribers(2, '/a/**')
    some.subscribe(2, '/b/*')
    all.subscribe(2, '/b/**')
    all.subscribe(3, '/c')
    await some.settle()
    await all.settle()
    const senders = [await bench.join('one'), await bench.join('two'), await bench.join('three')]
    for (let i = 0; i < 500; i++) {
      senders[i % 3].set(`/a/${i % 7}`, int(i))
      senders[(i + 1) % 3].send({ type: 'PUBLISH', address: `/b/${i % 5}`, signal: 'event', value: int(i) })
      senders[(i + 2) % 3].set('/c', int(i))
      if (i % 50 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    await all.until(() => all.inbox.length === 1500, 'all updates')
    await some.until(() => some.inbox.length === 1000, 'those of /a and /b')
    const shared = all.inbox.filter((message) => !('address' in message && message.address === '/c'))
    assert.deepEqual(some.inbox, shared)
  })

  for (const others of [0, 3]) {
    test(`a writer that subscribes, with ${others} others, hears its own update before the ACK`, async () => {
      await subscribers(others, '/own')
      const writer = await bench.join('writer')
      writer.subscribe(1, '/own')
      await writer.settle()
      for (let i = 1; i <= 100; i++) writer.set('/own', int(i))
      await writer.until(() => writer.inbox.length === 200, 'echoes and ACKs')
      for (let i = 0; i < 100; i++) {
        const [echo, ack] = writer.inbox.slice(2 * i, 2 * i + 2)
        assert.ok(echo.type === 'SET' && ack.type === 'ACK')
        assert.equal(echo.revision, ack.revision)
      }
    })
  }

  test('a subscription made amid updates misses none after its first value and gets none from before it', async () => {
    const writer = await bench.join('writer')
    const reader = await bench.join('reader')
    for (let i = 1; i <= 1000; i++) {
      writer.set('/live', int(i))
      if (i === 500) reader.subscribe(1, '/live')
      if (i % 100 === 0) await writer.settle()
    }
    await reader.until(() => reader.inbox.some((message) => numberOf(message) === 1000), 'the last value')
    const seen = reader.inbox.map(numberOf)
    assert.deepEqual(seen, range(1000).slice(1000 - seen.length))
    assert.ok(seen.length >= 400)
  })
})

function sets(messages: Message[]): SetParam[] {
  return messages.filter((message): message is SetParam => message.type === 'SET')
}

/** 1 … count. */
function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i + 1)
}

function numberOf(message: Message): number {
  const value = message.type === 'SNAPSHOT' ? message.params[0].value : (message as SetParam).value
  return value.type === 'i64' ? Number(value.value) : Number.NaN
}
