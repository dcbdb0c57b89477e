import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { SIGNALS } from '../../firmware-protocol/wire/codes.ts'
import { Pattern } from '../../firmware-protocol/wire/pattern.ts'
import type { HistoryQuery } from '../../runtime/journal/messages.ts'
import {
  type DatabaseThread,
  entriesOf,
  type PageEntry,
  putEntry,
  startThread,
  T0,
  temporaryFolder,
} from './database-fixture.ts'

const HOUR_US = 3_600_000_000

/** All pages of a query, and how many there were. */
async function replay(thread: DatabaseThread, query: Partial<HistoryQuery>, maxEntries = 500) {
  const entries: PageEntry[] = []
  let pages = 0
  for (let after = 0; ; pages++) {
    const page = await thread.page(query, after, maxEntries)
    const found = entriesOf(page)
    assert.ok(found.length <= maxEntries)
    assert.ok(page.isLast || page.lastSeq > after || found.length === 0)
    entries.push(...found)
    if (page.isLast) return { entries, pages: pages + 1, problem: page.problem }
    after = page.lastSeq
  }
}

describe('replay pages', () => {
  it('are what a plain filter finds, whatever the pattern, the kinds, the times and the steps of the clock', async (t) => {
    const thread = startThread(t, temporaryFolder(t))
    await thread.open()
    const segment = fc.constantFrom('a', 'b', 'ab', 'zone1', 'zone2', 'ü', 'A', 'a_b')
    const address = fc.array(segment, { minLength: 1, maxLength: 4 }).map((segments) => `/${segments.join('/')}`)
    const entries = fc.record({
      address,
      signal: fc.nat(4),
      // Hours, not in order: the clock steps to and fro.
      time: fc.integer({ min: -3, max: 3 }).map((hours) => T0 + hours * HOUR_US),
      code: fc.constantFrom(-1, 0, 5, 8),
      revision: fc.constantFrom(0, 1, 2 ** 45),
      value: fc.uint8Array({ maxLength: 12 }),
    })
    const sample = fc.sample(entries, { numRuns: 10_000, seed: 41 })
    const ids = new Map<string, number>()
    for (let from = 0; from < sample.length; from += 700)
      await thread.commit((batch) => {
        batch.author(1, 'ann')
        for (const { address, signal, time, code, revision, value } of sample.slice(from, from + 700)) {
          if (!ids.has(address)) {
            ids.set(address, ids.size + 1)
            batch.address(ids.size, address)
          }
          putEntry(batch, ids.get(address) ?? 0, time + from, { signal, code, revision, value })
        }
      })
    const all = sample.map(({ address, signal, time, code, revision, value }, i) => ({
      seq: i + 1,
      address,
      author: 'ann',
      signal,
      code,
      revision,
      timestampUs: time + Math.floor(i / 700) * 700,
      value: Buffer.from(value).toString('hex'),
    }))
    const wildcard = fc.constantFrom('*', '**', 'zone*', '*b', 'a*', 'a', 'b', 'ü', 'a_b')
    const pattern = fc.array(wildcard, { minLength: 1, maxLength: 4 }).map((segments) => `/${segments.join('/')}`)
    const time = fc.integer({ min: -4, max: 4 }).map((hours) => T0 + hours * HOUR_US)
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(pattern, address),
        fc.subarray(SIGNALS),
        time,
        time,
        fc.integer({ min: 1, max: 500 }),
        async (pattern, types, fromUs, toUs, maxEntries) => {
          const parsed = Pattern.parse(pattern)
          if (typeof parsed === 'string') return
          const expected = all.filter(
            (entry) =>
              parsed.matches(entry.address) &&
              (types.length === 0 || types.includes(SIGNALS[entry.signal])) &&
              entry.timestampUs >= fromUs &&
              entry.timestampUs <= toUs,
          )
          const found = await replay(
            thread,
            { pattern, types, fromUs, toUs },
            Math.max(maxEntries, expected.length >> 4),
          )
          assert.deepEqual(found.entries, expected)
        },
      ),
      { numRuns: 40 },
    )
    await thread.close()
  })

  it('hold at most 64 KiB and one value more', async (t) => {
    const thread = startThread(t, temporaryFolder(t))
    await thread.open()
    await thread.commit((batch) => {
      batch.author(1, 'ann')
      batch.address(1, '/a')
      for (let i = 0; i < 20; i++) putEntry(batch, 1, T0 + i, { code: 9, value: new Uint8Array(30_000) })
    })
    const page = await thread.page({})
    assert.ok(page.batch.byteLength < 65_536 + 31_000)
    assert.equal((await replay(thread, {})).entries.length, 20)
    await thread.close()
  })

  it('that find nothing let commits in between, and entries that come meanwhile are found', async (t) => {
    const thread = startThread(t, temporaryFolder(t))
    await thread.open()
    const add = (from: number, count: number) =>
      thread.commit((batch) => {
        batch.author(1, 'ann')
        for (let id = from; id < from + count; id++) {
          batch.address(id, `/site/room${id}`)
          putEntry(batch, id, T0 + id)
        }
      })
    for (let i = 0; i < 6; i++) await add(1 + i * 20_000, 20_000)
    assert.deepEqual((await replay(thread, { pattern: '/site/*x' })).entries, [])
    assert.deepEqual(
      (await replay(thread, { pattern: '/**/room119999' })).entries.map(({ seq }) => seq),
      [119_999],
    )
    await add(500_000, 1)
    assert.equal((await replay(thread, { pattern: '/site/room500000' })).entries.length, 1)
    assert.equal((await replay(thread, { pattern: '/**/room500000' })).entries.length, 1)
    await thread.close()
  })

  it('say what is wrong with a pattern', async (t) => {
    const thread = startThread(t, temporaryFolder(t))
    await thread.open()
    const { isLast, problem } = await thread.page({ pattern: 'a//b' })
    assert.deepEqual([isLast, problem], [true, "address must start with '/': a//b"])
    await thread.close()
  })
})
