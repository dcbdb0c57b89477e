import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { BatchWriter } from '../../runtime/journal/batch.ts'
import { DatabaseFiles } from '../../runtime/journal/database-files.ts'
import { HistoryPages } from '../../runtime/journal/history-pages.ts'
import { HistoryReader } from '../../runtime/journal/history-reader.ts'
import type { ToWorker } from '../../runtime/journal/messages.ts'
import { loadSqlite } from '../../runtime/journal/sqlite.ts'
import { TableWriter } from '../../runtime/journal/table-writer.ts'
import { TimeBlocks } from '../../runtime/journal/time-blocks.ts'
import { systemClock } from '../../runtime/router/clock.ts'
import type { ReplayEntry, ReplaySink } from '../../runtime/router/journal.ts'
import { putEntry, T0, temporaryFolder } from './database-fixture.ts'

const EVERYTHING = { types: [], fromUs: 0, toUs: Number.MAX_SAFE_INTEGER }

class Reading implements ReplaySink {
  readonly entries: ReplayEntry[] = []
  ended: string | undefined | null = null
  isCancelled = false
  resume = () => {}

  entry(entry: ReplayEntry): boolean {
    this.entries.push(entry)
    return true
  }

  end(problem?: string): void {
    this.ended = problem
  }
}

function pageOf(id: number, seq: number, isLast: boolean, problem?: string) {
  const batch = new BatchWriter()
  batch.address(1, '/a')
  batch.author(1, 'x')
  putEntry(batch, 1, T0)
  const seqs = Float64Array.of(seq)
  return { type: 'page' as const, id, batch: batch.take(), seqs, lastSeq: seq, isLast, problem }
}

describe('history', () => {
  it('is read one page at a time, in turn, however many ask', () => {
    const sent: (ToWorker & { type: 'replay' })[] = []
    const reader = new HistoryReader((message) => sent.push(message as ToWorker & { type: 'replay' }))
    const readings = Array.from({ length: 4 }, () => new Reading())
    for (const reading of readings) reader.start({ ...EVERYTHING, pattern: '/a', limit: 100 }, reading)
    readings[2].isCancelled = true
    for (let seq = 1; seq <= 6; seq++) {
      assert.equal(sent.length, seq)
      reader.onPage(pageOf(sent[seq - 1].id, seq, seq > 3))
    }
    assert.deepEqual(
      sent.map(({ id }) => id),
      [1, 2, 4, 1, 2, 4],
    )
    assert.deepEqual(
      readings.map(({ ended }) => ended),
      [undefined, undefined, null, undefined],
    )
  })

  it('goes on behind a damaged entry, and says at the end what is missing', () => {
    const sent: ToWorker[] = []
    const reader = new HistoryReader((message) => sent.push(message))
    const reading = new Reading()
    reader.start({ ...EVERYTHING, pattern: '/a', limit: 100 }, reading)
    reader.onPage(pageOf(1, 10, false, '1 damaged entries were left out'))
    reader.onPage(pageOf(1, 20, true))
    assert.deepEqual(
      reading.entries.map(({ seq }) => seq),
      [10, 20],
    )
    assert.match(String(reading.ended), /damaged/)
  })

  it('is found for more patterns at once than are remembered, however many addresses there are', async (t) => {
    const sqlite = await loadSqlite()
    const files = new DatabaseFiles(temporaryFolder(t))
    files.create(sqlite)
    const connection = sqlite.open(files.path)
    t.after(() => connection.close())
    const writer = new TableWriter(connection, 0)
    connection.exec('BEGIN')
    for (let id = 1; id <= 20_000; id++) writer.address(id, `/a/${id}/x`)
    const value = new Uint8Array(8)
    writer.entry({ address: 1, author: 1, signal: 0, code: 7, revision: 1, timestampUs: T0, value })
    connection.exec('COMMIT')
    // Every look at the clock finds that the time for a page is over.
    let now = 0
    const clock = { ...systemClock, now: () => (now += 100) }
    const pages = new HistoryPages(connection, new TimeBlocks(connection, 1), clock)
    const open = new Map<string, number>()
    for (let i = 0; i < 12; i++) open.set(`/**/x${i}`, 0)
    for (let round = 0; open.size > 0; round++) {
      assert.ok(round < 100, `${open.size} never end`)
      for (const [pattern, afterSeq] of open) {
        const page = pages.page({ ...EVERYTHING, pattern }, afterSeq, 500, 1)
        if (page.isLast) open.delete(pattern)
        else open.set(pattern, page.lastSeq)
      }
    }
  })
})
