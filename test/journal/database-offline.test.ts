import assert from 'node:assert/strict'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import {
  type ExportLine,
  importEntries,
  JournalError,
  openJournalForReading,
  vacuum,
} from '../../runtime/journal/offline.ts'
import { putEntry, putParam, startThread, T0, temporaryFolder } from './database-fixture.ts'

const LINES: ExportLine[] = [
  {
    kind: 'entry',
    seq: 1,
    timeUs: T0,
    author: 'ann',
    address: '/a',
    signal: 'param',
    value: { type: 'i64', value: 2n ** 60n },
    revision: 3,
  },
  { kind: 'entry', seq: 2, timeUs: T0 + 1, author: 'bob', address: '/b', signal: 'event', value: null, revision: 0 },
  {
    kind: 'entry',
    seq: 3,
    timeUs: T0 + 2,
    author: 'bob',
    address: '/b',
    signal: 'event',
    value: { type: 'null' },
    revision: 0,
  },
  {
    kind: 'param',
    timeUs: T0,
    author: 'ann',
    address: '/a',
    value: { type: 'map', value: [['x', { type: 'bytes', value: Uint8Array.of(1, 255) }]] },
    revision: 3,
    ttlMode: 2,
    ttlMs: 500,
  },
]

async function exported(folder: string): Promise<ExportLine[]> {
  const reader = await openJournalForReading(folder)
  const lines = [...reader.entries(), ...reader.params()]
  assert.equal(
    reader.damaged(),
    0,
    JSON.stringify(lines, (_, v) => (typeof v === 'bigint' ? String(v) : v)),
  )
  reader.close()
  return lines
}

describe('the journal without a router', () => {
  it('takes in what it gave out', async (t) => {
    const [from, to] = [temporaryFolder(t), temporaryFolder(t)]
    assert.deepEqual(await importEntries(from, LINES), { entries: 3, params: 1, olderParams: 0 })
    const lines = await exported(from)
    assert.deepEqual(lines, LINES)
    await importEntries(to, lines)
    assert.deepEqual(await exported(to), LINES)
    assert.deepEqual(await importEntries(to, LINES.slice(3)), { entries: 0, params: 0, olderParams: 1 })
  })

  it('gives the router what was imported', async (t) => {
    const folder = temporaryFolder(t)
    await importEntries(folder, LINES)
    const thread = startThread(t, folder)
    const { wasCrash, lastSeq } = await thread.open()
    assert.deepEqual([wasCrash, lastSeq, thread.stored.get('/a')?.ttlMs], [false, 3, 500])
    await thread.close()
  })

  it('is read while a router writes to it, and not written to', async (t) => {
    const folder = temporaryFolder(t)
    const thread = startThread(t, folder)
    await thread.open()
    await thread.commit((batch) => {
      batch.author(1, 'ann')
      batch.address(1, '/a')
      putParam(batch, 1, 4)
      putEntry(batch, 1, T0)
    })
    const reader = await openJournalForReading(folder)
    assert.equal([...reader.entries()].length, 1)
    await thread.commit((batch) => putEntry(batch, 1, T0 + 1))
    assert.deepEqual(
      [...reader.entries(1)].map(({ timeUs }) => timeUs),
      [T0 + 1],
    )
    const { entries, params, lastSeq } = reader.stats()
    assert.deepEqual([entries, params, lastSeq], [2, 1, 2])
    reader.close()
    const isBusy = (error: Error) => error instanceof JournalError && error.kind === 'busy'
    await assert.rejects(importEntries(folder, LINES), isBusy)
    await assert.rejects(vacuum(folder), isBusy)
    await thread.close()
    await vacuum(folder)
  })

  it('gives free space back', async (t) => {
    const folder = temporaryFolder(t)
    const thread = startThread(t, folder, { maxAgeMs: 0, maxEntries: 1, maxBytes: 0 })
    await thread.open()
    const value = new Uint8Array(500)
    new DataView(value.buffer).setUint16(0, value.length - 2)
    await thread.commit((batch) => {
      batch.author(1, 'ann')
      batch.address(1, '/a')
      for (let i = 0; i < 1900; i++) putEntry(batch, 1, T0 + i, { code: 9, value })
    })
    thread.post({ type: 'retain' })
    for (let entries = 1900; entries > 1; ) {
      thread.post({ type: 'stats', id: 1 })
      entries = (await thread.next('stats')).stats.entries
    }
    await thread.close()
    const { before, after } = await vacuum(folder)
    assert.ok(after < before / 4, `${before} to ${after}`)
    assert.equal(statSync(join(folder, 'journal.db')).size, after)
    assert.equal((await exported(folder)).length, 1)
  })

  it('says where there is none', async (t) => {
    await assert.rejects(openJournalForReading(join(temporaryFolder(t), 'no')), /does not exist: name the folder/)
    await assert.rejects(openJournalForReading(temporaryFolder(t)), /no journal\.db in/)
  })
})
