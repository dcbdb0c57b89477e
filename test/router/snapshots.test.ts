import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Message } from '../../firmware-protocol/wire/message.ts'
import { Bench, bytes, float, int, type Peer } from './fixture.ts'

async function fill(peer: Peer, count: number, address: (i: number) => string): Promise<void> {
  for (let i = 0; i < count; i++) peer.set(address(i), float(i))
  const acks = () => peer.inbox.filter(({ type }) => type === 'ACK').length
  await peer.until(() => acks() === count, `${count} ACKs`)
  peer.inbox.length = 0
}

const entries = (messages: Message[]) => messages.flatMap((m) => (m.type === 'SNAPSHOT' ? m.params : []))

describe('snapshots', () => {
  it('bring a late joiner everything, however long the addresses are', async () => {
    const bench = await Bench.start()
    try {
      const writer = await bench.join()
      await fill(writer, 2000, (i) => `/venue/${'a-rather-long-name/'.repeat(5)}${i}`)
      writer.set('/big/value', bytes(65_000))
      await writer.next('ACK')
      const late = await bench.connect()
      late.send({ type: 'HELLO', version: 1, features: [], name: 'late' })
      await late.until(() => entries(late.inbox).length === 2001, '2001 params')
      assert.equal(late.inbox[0].type, 'WELCOME')
      assert.ok(late.inbox.slice(1).every((m) => m.type === 'SNAPSHOT' && m.params.length <= 800))
      const addresses = new Set(entries(late.inbox).map(({ address }) => address))
      assert.equal(addresses.size, 2001)
    } finally {
      await bench.stop()
    }
  })

  it('of 100 000 params arrive whole, in pages, with replies in the order of requests', async () => {
    const bench = await Bench.start()
    try {
      const writer = await bench.join()
      for (let block = 0; block < 100; block++) await fill(writer, 1000, (i) => `/p/${block}/${i}`)
      const late = await bench.connect()
      late.send({ type: 'HELLO', version: 1, features: [], name: 'late' })
      late.subscribe(1, '/p/7/*')
      late.set('/p/7/1', int(1))
      const before = await late.settle()
      assert.equal(entries(before).length, 101_000)
      // The SET and what follows it come behind both snapshots: nothing overtakes.
      assert.deepEqual(
        before.slice(-2).map(({ type }) => type),
        ['SET', 'ACK'],
      )
    } finally {
      await bench.stop()
    }
  })

  it('stay below what a small peer can take', async () => {
    const bench = await Bench.start()
    try {
      const writer = await bench.join()
      await fill(writer, 50, (i) => `/small/${i}`)
      writer.set('/small/large', bytes(500))
      await writer.next('ACK')
      const small = await bench.connect()
      // HELLO with QoS 1 is the Arduino library's fingerprint: 252 bytes a frame.
      small.sendFrame(Buffer.from('5341000c0101e00005455350333200000000'.slice(0, 32), 'hex'))
      await small.next('WELCOME')
      small.subscribe(1, '/small/**')
      const messages = await small.settle()
      assert.ok(messages.length > 20)
      const names = new Set(entries(messages).map(({ address }) => address))
      assert.equal(names.size, 50)
      assert.ok(!names.has('/small/large'))
    } finally {
      await bench.stop()
    }
  })
})
