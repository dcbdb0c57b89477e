import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { encodeFrame } from '../../firmware-protocol/wire/frame.ts'
import type { Message } from '../../firmware-protocol/wire/message.ts'
import { Bench, int, type Peer } from '../router/fixture.ts'

const COUNT = 20_000

describe('many requests at once', () => {
  let bench: Bench
  let writer: Peer
  let reader: Peer

  beforeEach(async () => {
    bench = await Bench.start()
    writer = await bench.join('writer')
    reader = await bench.join('reader')
    reader.subscribe(1, '/burst/**')
    await reader.settle()
  })

  afterEach(() => bench.stop())

  /** All in one write, so that the router finds them in as few reads as the platform can make of them. */
  function burst(message: (i: number) => Message): void {
    const frames = Array.from({ length: COUNT }, (_, i) => {
      const frame = encodeFrame(message(i))
      return Buffer.concat([Buffer.of(0, 0, frame.length >>> 8, frame.length & 0xff), frame])
    })
    writer.socket.write(Buffer.concat(frames))
  }

  const only = <T extends Message['type']>(peer: Peer, type: T): Extract<Message, { type: T }>[] => {
    return peer.inbox.map((message) => {
      assert.equal(message.type, type)
      return message as Extract<Message, { type: T }>
    })
  }

  test('20 000 SETs of as many params are all acknowledged and all delivered, in order', async () => {
    burst((i) => ({ type: 'SET', address: `/burst/${i}`, value: int(i) }))
    await writer.until(() => writer.inbox.length >= COUNT, 'all ACKs')
    await reader.until(() => reader.inbox.length >= COUNT, 'all deliveries')
    assert.deepEqual(
      only(writer, 'ACK').map(({ address }) => address),
      Array.from({ length: COUNT }, (_, i) => `/burst/${i}`),
    )
    assert.deepEqual(
      only(reader, 'SET').map(({ value }) => value),
      Array.from({ length: COUNT }, (_, i) => int(i)),
    )
    assert.equal(bench.router.statistics.params, COUNT)
  })

  test('20 000 SETs of one param are each acknowledged with its revision, and each delivered', async () => {
    burst((i) => ({ type: 'SET', address: '/burst/one', value: int(i) }))
    await writer.until(() => writer.inbox.length >= COUNT, 'all ACKs')
    await reader.until(() => reader.inbox.length >= COUNT, 'all deliveries')
    const revisions = Array.from({ length: COUNT }, (_, i) => i + 1)
    assert.deepEqual(
      only(writer, 'ACK').map(({ revision }) => revision),
      revisions,
    )
    assert.deepEqual(
      only(reader, 'SET').map(({ revision }) => revision),
      revisions,
    )
  })

  test('20 000 events are all delivered, in order', async () => {
    burst((i) => ({ type: 'PUBLISH', address: '/burst/event', signal: 'event', value: int(i) }))
    await reader.until(() => reader.inbox.length >= COUNT, 'all deliveries')
    assert.deepEqual(
      only(reader, 'PUBLISH').map(({ value }) => value),
      Array.from({ length: COUNT }, (_, i) => int(i)),
    )
  })

  test('20 000 requests of every kind are answered in their order', async () => {
    writer.set('/known', int(1))
    await writer.settle()
    burst((i) => {
      if (i % 4 === 0) return { type: 'GET', address: '/known' }
      if (i % 4 === 1) return { type: 'PING' }
      if (i % 4 === 2) return { type: 'SET', address: '/other', value: int(i) }
      return { type: 'SYNC', t1: i }
    })
    await writer.until(() => writer.inbox.length >= COUNT, 'all replies')
    const cycle = ['SNAPSHOT', 'PONG', 'ACK', 'SYNC']
    assert.deepEqual(
      writer.inbox.map(({ type }) => type),
      Array.from({ length: COUNT }, (_, i) => cycle[i % 4]),
    )
    assert.equal(bench.router.statistics.drops, 0)
  })
})
