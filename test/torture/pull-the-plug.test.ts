/** As test/journal/pull-the-plug.test.ts, hundreds of times. `npm run torture`. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { killAtBirth, pullThePlug, told } from '../journal/plug-run.ts'
import { cutThePower, told as toldCut } from '../journal/power-cut.ts'

const KILLS = Number(process.env.CLASP_PLUG_KILLS ?? 400)
const SEED = Number(process.env.CLASP_PLUG_SEED ?? Date.now() % 1_000_000)
const BIRTHS = Math.ceil(KILLS / 4)
const CUT_RUNS = 10

test(`nothing acknowledged as durable is missing after ${KILLS} kills, and nothing comes back older`, async (t) => {
  const report = await pullThePlug(t, KILLS, SEED)
  t.diagnostic(told(report))
  assert.deepEqual(report.problems, [])
})

test(`a first start that was killed leaves nothing to repair, ${BIRTHS} times`, async (t) => {
  assert.deepEqual(await killAtBirth(t, BIRTHS, SEED), [])
})

for (let run = 0; run < CUT_RUNS; run++) {
  test(`a medium that has not taken the end of the log holds everything up to some moment (run ${run})`, async (t) => {
    const report = await cutThePower(t, 8, SEED + run)
    t.diagnostic(toldCut(report))
    assert.deepEqual(report.problems, [])
  })
}
