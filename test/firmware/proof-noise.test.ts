/**
 * The firmware library against the runtime over a line that damages what it carries.
 *
 * A CRC of 16 bits lets some damaged frames pass: of the four thousand in ten million such bytes one in some hundred runs
 * (`firmware-protocol/README.md` §11). So a run that met one is made again with another seed; two in a row are a defect.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { noiseRun, told } from './proof-noise.ts'

const FAULTS = { flip: 1e-4, drop: 1e-4, dup: 1e-4, insert: 1e-4 }

test('three million bytes on a line that flips, drops, doubles and inserts lose no event and falsify no value', async (t) => {
  const interruptions = Array.from({ length: 10 }, (_, i) => (i % 2 === 0 ? ('a->b' as const) : ('b->a' as const)))
  const run = { bytes: 3_000_000, faults: FAULTS, interruptions, withinMs: 45_000 }
  let report = await noiseRun(t, { ...run, seed: 1 })
  t.diagnostic(told(report))
  if (report.wrong.length > 0) {
    t.diagnostic(`once more: a damaged frame passed its check (${report.wrong.join(', ')})`)
    report = await noiseRun(t, { ...run, seed: 3 })
  }
  assert.deepEqual(report.wrong, [])
  assert.ok(report.damaged > 1000 && report.badFrames.router > 50 && report.badFrames.device > 20, 'the line was bad')
  assert.ok(report.resent.router > 0 && report.resent.device > 0, 'both sides had to send again')
  assert.ok(report.events.received > 1000 && report.orders.received > 1000, 'there was traffic both ways')
})

test('what a lost link takes with it is all that is missing after many losses, and nothing comes twice', async (t) => {
  const report = await noiseRun(t, {
    seed: 2,
    bytes: 1_500_000,
    faults: FAULTS,
    interruptions: ['both', 'both', 'both'],
    withinMs: 60_000,
  })
  t.diagnostic(told(report))
  assert.deepEqual(report.wrong, [])
  assert.ok(report.losses >= 3, 'links were lost')
})
