/** A whole router on a disk that fails: it serves on, says what is wrong, and stores again by itself. */
import assert from 'node:assert/strict'
import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { PluggedRouter, temporaryFolder } from './plug.ts'
import { put, refusalOf, tells, textAt } from './plug-client.ts'
import { failingCard, fill, remount, smallDisk } from './small-disk.ts'

describe('a router on a disk that fails', { concurrency: true }, () => {
  it('a full disk: the router serves on, says so, and stores everything when there is room again', async (t) => {
    const folder = smallDisk(t)
    if (folder === null) return
    const router = await PluggedRouter.start(t, folder)
    const client = await router.connect('writer')
    await put(client, '/sync/before', 'stored')
    const ballast = join(folder, 'ballast')
    fill(ballast)

    await put(client, '/batched/during', 'first')
    const { summary } = await router.journalIs(({ state }) => state === 'memory', 'journal in memory')
    assert.match(summary, /in memory only since .*no space left in .*: free some/)
    await tells(client, 'state', /^memory$/)
    await tells(client, 'reason', /no space left in/)
    assert.match(router.log, /nothing is stored for now.*no space left in/)
    assert.match(await refusalOf(client, '/sync/during', 'not stored'), /^503 applied, but not stored: no space left/)
    assert.equal(await textAt(client, '/sync/during'), 'not stored')
    for (let i = 0; i < 300; i++) await put(client, `/batched/many/${i}`, `value ${i}`)
    await client.publish({
      address: '/events/during',
      signal: 'event',
      value: { type: 'string', value: 'it happened' },
    })

    rmSync(ballast)
    await router.journalIs(({ state }) => state === 'durable', 'journal that stores again')
    await tells(client, 'state', /^durable$/)
    await tells(client, 'reason', /^$/)
    assert.match(router.log, /stores again/)
    await put(client, '/sync/after', 'stored too')
    await router.journalIs(
      ({ pendingParams, pendingEntries, isCommitting }) => !isCommitting && pendingParams === 0 && pendingEntries === 0,
      'rest',
    )
    await router.pull()

    const back = await (await PluggedRouter.start(t, folder)).connect('reader')
    assert.equal(await textAt(back, '/sync/before'), 'stored')
    assert.equal(await textAt(back, '/sync/during'), 'not stored')
    assert.equal(await textAt(back, '/sync/after'), 'stored too')
    assert.equal((await back.snapshot('/batched/many/*')).length, 300)
  })

  it('a disk that is full at the start: what is stored comes back, and is stored on when there is room', async (t) => {
    const folder = smallDisk(t)
    if (folder === null) return
    const first = await PluggedRouter.start(t, folder)
    const before = await first.connect('writer')
    for (let i = 0; i < 50; i++) await put(before, `/sync/${i}`, `value ${i}`)
    const ballast = join(folder, 'ballast')
    fill(ballast)
    assert.match(await refusalOf(before, '/sync/0', 'too late'), /^503 .*no space left/)
    await first.pull()

    const router = await PluggedRouter.start(t, folder)
    const client = await router.connect('writer')
    assert.equal((await client.snapshot('/sync/*')).length, 50)
    assert.equal(await textAt(client, '/sync/0'), 'value 0')
    // A little fits into what the log had taken already.
    const large = 'x'.repeat(60_000)
    for (let i = 0; i < 14; i++) await put(client, `/batched/${i}`, large)
    await tells(client, 'reason', /no space left in/)
    rmSync(ballast)
    await router.journalIs(
      ({ state, pendingParams, isCommitting }) => !isCommitting && state === 'durable' && pendingParams === 0,
      'stored state',
    )
    await router.pull()
    const back = await (await PluggedRouter.start(t, folder)).connect('reader')
    assert.equal((await back.snapshot('/sync/*')).length, 50)
    assert.equal(await textAt(back, '/batched/13'), large)
  })

  it('a disk that is full before there is a database: the router serves, and makes one when there is room', async (t) => {
    const folder = smallDisk(t)
    if (folder === null) return
    const ballast = join(folder, 'ballast')
    fill(ballast)
    const router = await PluggedRouter.start(t, folder)
    const client = await router.connect('writer')
    assert.match(String((await router.journal()).facts.reason), /no space left in/)
    await put(client, '/batched/a', 'while full')
    rmSync(ballast)
    await router.journalIs(
      ({ state, pendingParams, isCommitting }) => !isCommitting && state === 'durable' && pendingParams === 0,
      'stored state',
    )
    await router.pull()
    const back = await (await PluggedRouter.start(t, folder)).connect('reader')
    assert.equal(await textAt(back, '/batched/a'), 'while full')
  })

  it('a disk that is read-only at the start: what is stored comes back, and is stored on when it can be written to', async (t) => {
    const folder = smallDisk(t)
    if (folder === null) return
    const first = await PluggedRouter.start(t, folder)
    const before = await first.connect('writer')
    for (let i = 0; i < 50; i++) await put(before, `/sync/${i}`, `value ${i}`)
    await first.pull()
    remount(folder, 'ro')

    const router = await PluggedRouter.start(t, folder)
    const client = await router.connect('writer')
    assert.equal((await client.snapshot('/sync/*')).length, 50)
    const { facts } = await router.journal()
    assert.equal(facts.state, 'memory')
    assert.match(String(facts.reason), /is read-only: mount it writable/)
    assert.match(router.log, /nothing is stored for now.*is read-only/)
    await tells(client, 'reason', /is read-only/)
    const old = await client.get('/sync/7')
    const { revision = 0 } = await client.set('/batched/7', { type: 'string', value: 'while read-only' })
    assert.match(await refusalOf(client, '/sync/7', 'newer'), /^503 .*read-only/)

    remount(folder, 'rw')
    await router.journalIs(({ state }) => state === 'durable', 'journal that stores again')
    await router.journalIs(({ pendingParams, isCommitting }) => !isCommitting && pendingParams === 0, 'rest')
    await router.pull()
    const back = await (await PluggedRouter.start(t, folder)).connect('reader')
    const found = await back.get('/batched/7')
    assert.deepEqual(found?.value, { type: 'string', value: 'while read-only' })
    assert.ok(Number(found?.revision) >= Number(revision))
    const newest = await back.get('/sync/7')
    assert.deepEqual(newest?.value, { type: 'string', value: 'newer' })
    assert.ok(Number(newest?.revision) > Number(old?.revision))
  })

  it('a card that fails and goes read-only under a running router: it serves on, and stores again once it is mounted anew', async (t) => {
    const card = failingCard(t)
    if (card === null) return
    const { folder } = card
    const router = await PluggedRouter.start(t, folder)
    const client = await router.connect('writer')
    for (let i = 0; i < 20; i++) await put(client, `/sync/${i}`, `value ${i}`)
    card.fail()
    // The kernel tells a write error or a read-only disk, as old as it is.
    const words = /the medium of .* fails .*look at .{0,2}dmesg|is read-only: mount it writable/
    const refusal = await refusalOf(client, '/sync/0', 'during')
    assert.match(refusal, /^503 applied, but not stored: /)
    assert.match(refusal, words)
    await put(client, '/batched/a', 'during')
    await tells(client, 'reason', words)
    assert.match(router.log, /nothing is stored for now/)
    assert.match(router.log, words)
    assert.equal(await textAt(client, '/sync/0'), 'during')

    await card.mountAgain()
    await router.journalIs(
      ({ state, pendingParams, isCommitting }) => !isCommitting && state === 'durable' && pendingParams === 0,
      'stored state',
    )
    await put(client, '/sync/after', 'stored')
    await router.pull()
    const back = await (await PluggedRouter.start(t, folder)).connect('reader')
    assert.equal((await back.snapshot('/sync/*')).length, 21)
    assert.equal(await textAt(back, '/sync/0'), 'during')
    assert.equal(await textAt(back, '/batched/a'), 'during')
  })

  for (const [name, remove] of Object.entries({
    'its database': (folder: string) => {
      for (const file of readdirSync(folder)) if (file.startsWith('journal.db')) rmSync(join(folder, file))
    },
    'its folder': (folder: string) => rmSync(folder, { recursive: true }),
  })) {
    it(`a router that has lost ${name} while it runs says so and makes a new one of what it knows`, async (t) => {
      const folder = join(temporaryFolder(t), 'journal')
      const router = await PluggedRouter.start(t, folder)
      const client = await router.connect('writer')
      for (let i = 0; i < 100; i++) await put(client, `/sync/${i}`, `value ${i}`)
      const { revision = 0 } = await client.set('/sync/last', { type: 'string', value: 'before' })
      remove(folder)

      await router.journalIs(({ state }) => state === 'memory', 'journal in memory')
      await tells(client, 'reason', /was deleted while in use/)
      assert.match(router.log, /nothing is stored for now.*was deleted while in use/)
      await put(client, '/batched/during', 'in memory')
      await router.journalIs(
        ({ state, pendingParams, isCommitting }) => !isCommitting && state === 'durable' && pendingParams === 0,
        'new database',
      )
      await put(client, '/sync/after', 'stored')
      await router.pull()

      const next = await PluggedRouter.start(t, folder)
      assert.equal((await next.journal()).facts.state, 'durable')
      const back = await next.connect('reader')
      assert.equal((await back.snapshot('/sync/*')).length, 102)
      assert.equal(await textAt(back, '/batched/during'), 'in memory')
      assert.equal(Number((await back.get('/sync/last'))?.revision), Number(revision))
    })
  }
})
