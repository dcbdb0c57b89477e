import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { decodeFrame } from '../../firmware-protocol/wire/frame.ts'
import { EventQueue } from '../../runtime/federation/leaf/event-queue.ts'
import { defaultLeafOptions } from '../../runtime/federation/leaf/leaf-options.ts'
import { MemoryUplinkStore } from '../../runtime/federation/leaf/memory-uplink-store.ts'
import type { Mirror } from '../../runtime/federation/leaf/mirror.ts'
import { MirrorRecord } from '../../runtime/federation/leaf/mirror-record.ts'
import { Outbox } from '../../runtime/federation/leaf/outbox.ts'
import { UplinkPolicy } from '../../runtime/federation/leaf/uplink-policy.ts'
import { MarkFlag } from '../../runtime/federation/leaf/uplink-store.ts'

const rule = new UplinkPolicy([]).of('/a', true)

function recordsOf(count: number): MirrorRecord[] {
  return Array.from({ length: count }, (_, i) => new MirrorRecord({} as Mirror, `/a/${i}`, 'owned', rule))
}

const change = (outbox: Outbox, record: MirrorRecord) => {
  record.flags = MarkFlag.dirty
  outbox.add(record)
}

const event = (address: string, value: number) =>
  ({ type: 'PUBLISH', address, signal: 'event', phase: 'start', value: { type: 'i64', value } }) as const

describe('the outbox', () => {
  it('holds each address once, in the order of its first change', () => {
    const records = recordsOf(3)
    const outbox = new Outbox(10, () => records)
    for (const i of [2, 0, 2, 1, 0]) change(outbox, records[i])
    const taken = [outbox.take(), outbox.take(), outbox.take(), outbox.take()]
    assert.deepEqual(
      taken.map((record) => record?.address),
      ['/a/2', '/a/0', '/a/1', undefined],
    )
  })

  it('loses no change, however small it is, whatever is added, taken and sent in between', () => {
    const steps = fc.array(fc.record({ at: fc.nat(29), isTaken: fc.boolean() }), { maxLength: 200 })
    fc.assert(
      fc.property(steps, fc.integer({ min: 1, max: 8 }), (list, size) => {
        const records = recordsOf(30)
        const outbox = new Outbox(size, () => records)
        for (const { at, isTaken } of list) {
          change(outbox, records[at])
          assert.ok(outbox.size <= size)
          if (!isTaken) continue
          const record = outbox.take()
          if (record !== undefined) record.flags = 0
        }
        for (let record = outbox.take(); record !== undefined; record = outbox.take()) record.flags = 0
        assert.deepEqual(
          records.filter(({ isDirty }) => isDirty).map(({ address }) => address),
          [],
        )
      }),
    )
  })

  it('counts the changes that found it full', () => {
    const records = recordsOf(5)
    const outbox = new Outbox(2, () => records)
    for (const record of records) change(outbox, record)
    assert.equal(outbox.needsFullPush, true)
    assert.equal(outbox.overflows, 3)
  })
})

describe('the queue of events', () => {
  const options = defaultLeafOptions.outbox

  it('keeps their order and gives up the oldest when there is no room', () => {
    const queue = new EventQueue({ ...options, maxEvents: 3 }, new MemoryUplinkStore())
    for (let i = 0; i < 5; i++) queue.add(event('/a/cue', i), 1000, false)
    assert.deepEqual(
      queue.next(10, 0).map(({ message }) => message.value),
      [2, 3, 4].map((value) => ({ type: 'i64', value })),
    )
    assert.equal(queue.dropped, 2)
  })

  it('gives up those that are too old', () => {
    const queue = new EventQueue(options, new MemoryUplinkStore())
    queue.add(event('/a/cue', 1), 1000, false)
    queue.add(event('/a/cue', 2), 3000, false)
    assert.equal(queue.next(10, 2000).length, 1)
    assert.equal(queue.dropped, 1)
  })

  it('keeps only the latest of an address where that is wanted', () => {
    const queue = new EventQueue(options, new MemoryUplinkStore())
    for (let i = 0; i < 3; i++) for (const address of ['/a/x', '/a/y']) queue.add(event(address, i), 1000, true)
    assert.equal(queue.size, 2)
    assert.equal(queue.dropped, 0)
  })

  it('comes back from the store, without what is no event', () => {
    const store = new MemoryUplinkStore()
    new EventQueue(options, store).add(event('/a/cue', 1), 1000, false)
    store.addEvent(Uint8Array.of(1, 2, 3), 1000)
    const queue = new EventQueue(options, store)
    assert.equal(queue.size, 1)
    assert.equal(store.events().length, 1)
    assert.ok('message' in decodeFrame(store.events()[0].frame))
  })
})
