/** As proof-noise.test.ts, with many seeds and kinds of bad lines: 100 million bytes. `npm run torture`. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { noiseRun, told } from '../firmware/proof-noise.ts'
import type { Faults } from '../line/line.ts'

const SEEDS = 10
const BYTES = 2_000_000
const LINES: Record<string, Faults> = {
  'that flips bits': { flip: 4e-4 },
  'that drops bytes': { drop: 4e-4 },
  'that doubles bytes': { dup: 4e-4 },
  'that inserts bytes': { insert: 4e-4 },
  'with everything at once': { flip: 2e-4, drop: 2e-4, dup: 2e-4, insert: 2e-4 },
}

for (const [name, faults] of Object.entries(LINES)) {
  for (let seed = 1; seed <= SEEDS; seed++) {
    test(`a line ${name} loses no event and falsifies no value (seed ${seed})`, async (t) => {
      const report = await noiseRun(t, { seed, bytes: BYTES, faults, withinMs: 300_000 })
      t.diagnostic(told(report))
      assert.ok(report.damaged > 100, 'the line was bad')
      assert.deepEqual(report.wrong, [])
    })
  }
}

for (let seed = 1; seed <= SEEDS; seed++) {
  test(`only what a lost link takes with it is missing after ten losses, and nothing comes twice (seed ${seed})`, async (t) => {
    const interruptions = Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? ('both' as const) : ('b->a' as const)))
    const faults = LINES['with everything at once']
    const report = await noiseRun(t, { seed, bytes: BYTES, faults, interruptions, withinMs: 300_000 })
    t.diagnostic(told(report))
    assert.ok(report.losses >= 10, 'links were lost')
    assert.deepEqual(report.wrong, [])
  })
}
