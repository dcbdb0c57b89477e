import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { LONGEST_INTERVAL_MS, SHORTEST_INTERVAL_MS, WearBudget } from '../../runtime/journal/wear.ts'

const DAY_MS = 86_400_000
const BUDGET = 50_000_000

/** Commits as often as the budget allows for so long; returns the bytes. */
function write(budget: WearBudget, commitBytes: number, from: number, forMs: number): number {
  let bytes = 0
  for (let now = from; now < from + forMs; now += budget.intervalMs(now)) {
    budget.spend(commitBytes, now)
    bytes += commitBytes
  }
  return bytes
}

describe('wear budget', () => {
  it('holds for any day of changes that never stop, whatever a commit costs', () => {
    fc.assert(
      fc.property(fc.integer({ min: 4096, max: 100_000 }), (commitBytes) => {
        const bytes = write(new WearBudget(BUDGET, 0), commitBytes, 0, DAY_MS)
        assert.ok(bytes <= BUDGET + commitBytes, `${bytes} bytes in a day`)
        assert.ok(bytes > BUDGET * 0.8, `only ${bytes} bytes of the budget were used`)
      }),
      { numRuns: 15 },
    )
  })

  it('lets commits follow each other within a second while there is credit', () => {
    const budget = new WearBudget(BUDGET, 0)
    budget.spend(100_000, 0)
    assert.equal(budget.intervalMs(0), SHORTEST_INTERVAL_MS)
    assert.equal(budget.spares, false)
  })

  it('stretches the time between commits to five minutes at most', () => {
    const budget = new WearBudget(BUDGET, 0)
    budget.spend(1_000_000_000, 0)
    assert.equal(budget.spares, true)
    assert.equal(budget.intervalMs(0), LONGEST_INTERVAL_MS)
  })

  it('ends sparing when credit has come together again', () => {
    const budget = new WearBudget(BUDGET, 0)
    budget.spend(BUDGET / 4, 0)
    assert.equal(budget.spares, true)
    assert.equal(budget.intervalMs(DAY_MS / 4), SHORTEST_INTERVAL_MS)
    assert.equal(budget.spares, false)
  })

  it('goes on after a restart with what was left', () => {
    const spent = new WearBudget(BUDGET, 0)
    spent.spend(BUDGET / 4, 0)
    const restarted = new WearBudget(BUDGET, 0)
    restarted.resume(spent.creditBytes(0), 1000)
    assert.ok(restarted.creditBytes(0) < 1000)
    // A clock that was set back between the two gives nothing, and takes nothing.
    restarted.resume(5000, -1_000_000)
    assert.equal(restarted.creditBytes(0), 5000)
  })

  it('does not spare without a limit', () => {
    const budget = new WearBudget(0, 0)
    budget.spend(1e12, 0)
    assert.equal(budget.spares, false)
    assert.equal(budget.intervalMs(1), SHORTEST_INTERVAL_MS)
  })
})
