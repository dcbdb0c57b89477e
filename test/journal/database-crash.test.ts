import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { DatabaseThread, entriesOf, putEntry, putParam, startThread, T0, temporaryFolder } from './database-fixture.ts'

const ADDRESSES = 20
const KILLS = 8

/** In a process of its own: commits without end, and prints the number of each commit that was acknowledged. */
async function commitForEver(folder: string): Promise<void> {
  const thread = new DatabaseThread(folder)
  const { lastSeq, nextAddress } = await thread.open()
  for (let n = lastSeq + 1; ; n++) {
    const answer = await thread.commit((batch) => {
      if (nextAddress === 1 && n === 1) {
        batch.author(1, 'ann')
        for (let id = 1; id <= ADDRESSES; id++) batch.address(id, `/a/${id}`)
      }
      // Every address in every commit: a commit that is half there would show.
      for (let id = 1; id <= ADDRESSES; id++) putParam(batch, id, n)
      putEntry(batch, 1, T0 + n, { revision: n })
    })
    assert.equal(answer.type, 'committed')
    process.stdout.write(`${n}\n`)
  }
}

const child = process.env.CLASP_JOURNAL_CHILD
if (child !== undefined) await commitForEver(child)
else
  describe('a process that is killed while it commits', () => {
    it('has lost nothing that was acknowledged, and left no commit half done', async (t) => {
      const folder = temporaryFolder(t)
      let eras = 0
      for (let kill = 1; kill <= KILLS; kill++) {
        const env = { ...process.env, CLASP_JOURNAL_CHILD: folder }
        const victim = spawn(process.execPath, [fileURLToPath(import.meta.url)], {
          env,
          stdio: ['ignore', 'pipe', 'inherit'],
        })
        const exit = once(victim, 'exit')
        let acknowledged = 0
        let count = 0
        const lines = createInterface({ input: victim.stdout })
        for await (const line of lines) {
          acknowledged = Number(line)
          // Another moment each time, also inside a checkpoint.
          if (++count === kill * 37) victim.kill('SIGKILL')
        }
        await exit
        assert.ok(count >= kill * 37)
        const thread = startThread(t, folder)
        const summary = await thread.open()
        assert.ok(summary.wasCrash && summary.era > eras)
        eras = summary.era
        assert.equal(summary.movedTo, undefined)
        assert.ok(summary.lastSeq >= acknowledged, `${summary.lastSeq} of ${acknowledged}`)
        const revisions = new Set([...thread.stored.values()].map(({ revision }) => revision))
        assert.deepEqual([thread.stored.size, ...revisions], [ADDRESSES, summary.lastSeq])
        const page = await thread.page({}, summary.lastSeq - 10)
        assert.deepEqual(
          entriesOf(page).map(({ revision }) => revision),
          Array.from({ length: 10 }, (_, i) => summary.lastSeq - 9 + i),
        )
        await thread.close()
      }
    })

    it('comes back with 100 000 params within two seconds', async (t) => {
      const folder = temporaryFolder(t)
      const first = startThread(t, folder)
      await first.open()
      for (let from = 1; from <= 100_000; from += 5000)
        await first.commit((batch) => {
          batch.author(1, 'ann')
          for (let id = from; id < from + 5000; id++) {
            batch.address(id, `/site/building/room${id}/temperature`)
            putParam(batch, id, id)
          }
        })
      await first.close()
      const second = startThread(t, folder)
      await new Promise((resolve) => second.worker.once('online', resolve))
      const start = performance.now()
      const summary = await second.open()
      const tookMs = performance.now() - start
      t.diagnostic(`opened in ${tookMs.toFixed(0)} ms`)
      assert.equal(summary.params, 100_000)
      assert.equal(second.stored.get('/site/building/room70000/temperature')?.revision, 70_000)
      // Wide: the machine may be busy.
      assert.ok(tookMs < 10_000)
      await second.close()
    })
  })
