/** Random schedules of everything that can happen between a leaf and its hub. More of them: `npm run torture`. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runSchedule } from './random-schedule.ts'
import { runStar } from './random-star.ts'

const FIRST_SEED = 1
const SEEDS = 10
const STARS = 5

for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
  test(`leaf and hub agree after every round of a random schedule, and by policy (seed ${seed})`, async (t) => {
    const { violations, story } = await runSchedule(t, seed)
    assert.deepEqual(violations, [], story.join('\n'))
  })
}

for (let seed = FIRST_SEED; seed < FIRST_SEED + STARS; seed++) {
  test(`three leaves that write into each other agree after every round of a random schedule (seed ${seed})`, async (t) => {
    const { violations, story } = await runStar(t, seed)
    assert.deepEqual(violations, [], story.join('\n'))
  })
}
