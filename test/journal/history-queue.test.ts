import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { Durability } from '../../runtime/journal/durability.ts'
import { HistoryQueue, type TakeEntry } from '../../runtime/journal/history-queue.ts'
import { Slot } from '../../runtime/journal/slot.ts'
import { Writer } from '../../runtime/router/param.ts'

const slot = new Slot('/a', Durability.auto, [])
const author = new Writer('me')

function add(queue: HistoryQueue, revision: number, length: number): void {
  queue.add(slot, author, 0, 9, revision, revision, new Uint8Array(length).fill(revision), 0, length)
}

describe('history queue', () => {
  it('hands over every entry once it is stored, in order, whatever fails in between', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('add' as const), length: fc.nat(20_000) }),
      fc.record({ kind: fc.constant('hand over' as const), count: fc.nat(1500) }),
      fc.record({ kind: fc.constant('confirm' as const) }),
      fc.record({ kind: fc.constant('take back' as const) }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const queue = new HistoryQueue(1e9)
        const stored: number[] = []
        const lengths = new Map<number, number>()
        let underWay: number[] = []
        let added = 0
        const take: TakeEntry = (...[, , , , revision, , bytes, start, end]) => {
          underWay.push(revision)
          assert.equal(end - start, lengths.get(revision))
          if (end > start) assert.equal(bytes[end - 1], revision & 0xff)
        }
        for (const next of steps) {
          if (next.kind === 'add') {
            lengths.set(++added, next.length)
            add(queue, added, next.length)
          } else if (next.kind === 'hand over') {
            if (underWay.length === 0) queue.handOver(next.count, take)
          } else if (next.kind === 'confirm') {
            stored.push(...underWay)
            underWay = []
            queue.confirm()
          } else {
            underWay = []
            queue.takeBack()
          }
        }
        queue.takeBack()
        underWay = []
        queue.handOver(Infinity, take)
        queue.confirm()
        stored.push(...underWay)
        assert.deepEqual(
          stored,
          Array.from({ length: added }, (_, i) => i + 1),
        )
        assert.equal(queue.bytes, 0)
        assert.equal(queue.stored, added)
      }),
      { numRuns: 60 },
    )
  })

  it('holds more than a chunk of small entries', () => {
    const queue = new HistoryQueue(1e9)
    for (let i = 1; i <= 5000; i++) add(queue, i, 8)
    const seen: number[] = []
    queue.handOver(3000, (...[, , , , revision]) => seen.push(revision))
    queue.confirm()
    queue.handOver(3000, (...[, , , , revision]) => seen.push(revision))
    assert.equal(seen.length, 5000)
    assert.ok(seen.every((revision, i) => revision === i + 1))
  })

  it('drops and counts what does not fit', () => {
    const queue = new HistoryQueue(10_000)
    for (let i = 1; i <= 20; i++) add(queue, i, 1000)
    assert.ok(queue.bytes <= 10_000)
    assert.equal(queue.added + queue.lost, 20)
    assert.ok(queue.lost > 0)
  })
})
