/** A power cut as far as a process can have one: SIGKILL at random moments under load. The long run: test/torture. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pullThePlug, told } from './plug-run.ts'

const SEED = Number(process.env.CLASP_PLUG_SEED ?? Date.now() % 1_000_000)

test('nothing acknowledged as durable is missing after 20 kills, and nothing comes back older', async (t) => {
  const report = await pullThePlug(t, 20, SEED)
  t.diagnostic(told(report))
  assert.deepEqual(report.problems, [])
})
