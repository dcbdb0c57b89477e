import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import type { JournalOptions } from '../../runtime/journal/journal-options.ts'
import { someOf } from '../long-run.ts'
import { int } from '../router/fixture.ts'
import { SteppedClock } from '../router/stepped-clock.ts'
import { JournalBench } from './journal-bench.ts'

describe('the write budget', () => {
  const start = async (t: TestContext, journal: Partial<JournalOptions>) => {
    const clock = new SteppedClock()
    const bench = await JournalBench.start({ clock, journal })
    t.after(() => bench.end())
    const local = bench.router.openLocal({ name: 'sensors' })
    const set = (address: string, value: number) => local.send({ type: 'SET', address, value: int(value) })
    const pass = async (ms: number) => {
      clock.advance(ms)
      do await turn()
      while (bench.journal.statistics.isCommitting)
    }
    return { bench, clock, set, pass }
  }

  it('holds whatever the checkpoint interval is', async (t) => {
    const budgetBytesPerDay = 200_000
    const { bench, set, pass } = await start(t, { checkpointMs: 1000, budgetBytesPerDay })
    for (let second = 0; second < 600; second++) {
      for (let i = 0; i < 50; i++) set(`/b/${i}`, second * 100 + i)
      await pass(1000)
    }
    const { bytesWritten } = bench.journal.statistics
    assert.ok(bytesWritten < 2 * budgetBytesPerDay, `${bytesWritten} bytes`)
  })

  it('holds whoever asks for history how often', async (t) => {
    const budgetBytesPerDay = 200_000
    const { bench, set, pass } = await start(t, { budgetBytesPerDay })
    const peer = await bench.join()
    for (let second = 0; second < 400; second++) {
      for (let i = 0; i < 3; i++) set(`/b/${(second * 3 + i) % 300}`, second)
      peer.send({ type: 'REPLAY', pattern: '/none', types: [] })
      await peer.settle()
      await pass(1000)
    }
    const { bytesWritten, state } = bench.journal.statistics
    assert.equal(state, 'sparing')
    assert.ok(bytesWritten < 2 * budgetBytesPerDay, `${bytesWritten} bytes`)
  })

  for (const mode of someOf(['auto', 'memory'] as const)) {
    it(`is not used up by a checkpoint that never ends: ${mode} params that change faster than they are stored`, async (t) => {
      const { bench, clock, set } = await start(t, {
        budgetBytesPerDay: 0,
        checkpointMs: 20_000,
        durability: [{ pattern: '/**', mode }],
        record: [{ pattern: '/**', kinds: [] }],
      })
      let value = 0
      const change = () => {
        for (let i = 0; i < 5000; i++) set(`/b/${i}`, value)
        value++
      }
      let busyAt = 0
      for (let second = 0; second < 45; second++) {
        if (second === 20) busyAt = bench.journal.statistics.commits
        change()
        clock.advance(1000)
        await turn()
        // Everything changes anew with every commit, as on a slow card.
        for (let round = 0; round < 20 && bench.journal.statistics.isCommitting; round++) {
          const { commits } = bench.journal.statistics
          while (bench.journal.statistics.commits === commits) await turn()
          change()
          await turn()
        }
      }
      const commits = bench.journal.statistics.commits - busyAt
      assert.ok(commits >= 3 && commits <= 9, `${commits} commits`)
    })
  }
})
