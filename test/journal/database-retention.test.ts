import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { JournalStats } from '../../runtime/journal/messages.ts'
import { until } from '../until.ts'
import {
  type DatabaseThread,
  entriesOf,
  putEntry,
  putParam,
  startThread,
  temporaryFolder,
  UNLIMITED,
} from './database-fixture.ts'

async function addEntries(thread: DatabaseThread, times: readonly number[], bytes = 8): Promise<void> {
  for (let from = 0; from < times.length; from += 5000)
    await thread.commit((batch) => {
      batch.author(1, 'ann')
      batch.address(1, '/a')
      for (const time of times.slice(from, from + 5000))
        putEntry(batch, 1, time, { code: 9, value: new Uint8Array(bytes) })
    })
}

async function stats(thread: DatabaseThread) {
  thread.post({ type: 'stats', id: 1 })
  return (await thread.next('stats')).stats
}

/** Asks for retention, and again until the history is as it should be. */
async function retained(thread: DatabaseThread, isDone: (stats: JournalStats) => boolean) {
  thread.post({ type: 'retain' })
  let now = await stats(thread)
  let isAsking = false
  await until(() => {
    if (isDone(now)) return true
    if (isAsking) return false
    isAsking = true
    stats(thread).then((latest) => {
      now = latest
      isAsking = false
    })
    return false
  }, 'end of retention')
  return now
}

const nowUs = () => Date.now() * 1000

describe('retention', () => {
  it('forgets the oldest entries beyond a count, in slices, and keeps the state', async (t) => {
    const thread = startThread(t, temporaryFolder(t), { ...UNLIMITED, maxEntries: 1500 })
    await thread.open()
    await thread.commit((batch) => {
      batch.author(1, 'ann')
      batch.address(1, '/a')
      putParam(batch, 1, 3)
    })
    const start = nowUs()
    await addEntries(
      thread,
      Array.from({ length: 12_000 }, (_, i) => start + i),
    )
    const after = await retained(thread, ({ entries }) => entries <= 1500)
    assert.deepEqual([after.entries, after.firstSeq, after.lastSeq, after.params], [1500, 10_501, 12_000, 1])
    await thread.close()
  })

  it('forgets entries by age, also those that a wrong clock dated years ahead', async (t) => {
    const thread = startThread(t, temporaryFolder(t), { ...UNLIMITED, maxAgeMs: 3_600_000 })
    await thread.open()
    const now = nowUs()
    const [old, future] = [now - 7_200_000_000, now + 1e15]
    await addEntries(thread, [...Array(3000).fill(old), future, ...Array(10).fill(now)])
    const after = await retained(thread, ({ entries }) => entries <= 10)
    assert.deepEqual([after.entries, after.oldestUs >= old], [10, true])
    await thread.close()
  })

  it('keeps the database below a size, with room for new entries', async (t) => {
    const maxBytes = 3_000_000
    const thread = startThread(t, temporaryFolder(t), { ...UNLIMITED, maxBytes })
    await thread.open()
    const start = nowUs()
    for (let round = 0; round < 5; round++) {
      await addEntries(
        thread,
        Array.from({ length: 10_000 }, (_, i) => start + i),
        100,
      )
      await retained(thread, ({ fileBytes, freeBytes }) => fileBytes - freeBytes < maxBytes)
    }
    const { lastSeq, entries } = await stats(thread)
    assert.equal(lastSeq, 50_000)
    assert.ok(entries > 5000, `${entries} entries`)
    await thread.close()
  })

  it('keeps the newest 10 000 tombstones, and revisions go on above those of the others', async (t) => {
    const folder = temporaryFolder(t)
    const thread = startThread(t, folder)
    await thread.open()
    await thread.commit((batch) => {
      batch.author(1, 'ann')
      for (let id = 1; id <= 12_000; id++) {
        batch.address(id, `/a/${id}`)
        putParam(batch, id, id, { isRemoved: true })
      }
    })
    await retained(thread, ({ tombstones }) => tombstones <= 10_000)
    await thread.close()
    const later = startThread(t, folder)
    const summary = await later.open()
    assert.deepEqual(
      [summary.tombstones, later.stored.has('/a/2000'), later.stored.has('/a/2001')],
      [10_000, false, true],
    )
    assert.equal(summary.era, 1)
    await later.close()
  })
})

describe('texts that nothing names any more', () => {
  it('are removed at an opening, those of params and entries are not', async (t) => {
    const folder = temporaryFolder(t)
    const first = startThread(t, folder)
    await first.open()
    await first.commit((batch) => {
      for (let id = 1; id <= 4000; id++) {
        batch.author(id, `session ${id}`)
        batch.address(id, `/a/${id}`)
      }
      putParam(batch, 5, 1, { author: 7 })
      putEntry(batch, 6, nowUs(), { author: 8 })
    })
    await first.close()
    const second = startThread(t, folder)
    await second.open()
    const [{ address, author }] = entriesOf(await second.page({}))
    assert.deepEqual([second.stored.get('/a/5')?.writer, address, author], ['session 7', '/a/6', 'session 8'])
    await second.close()
    const third = startThread(t, folder)
    const { nextAddress, nextAuthor } = await third.open()
    assert.deepEqual([nextAddress, nextAuthor], [7, 9])
    await third.close()
  })
})
