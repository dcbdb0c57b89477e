import assert from 'node:assert/strict'
import { test } from 'node:test'
import { noCounts } from '../../runtime/firmware/narrow-counters.ts'
import { NarrowQueue } from '../../runtime/firmware/narrow-queue.ts'
import { heldBytes, MEGABYTE } from '../robustness/memory.ts'

const frame = Uint8Array.of(0x53, 1, 0, 1, 0x41)

test('addresses that were sent long ago take no memory', () => {
  const queue = new NarrowQueue(50, noCounts())
  const before = heldBytes()
  for (let i = 0; i < 300_000; i++) {
    queue.addValue(`=/an/address/that/is/used/once/${i}`, frame, i)
    assert.equal(queue.take(i), frame)
  }
  assert.ok(heldBytes() - before < 4 * MEGABYTE)
  assert.equal(queue.length, 0)
})

test('a rate below one a second is kept to as well', () => {
  const queue = new NarrowQueue(0.2, noCounts())
  queue.addValue('=/a', frame, 0)
  assert.equal(queue.take(0), frame)
  for (const now of [1500, 3000, 4999]) {
    queue.addValue('=/b', frame, now)
    queue.addValue('=/a', frame, now)
    queue.take(now)
    assert.equal(queue.take(now), undefined)
  }
  assert.equal(queue.nextAt(), 5000)
  assert.equal(queue.take(5000), frame)
})

test('does not wait for time when nothing does', () => {
  const queue = new NarrowQueue(50, noCounts())
  assert.equal(queue.nextAt(), Number.POSITIVE_INFINITY)
  queue.addLasting(frame)
  assert.equal(queue.nextAt(), Number.POSITIVE_INFINITY)
  queue.clear()
  assert.equal(queue.take(0), undefined)
})
