import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import {
  type DatabaseThread,
  entriesOf,
  putEntry,
  putParam,
  startThread,
  T0,
  temporaryFolder,
} from './database-fixture.ts'

describe('the database thread', () => {
  it('makes an empty database where there is none, and its folder', async (t) => {
    const folder = join(temporaryFolder(t), 'a', 'b')
    const thread = startThread(t, folder)
    const summary = await thread.open()
    assert.deepEqual(
      { ...summary, bytes: 0 },
      {
        params: 0,
        tombstones: 0,
        entries: 0,
        lastSeq: 0,
        nextAddress: 1,
        nextAuthor: 1,
        nextEvent: 1,
        wasCrash: false,
        era: 0,
        bytes: 0,
      },
    )
    assert.equal(thread.stored.size, 0)
    await thread.close()
  })

  it('gives back every field of a param, a tombstone, an event and a meta text', async (t) => {
    const folder = temporaryFolder(t)
    const first = startThread(t, folder)
    await first.open()
    const value = Uint8Array.from({ length: 65_000 }, (_, i) => i)
    const mark = { hubRevision: 2 ** 40, flags: 5, editedAtUs: T0 + 5 }
    const answer = await first.commit((batch) => {
      batch.author(1, 'ann')
      batch.author(2, 'Bjørn 🎹')
      batch.address(1, '/a/ü')
      batch.address(2, '/a/gone')
      batch.address(3, '/a/empty')
      batch.param(1, 2, 9, false, 2 ** 52, T0, 2, 1500.5, value, mark)
      putParam(batch, 2, 12, { isRemoved: true })
      batch.param(3, 1, 0, false, 1, T0, 3, 9e9, new Uint8Array(0), null)
      batch.event(7, T0 + 1, Uint8Array.of(1, 2, 3))
      batch.event(8, T0 + 2, Uint8Array.of(4))
      batch.eventDone(8)
      batch.meta('uplink:epoch', 'x y')
    })
    assert.equal(answer.type, 'committed')
    await first.close()

    const second = startThread(t, folder)
    const summary = await second.open()
    assert.deepEqual(
      { params: summary.params, tombstones: summary.tombstones, wasCrash: summary.wasCrash, era: summary.era },
      { params: 2, tombstones: 1, wasCrash: false, era: 0 },
    )
    assert.deepEqual([summary.nextAddress, summary.nextAuthor, summary.nextEvent], [4, 3, 8])
    const row = second.stored.get('/a/ü')
    assert.deepEqual(
      { ...row, value: undefined },
      {
        address: 1,
        author: 2,
        code: 9,
        isRemoved: false,
        revision: 2 ** 52,
        timestampUs: T0,
        ttlMode: 2,
        ttlMs: 1500.5,
        value: undefined,
        mark,
        text: '/a/ü',
        writer: 'Bjørn 🎹',
      },
    )
    assert.deepEqual(row?.value, Buffer.from(value))
    assert.equal(second.stored.get('/a/gone')?.isRemoved, true)
    assert.equal(second.stored.get('/a/empty')?.ttlMs, 9e9)
    assert.deepEqual([...second.events], [[7, { expiresAtUs: T0 + 1, frame: Buffer.of(1, 2, 3) }]])
    assert.deepEqual([...second.metas], [['uplink:epoch', 'x y']])
    await second.close()
  })

  it('counts a start without a clean stop as a crash, and its era goes up', async (t) => {
    const folder = temporaryFolder(t)
    const first = startThread(t, folder)
    await first.open()
    await first.commit((batch) => {
      batch.author(1, 'ann')
      batch.address(1, '/a')
      putParam(batch, 1, 5)
    })
    await first.worker.terminate()
    const second = startThread(t, folder)
    const summary = await second.open()
    assert.deepEqual([summary.wasCrash, summary.era, second.stored.get('/a')?.revision], [true, 1, 5])
    await second.close()
    const third = startThread(t, folder)
    const { wasCrash, era } = await third.open()
    assert.deepEqual([wasCrash, era], [false, 1])
    await third.close()
  })

  it('refuses a second owner and names the process that has it', async (t) => {
    const folder = temporaryFolder(t)
    const first = startThread(t, folder)
    await first.open()
    const second = startThread(t, folder)
    const refusal = await second.tryOpen()
    assert.equal(refusal.type, 'unavailable')
    assert.ok(refusal.type === 'unavailable' && refusal.problem.kind === 'busy')
    assert.match(refusal.problem.words, /this process|process \d+/)
    await first.close()
    assert.equal((await second.tryOpen()).type, 'opened')
    await second.close()
  })

  it('answers a commit before the opening and after a bad batch with a failure, and goes on after the next opening', async (t) => {
    const folder = temporaryFolder(t)
    const thread = startThread(t, folder)
    assert.equal((await thread.commit((batch) => batch.meta('a', 'b'))).type, 'failed')
    await thread.open()
    thread.post({ type: 'commit', id: 99, batch: Uint8Array.of(200, 1, 2).buffer })
    const failure = await thread.next('failed')
    assert.equal(failure.id, 99)
    const summary = await thread.open()
    assert.equal(summary.wasCrash, false)
    assert.equal((await thread.commit((batch) => batch.meta('a', 'b'))).type, 'committed')
    await thread.close()
  })

  it('notices a deleted file, and makes a new one at the next opening', async (t) => {
    const folder = temporaryFolder(t)
    const thread = startThread(t, folder)
    await thread.open()
    for (const name of readdirSync(folder)) rmSync(join(folder, name))
    const failure = await thread.commit((batch) => batch.meta('uplink:a', 'b'))
    assert.ok(failure.type === 'failed' && failure.problem.kind === 'gone')
    await thread.open()
    assert.equal(thread.metas.size, 0)
    assert.equal((await thread.commit((batch) => batch.meta('uplink:a', 'c'))).type, 'committed')
    await thread.close()
    const after = startThread(t, folder)
    await after.open()
    assert.equal(after.metas.get('uplink:a'), 'c')
    await after.close()
  })

  it('tells unasked that the file was deleted while nothing was written', async (t) => {
    const folder = temporaryFolder(t)
    const thread = startThread(t, folder)
    await thread.open()
    rmSync(folder, { recursive: true })
    mkdirSync(folder)
    const { problem } = await thread.next('unavailable')
    assert.equal(problem.kind, 'gone')
    await thread.close()
  })

  it('keeps numbering entries where it stopped', async (t) => {
    const folder = temporaryFolder(t)
    const first = startThread(t, folder)
    await first.open()
    const fill = (count: number) => (batch: Parameters<Parameters<DatabaseThread['commit']>[0]>[0]) => {
      batch.author(1, 'ann')
      batch.address(1, '/a')
      for (let i = 0; i < count; i++) putEntry(batch, 1, T0 + i)
    }
    await first.commit(fill(3))
    await first.close()
    const second = startThread(t, folder)
    const summary = await second.open()
    assert.deepEqual([summary.entries, summary.lastSeq], [3, 3])
    await second.commit(fill(2))
    const page = await second.page({})
    assert.deepEqual(
      entriesOf(page).map(({ seq, address, author }) => [seq, address, author]),
      [1, 2, 3, 4, 5].map((seq) => [seq, '/a', 'ann']),
    )
    assert.equal(page.isLast, true)
    await second.close()
  })
})
