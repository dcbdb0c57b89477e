/** As proof-replug.test.ts, a thousand times. `npm run torture`. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { replugRun, told } from '../firmware/proof-replug.ts'

test('a device that is replugged 1000 times is in service again each time, and leaves nothing behind', async (t) => {
  const report = await replugRun(t, 1000)
  t.diagnostic(told(report))
  assert.ok(report.worstMs < 5000, `${report.worstMs} ms`)
  const { heapBytes, timers, ...counts } = report.growth
  assert.deepEqual(counts, { descriptors: 0, sessions: 0, devices: 0, ports: 0 })
  assert.ok(timers <= 3, `${timers} timers more`)
  assert.ok(heapBytes < 4_000_000, `${heapBytes} bytes more`)
})
