import assert from 'node:assert/strict'
import {
  closeSync,
  copyFileSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { loadSqlite } from '../../runtime/journal/sqlite.ts'
import { entriesOf, putEntry, putParam, startThread, T0, temporaryFolder } from './database-fixture.ts'

const PAGE = 4096
const PARAMS = 3000
const ENTRIES = 9000

/** A cleanly closed journal with 3000 params (revision = number of the address), 9000 entries and one event. */
async function filledFolder(t: TestContext): Promise<string> {
  const folder = temporaryFolder(t)
  const thread = startThread(t, folder)
  await thread.open()
  await thread.commit((batch) => {
    batch.author(1, 'ann')
    for (let id = 1; id <= PARAMS; id++) {
      batch.address(id, `/site/room${id}/temperature`)
      putParam(batch, id, id)
    }
    for (let i = 0; i < ENTRIES; i++) putEntry(batch, 1 + (i % PARAMS), T0 + i)
    batch.event(1, T0, Uint8Array.of(9))
    batch.meta('uplink:epoch', 'e')
  })
  await thread.close()
  return folder
}

function write(path: string, at: number, bytes: Uint8Array): void {
  const file = openSync(path, 'r+')
  writeSync(file, bytes, 0, bytes.length, at)
  closeSync(file)
}

/** Page numbers of a table's leaves, by what they hold. Source: sqlite.org/fileformat2.html §1.6. */
function leavesWith(path: string, text: string): number[] {
  const bytes = readFileSync(path)
  const pages: number[] = []
  for (let at = PAGE; at < bytes.length; at += PAGE)
    if (bytes[at] === 0x0d && bytes.subarray(at, at + PAGE).includes(text)) pages.push(at / PAGE)
  return pages
}

async function leavesOf(path: string, table: string): Promise<number[]> {
  const connection = (await loadSqlite()).open(path)
  const root = connection.prepare('SELECT rootpage FROM sqlite_master WHERE name = ?').all([table])[0][0] as number
  connection.close()
  const bytes = readFileSync(path)
  // One interior page is enough for these sizes: its cells begin with the number of the child.
  const at = (root - 1) * PAGE
  assert.equal(bytes[at], 0x05)
  const cells = bytes.readUInt16BE(at + 3)
  return Array.from({ length: cells }, (_, i) => bytes.readUInt32BE(at + bytes.readUInt16BE(at + 12 + 2 * i)))
}

const damagedIn = (folder: string) => readdirSync(folder).filter((name) => /damaged-[^-]+(-\d+)?$/.test(name))

describe('a damaged journal', () => {
  for (const table of ['params', 'addresses'])
    it(`gives back every param around a zeroed page of ${table}`, async (t) => {
      const folder = await filledFolder(t)
      const path = join(folder, 'journal.db')
      const leaves = await leavesOf(path, table)
      write(path, (leaves[leaves.length >> 1] - 1) * PAGE, new Uint8Array(PAGE))
      const thread = startThread(t, folder)
      const summary = await thread.open()
      const { recovered } = summary
      assert.ok(recovered !== undefined && summary.movedTo !== undefined && summary.wasCrash)
      assert.equal(summary.era, 1)
      // A page holds some hundred rows.
      assert.ok(recovered.params >= PARAMS - 200 && recovered.params < PARAMS, `${recovered.params} params`)
      assert.match(recovered.lost, /unreadable place/)
      assert.equal(thread.stored.size, recovered.params)
      for (const [address, { revision }] of thread.stored) assert.equal(address, `/site/room${revision}/temperature`)
      assert.equal(recovered.events, 1)
      assert.equal(thread.metas.get('uplink:epoch'), 'e')
      assert.equal(damagedIn(folder).length, 1)
      assert.equal((await thread.commit((batch) => batch.meta('uplink:epoch', 'f'))).type, 'committed')
      await thread.close()
      const again = startThread(t, folder)
      const second = await again.open()
      assert.deepEqual([second.movedTo, second.params], [undefined, recovered.params])
      await again.close()
    })

  it('loses one param to one flipped bit and never takes it for a value', async (t) => {
    const folder = await filledFolder(t)
    const path = join(folder, 'journal.db')
    const value = Buffer.alloc(8)
    value.writeDoubleBE(1234)
    const at = readFileSync(path).indexOf(value)
    assert.ok(at > 0)
    write(path, at + 3, Uint8Array.of(value[3] ^ 1))
    const thread = startThread(t, folder)
    const { recovered } = await thread.open()
    assert.deepEqual([recovered?.params, recovered?.lost], [PARAMS - 1, '1 params'])
    assert.equal(thread.stored.has('/site/room1234/temperature'), false)
    await thread.close()
  })

  it('loses the params of a text that was altered', async (t) => {
    const folder = await filledFolder(t)
    const path = join(folder, 'journal.db')
    const at = readFileSync(path).indexOf('/site/room777/temp')
    write(path, at + 6, Buffer.from('b'))
    assert.ok(leavesWith(path, '/site/boom777/temp').length > 0 || leavesWith(path, '/site/').length > 0)
    const thread = startThread(t, folder)
    const { recovered } = await thread.open()
    assert.equal(recovered?.params, PARAMS - 1)
    await thread.close()
  })

  for (const [what, spoil] of [
    ['garbage', (path: string) => writeFileSync(path, Buffer.alloc(50_000, 'no database '))],
    ['a zero-length file', (path: string) => truncateSync(path, 0)],
    ['a file whose first page is zeroed', (path: string) => write(path, 0, new Uint8Array(PAGE))],
    ['a newer schema', (path: string) => write(path, 60, Uint8Array.of(0, 0, 0, 9))],
  ] as const)
    it(`starts anew beside ${what}, which is kept`, async (t) => {
      const folder = await filledFolder(t)
      const path = join(folder, 'journal.db')
      spoil(path)
      const size = statSync(path).size
      const thread = startThread(t, folder)
      const summary = await thread.open()
      assert.ok(summary.movedTo !== undefined)
      assert.equal(statSync(summary.movedTo).size, size)
      assert.match(summary.recovered?.lost ?? '', what === 'a newer schema' ? /newer version.*schema 9/ : /all: /)
      assert.equal(thread.stored.size, 0)
      assert.equal((await thread.commit((batch) => batch.meta('uplink:a', 'b'))).type, 'committed')
      await thread.close()
    })

  it('keeps three damaged databases', async (t) => {
    const folder = temporaryFolder(t)
    for (let i = 0; i < 5; i++) {
      writeFileSync(join(folder, 'journal.db'), `garbage ${i}`)
      const thread = startThread(t, folder)
      await thread.open()
      await thread.close()
    }
    const kept = damagedIn(folder).map((name) => readFileSync(join(folder, name), 'utf8'))
    assert.deepEqual(kept.sort(), ['garbage 2', 'garbage 3', 'garbage 4'])
  })

  it('starts from a log that was cut anywhere with what was committed before the cut', async (t) => {
    const folder = temporaryFolder(t)
    const first = startThread(t, folder)
    await first.open()
    for (let n = 1; n <= 40; n++)
      await first.commit((batch) => {
        batch.author(1, 'ann')
        batch.address(1, '/a')
        putParam(batch, 1, n)
      })
    const size = statSync(join(folder, 'journal.db-wal')).size
    let newest = 41
    for (const part of [1, 0.9, 0.6, 0.3]) {
      // As a power cut would leave them: copied while they are in use.
      const copy = temporaryFolder(t)
      for (const name of ['journal.db', 'journal.db-wal']) copyFileSync(join(folder, name), join(copy, name))
      truncateSync(join(copy, 'journal.db-wal'), Math.floor(size * part))
      const thread = startThread(t, copy)
      assert.equal((await thread.open()).wasCrash, true)
      const revision = thread.stored.get('/a')?.revision ?? 0
      assert.ok(revision < newest && revision > 0, `revision ${revision} at ${part}`)
      if (part === 1) assert.equal(revision, 40)
      newest = revision
      await thread.close()
    }
    await first.close()
  })

  it('reports damage that shows up while running, and repairs it at the next opening', async (t) => {
    const folder = await filledFolder(t)
    const path = join(folder, 'journal.db')
    const leaves = await leavesOf(path, 'entries')
    const bad = leaves[leaves.length >> 2]
    const thread = startThread(t, folder)
    await thread.open()
    write(path, (bad - 1) * PAGE, new Uint8Array(PAGE))
    let page = await thread.page({})
    let found = 0
    while (!page.isLast) {
      found += entriesOf(page).length
      page = await thread.page({}, page.lastSeq)
    }
    assert.ok(found > 0 && found < ENTRIES)
    assert.match(page.problem ?? '', /damaged/)
    assert.equal((await thread.next('unavailable')).problem.kind, 'corrupt')
    assert.equal((await thread.commit((batch) => batch.meta('uplink:a', 'b'))).type, 'failed')
    const { recovered, movedTo } = await thread.open()
    assert.ok(movedTo !== undefined && recovered !== undefined)
    assert.equal(recovered.params, PARAMS)
    assert.ok(recovered.entries >= ENTRIES - 300 && recovered.entries < ENTRIES, `${recovered.entries} entries`)
    assert.equal((await thread.commit((batch) => batch.meta('uplink:a', 'b'))).type, 'committed')
    await thread.close()
  })
})
