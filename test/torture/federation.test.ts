/** As proof-hub-away.test.ts, a whole day each time; and as proof-schedules.test.ts, with CLASP_SCHEDULES seeds from CLASP_FIRST_SEED on. `npm run torture`. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaultLeafOptions } from '../../runtime/federation/leaf/leaf-options.ts'
import { LONG, ownRemote, timeWithout, upstreamRemote } from '../federation/hub-away.ts'
import { runSchedule } from '../federation/random-schedule.ts'
import { runStar } from '../federation/random-star.ts'

const FIRST_SEED = Number(process.env.CLASP_FIRST_SEED ?? 1000)
const SEEDS = Number(process.env.CLASP_SCHEDULES ?? 2000)

test(`leaf and hub agree after ${SEEDS} random schedules from seed ${FIRST_SEED} on`, async (t) => {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
    await t.test(`seed ${seed}`, async (part) => {
      const { violations, story } = await runSchedule(part, seed)
      assert.deepEqual(violations, [], story.join('\n'))
    })
  }
})

test(`three leaves agree after ${SEEDS} random schedules from seed ${FIRST_SEED} on`, async (t) => {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
    await t.test(`seed ${seed}`, async (part) => {
      const { violations, story } = await runStar(part, seed)
      assert.deepEqual(violations, [], story.join('\n'))
    })
  }
})

for (const [kind, remoteOf] of [
  ['upstream', upstreamRemote],
  ['own', ownRemote],
] as const) {
  for (const how of ['empty', 'an older snapshot', 'foreign writes in between'] as const) {
    for (const maxParams of [100, defaultLeafOptions.outbox.maxParams]) {
      test(`both sides are equal after a day and a million updates: ${kind} hub, ${how}, a queue of ${maxParams}`, (t) =>
        timeWithout(t, remoteOf, how, LONG, { ...defaultLeafOptions.outbox, maxParams }))
    }
  }
}
