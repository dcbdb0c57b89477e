/** A device that is unplugged and plugged in again, under traffic. All thousand times: `npm run torture`. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { replugRun, told } from './proof-replug.ts'

test('a device that is replugged 60 times is in service again each time, and leaves nothing behind', async (t) => {
  const report = await replugRun(t, 60)
  t.diagnostic(told(report))
  // Half a second is usual at worst; the limit is for a machine that is busy with other tests.
  assert.ok(report.worstMs < 5000, `${report.worstMs} ms`)
  const { heapBytes, timers, ...counts } = report.growth
  assert.deepEqual(counts, { descriptors: 0, sessions: 0, devices: 0, ports: 0 })
  assert.ok(timers <= 3, `${timers} timers more`)
  assert.ok(heapBytes < 3_000_000, `${heapBytes} bytes more`)
})
