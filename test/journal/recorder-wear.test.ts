import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { startJournal } from '../../runtime/journal/journal.ts'
import { defaultJournalOptions, type JournalOptions } from '../../runtime/journal/journal-options.ts'
import type { JournalStatistics } from '../../runtime/journal/statistics.ts'
import { silentLog } from '../../runtime/router/log.ts'
import { defaultRouterOptions } from '../../runtime/router/options.ts'
import { Router } from '../../runtime/router/router.ts'
import { int } from '../router/fixture.ts'
import { SteppedClock } from '../router/stepped-clock.ts'
import { realProgram } from './journal-bench.ts'

const DAY_SECONDS = 86_400

describe('what reaches the medium', () => {
  let folder: string
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'clasp-wear-'))
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  /** Runs so many simulated seconds; `step` is called for each, or ten times a second. Returns the statistics, with the bytes of a clean stop. */
  async function run(
    name: string,
    seconds: number,
    perSecond: number,
    step: (set: (address: string, value: number) => void, tick: number) => void,
    journal: Partial<JournalOptions> = {},
  ): Promise<JournalStatistics> {
    const clock = new SteppedClock()
    const router = new Router({ ...defaultRouterOptions }, { clock, log: silentLog })
    const options = { ...defaultJournalOptions, folder: join(folder, name), ...journal }
    const running = await startJournal(options, { router, clock, log: silentLog, program: realProgram })
    router.journal = running
    const session = router.openLocal({ name: 'sensors' })
    const set = (address: string, value: number) => session.send({ type: 'SET', address, value: int(value) })
    for (let tick = 0; tick < seconds * perSecond; tick++) {
      step(set, tick)
      clock.advance(1000 / perSecond)
      // The clock waits for the medium, as the medium's own time does.
      do await turn()
      while (running.statistics.isCommitting)
    }
    const { statistics } = running
    await running.stop()
    router.stop()
    return { ...statistics, bytesWritten: running.statistics.bytesWritten }
  }

  it('is below 50 MB a day for 200 params that change ten times a second', async () => {
    const [burst, seconds] = [60, 1260]
    const all = (set: (address: string, value: number) => void, tick: number) => {
      for (let i = 0; i < 200; i++) set(`/site/sensors/${i}/value`, tick * 200 + i)
    }
    const first = await run('burst', burst, 10, all)
    const { bytesWritten } = await run('day', seconds, 2, all)
    assert.ok(first.bytesWritten < 4_000_000, `${first.bytesWritten} bytes in the first minute`)
    // The first seconds, in which nobody knows yet that these are sensors, cost most, and come once.
    const perDay = bytesWritten + ((bytesWritten - first.bytesWritten) / seconds) * DAY_SECONDS
    assert.ok(perDay < 50_000_000, `${perDay} bytes a day`)
  })

  it('is within the budget of params that change too seldom to be sensors', async () => {
    const seconds = 2 * 3600
    const budget = 12_000_000
    const statistics = await run(
      'seldom',
      seconds,
      0.5,
      (set, tick) => {
        for (let i = 0; i < 50; i++) set(`/site/slow/${i}`, tick)
      },
      { budgetBytesPerDay: budget },
    )
    assert.equal(statistics.state, 'sparing')
    assert.match(statistics.reason, /write budget is used up/)
    // A quarter of a day's budget at once, then its even flow, and what a commit overdraws.
    const allowed = budget / 4 + (budget * 0.75 * seconds) / DAY_SECONDS + 500_000
    assert.ok(statistics.bytesWritten < allowed, `${statistics.bytesWritten} bytes, ${allowed} allowed`)
  })

  it('does not delay what a rule promises, with or without budget', async () => {
    const statistics = await run(
      'promised',
      300,
      0.5,
      (set, tick) => {
        set('/promised', tick)
        set('/other', tick)
      },
      { budgetBytesPerDay: 10_000, durability: [{ pattern: '/promised', mode: 'batched' }] },
    )
    assert.equal(statistics.state, 'sparing')
    assert.ok(statistics.commits >= 140, `${statistics.commits} commits`)
  })
})
