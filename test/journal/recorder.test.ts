import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { int, type Peer, text } from '../router/fixture.ts'
import { SteppedClock } from '../router/stepped-clock.ts'
import { until } from '../until.ts'
import { JournalBench, type JournalSetup } from './journal-bench.ts'

describe('the journal', () => {
  let folder: string
  const benches: JournalBench[] = []

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'clasp-journal-'))
  })
  afterEach(async () => {
    for (const bench of benches.splice(0)) await bench.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  const start = async (setup: JournalSetup = {}): Promise<JournalBench> => {
    const bench = await JournalBench.start({ folder, ...setup })
    benches.push(bench)
    return bench
  }
  const get = async (peer: Peer, address: string) => {
    peer.send({ type: 'GET', address })
    const answers = await peer.settle()
    return answers.flatMap((message) => (message.type === 'SNAPSHOT' ? message.params : []))[0]
  }
  /** Lets time pass as slowly as the real database takes for its commits. */
  const pass = async ({ journal }: JournalBench, clock: SteppedClock, ms: number) => {
    for (let left = ms; left > 0; left -= 1000) {
      await until(() => !journal.statistics.isCommitting, 'the commit under way')
      clock.advance(Math.min(left, 1000))
      await turn()
    }
    await until(() => !journal.statistics.isCommitting, 'the commit under way')
  }
  const rule = (mode: 'sync' | 'batched' | 'memory' | 'auto') => ({ durability: [{ pattern: '/**', mode }] })

  it('brings every param back with value, revision, writer and stamp', async () => {
    const first = await start()
    const peer = await first.join()
    for (let i = 0; i < 3; i++) peer.set('/a/x', int(i))
    peer.set('/a/y', text('grün'))
    const before = await get(peer, '/a/x')
    await first.stop()
    const second = await start()
    assert.equal(second.journal.statistics.restored, 2)
    const again = await second.join()
    assert.deepEqual(await get(again, '/a/x'), before)
    assert.deepEqual((await get(again, '/a/y'))?.value, text('grün'))
    again.set('/a/x', int(9))
    assert.equal((await again.next('ACK')).revision, 4)
  })

  it('has what a sync SET was acknowledged for after a power cut right behind the ACK', async () => {
    const first = await start({ journal: rule('sync') })
    const peer = await first.join()
    for (let i = 0; i < 50; i++) peer.set(`/a/${i}`, int(i))
    for (let i = 0; i < 50; i++) assert.equal((await peer.next('ACK')).address, `/a/${i}`)
    await first.crash()
    const second = await start()
    const again = await second.join()
    for (let i = 0; i < 50; i++) assert.deepEqual((await get(again, `/a/${i}`))?.value, int(i))
  })

  it('stores a batched SET within a second, and many in one commit', async () => {
    const first = await start({ journal: rule('batched') })
    const peer = await first.join()
    for (let i = 0; i < 300; i++) peer.set(`/a/${i}`, int(i))
    await peer.settle()
    await until(() => first.journal.statistics.pendingParams === 0, 'commit')
    assert.ok(first.journal.statistics.commits <= 3)
    await first.crash()
    const second = await start()
    assert.equal(second.journal.statistics.restored, 300)
  })

  it('writes a memory address at a clean stop only', async () => {
    const first = await start({ journal: { ...rule('memory'), record: [{ pattern: '/**', kinds: [] }] } })
    const peer = await first.join()
    peer.set('/a', int(1))
    await peer.settle()
    await first.crash()
    const second = await start({ journal: rule('memory') })
    assert.equal(second.journal.statistics.restored, 0)
    const again = await second.join()
    again.set('/a', int(2))
    await again.settle()
    await second.stop()
    const third = await start()
    assert.equal(third.journal.statistics.restored, 1)
  })

  it('never lets a revision go backwards, whatever a crash has taken', async () => {
    let newest = 0
    for (let round = 0; round < 4; round++) {
      const bench = await start({ journal: rule('memory') })
      const peer = await bench.join()
      for (let i = 0; i < 5; i++) {
        peer.set('/a', int(i))
        const revision = Number((await peer.next('ACK')).revision)
        assert.ok(revision > newest, `${revision} after ${newest}`)
        newest = revision
      }
      if (round % 2 === 0) await bench.crash()
      else await bench.stop()
    }
  })

  it('goes on counting the revision of a param that has gone', async () => {
    const clock = new SteppedClock()
    const first = await start({ clock })
    const peer = await first.join()
    for (let i = 0; i < 7; i++) peer.set('/a', int(i), { ttl: { mode: 'sliding', seconds: 10 } })
    await peer.settle()
    await pass(first, clock, 60_000)
    assert.equal(await get(peer, '/a'), undefined)
    await first.stop()
    const second = await start()
    const again = await second.join()
    assert.equal(await get(again, '/a'), undefined)
    again.set('/a', int(1))
    assert.equal((await again.next('ACK')).revision, 8)
  })

  it('keeps the time to live running while the router is off', async () => {
    const clock = new SteppedClock()
    const first = await start({ clock })
    const peer = await first.join()
    peer.set('/short', int(1), { ttl: { mode: 'sliding', seconds: 60 } })
    peer.set('/long', int(1), { ttl: { mode: 'sliding', seconds: 600 } })
    peer.set('/fixed', int(1), { ttl: { mode: 'absolute', seconds: 300 } })
    await peer.settle()
    // A later write of an absolute time to live does not renew it.
    await pass(first, clock, 200_000)
    peer.set('/fixed', int(2))
    await peer.settle()
    await first.stop()
    clock.advance(90_000)
    const second = await start({ clock })
    const again = await second.join()
    assert.equal(await get(again, '/short'), undefined)
    assert.ok(await get(again, '/fixed'))
    await pass(second, clock, 20_000)
    assert.equal(await get(again, '/fixed'), undefined)
    assert.ok(await get(again, '/long'))
    await pass(second, clock, 400_000)
    assert.equal(await get(again, '/long'), undefined)
  })

  it('keeps all with a wall clock that is not set yet', async () => {
    const clock = new SteppedClock()
    const first = await start({ clock })
    const peer = await first.join()
    peer.set('/a', int(1), { ttl: { mode: 'sliding', seconds: 60 } })
    await peer.settle()
    await first.stop()
    const unset = new SteppedClock()
    unset.stepWall(-1_000_000_000_000)
    const second = await start({ clock: unset })
    const again = await second.join()
    assert.ok(await get(again, '/a'))
    await pass(second, unset, 61_000)
    assert.equal(await get(again, '/a'), undefined)
  })

  it('writes nothing for values that repeat', async () => {
    const clock = new SteppedClock()
    const bench = await start({ clock })
    const { journal, router } = bench
    const session = router.openLocal({ name: 'sensors' })
    const setAll = () => {
      for (let i = 0; i < 50; i++) session.send({ type: 'SET', address: `/s/${i}`, value: int(i) })
    }
    setAll()
    await pass(bench, clock, 1000)
    const { bytesWritten, commits } = journal.statistics
    for (let i = 0; i < 120; i++) {
      setAll()
      await pass(bench, clock, 1000)
    }
    assert.equal(journal.statistics.commits, commits)
    assert.equal(journal.statistics.bytesWritten, bytesWritten)
  })

  it('writes an address that keeps changing when it rests, and at each checkpoint', async () => {
    const clock = new SteppedClock()
    const bench = await start({ clock })
    const { journal, router } = bench
    const session = router.openLocal({ name: 'sensor' })
    const change = async (seconds: number) => {
      for (let i = 0; i < seconds * 2; i++) {
        session.send({ type: 'SET', address: '/s', value: int(clock.now()) })
        await pass(bench, clock, 500)
      }
    }
    await change(30)
    const { commits } = journal.statistics
    await change(250)
    assert.equal(journal.statistics.commits, commits)
    await change(60)
    assert.equal(journal.statistics.commits, commits + 1)
    await pass(bench, clock, 5000)
    assert.equal(journal.statistics.commits, commits + 2)
    assert.equal(journal.statistics.pendingParams, 0)
  })

  it('lets history of every SET through where a rule says so, and thins it elsewhere', async () => {
    const record = [
      { pattern: '/all/**', kinds: ['param' as const, 'event' as const], maxRate: 0 },
      { pattern: '/**', kinds: ['param' as const, 'event' as const] },
    ]
    const bench = await start({ journal: { record } })
    const { journal } = bench
    const peer = await bench.join()
    for (let i = 0; i < 100; i++) {
      peer.set('/all/a', int(i))
      peer.set('/some/a', int(i))
      peer.set('/same/a', int(7))
    }
    await peer.settle()
    const replayed = async (pattern: string) => {
      peer.send({ type: 'REPLAY', pattern, types: [] })
      return (await peer.settle()).flatMap((message) => (message.type === 'SET' ? [message.value] : []))
    }
    assert.deepEqual(
      await replayed('/all/**'),
      Array.from({ length: 100 }, (_, i) => int(i)),
    )
    const some = await replayed('/some/**')
    assert.ok(some.length >= 10 && some.length < 40, `${some.length} entries`)
    assert.deepEqual(some[some.length - 1], int(99))
    assert.equal((await replayed('/same/**')).length, 1)
    assert.ok(journal.statistics.thinned > 0)
  })

  it('replays what happened before the question, in pages, to a reader that takes its time', async () => {
    const record = [{ pattern: '/**', kinds: ['event' as const], maxRate: 0 }]
    const bench = await start({ journal: { record } })
    const { journal } = bench
    const peer = await bench.join()
    for (let i = 0; i < 3000; i++) {
      peer.send({ type: 'PUBLISH', address: `/e/${i % 7}`, signal: 'event', value: int(i) })
    }
    await peer.settle()
    const seen: number[] = []
    let end: string | undefined
    let isEnded = false
    const sink = {
      entry: ({ seq }: { seq: number }) => {
        seen.push(seq)
        return seen.length % 100 !== 0
      },
      end: (problem?: string) => {
        isEnded = true
        end = problem
      },
      resume: () => {},
      isCancelled: false,
    }
    const all = { pattern: '/**', types: [], fromUs: 0, toUs: Number.MAX_SAFE_INTEGER }
    journal.replay({ ...all, limit: 2500 }, sink)
    await until(() => {
      sink.resume()
      return isEnded
    }, 'the end')
    assert.equal(end, undefined)
    assert.equal(seen.length, 2500)
    assert.ok(seen.every((seq, i) => i === 0 || seq > seen[i - 1]))
    // One that has gone gets nothing more, not even an end.
    seen.length = 0
    isEnded = false
    journal.replay({ ...all, limit: 2500 }, sink)
    await until(() => seen.length === 100, 'the first entries')
    sink.isCancelled = true
    sink.resume()
    await peer.settle()
    assert.equal(seen.length, 100)
    assert.equal(isEnded, false)
  })

  it('brings back late what could not be read at the start, and keeps what was written since', async () => {
    const clock = new SteppedClock()
    const first = await start({ clock })
    const before = await first.join()
    before.set('/a', int(1))
    before.set('/b', int(1))
    await before.settle()
    await first.stop()
    const away = `${folder}-away`
    renameSync(folder, away)
    // Where the folder should be there is a file: the medium is not mounted.
    writeFileSync(folder, '')
    const second = await start({ clock })
    const peer = await second.join()
    assert.equal(second.journal.statistics.state, 'memory')
    peer.set('/b', int(2))
    await peer.settle()
    rmSync(folder)
    renameSync(away, folder)
    await until(() => {
      clock.advance(1000)
      return second.journal.statistics.state === 'durable'
    }, 'the database')
    assert.deepEqual((await get(peer, '/a'))?.value, int(1))
    assert.deepEqual((await get(peer, '/b'))?.value, int(2))
    await second.stop()
    const third = await start({ clock })
    const again = await third.join()
    assert.deepEqual((await get(again, '/a'))?.value, int(1))
    assert.deepEqual((await get(again, '/b'))?.value, int(2))
  })

  it('writes everything again when the database was deleted under it', async () => {
    const bench = await start()
    const peer = await bench.join()
    const kept = bench.journal.uplink.addEvent(Uint8Array.of(1), 5)
    bench.journal.uplink.setMeta('epoch', '7')
    for (let i = 0; i < 100; i++) peer.set(`/a/${i}`, int(i))
    await peer.settle()
    await until(() => bench.journal.statistics.pendingParams === 0, 'commit')
    for (const name of readdirSync(folder)) if (name.startsWith('journal.db')) rmSync(join(folder, name))
    let value = 0
    await until(() => {
      peer.set('/b', int(++value))
      return bench.journal.statistics.state === 'memory'
    }, 'the loss to be noticed')
    await until(() => bench.journal.statistics.state === 'durable', 'a new database')
    await until(() => bench.journal.statistics.pendingParams === 0, 'commit')
    await bench.crash()
    const again = await start()
    assert.equal(again.journal.statistics.restored, 101)
    assert.equal(again.journal.uplink.meta('epoch'), '7')
    assert.deepEqual(
      again.journal.uplink.events().map(({ id }) => id),
      [kept],
    )
    const revived = await again.join()
    assert.deepEqual((await get(revived, '/a/99'))?.value, int(99))
  })

  it('does not store what the router tells of itself', async () => {
    const first = await start()
    first.router
      .openLocal({ name: 'self' })
      .send({ type: 'SET', address: '/_clasp/name', value: text('x'), ttl: { mode: 'never' } })
    await first.stop()
    const second = await start()
    assert.equal(second.journal.statistics.restored, 0)
  })

  it('keeps the memory of the uplink: texts, marks and events', async () => {
    const first = await start()
    const { uplink } = first.journal
    const peer = await first.join()
    uplink.describe = () => ({ hubRevision: 12, flags: 1, editedAtUs: 34 })
    peer.set('/a', int(1))
    uplink.setMeta('epoch', '7')
    const kept = uplink.addEvent(Uint8Array.of(1, 2, 3), 99)
    const gone = uplink.addEvent(Uint8Array.of(4), 99)
    const late = uplink.addEvent(Uint8Array.of(5), 99)
    uplink.removeEvent(gone)
    await peer.settle()
    await until(() => first.journal.statistics.pendingParams === 0 && !uplink.hasUnsaved, 'commit')
    uplink.removeEvent(late)
    const entry = first.router.lookup('/a')
    assert.ok(entry)
    uplink.describe = () => ({ hubRevision: 13, flags: 0, editedAtUs: 35 })
    uplink.markChanged(entry)
    await first.stop()
    const second = await start()
    const restored = second.journal.uplink
    assert.equal(restored.meta('epoch'), '7')
    assert.deepEqual([...restored.marks()], [['/a', { hubRevision: 13, flags: 0, editedAtUs: 35 }]])
    assert.deepEqual(
      restored.events().map(({ id, frame, expiresAtUs }) => [id, [...frame], expiresAtUs]),
      [[kept, [1, 2, 3], 99]],
    )
    assert.ok(restored.addEvent(Uint8Array.of(6), 1) > kept)
  })

  it('restores 100 000 params in moderate time', async () => {
    const many = 100_000
    const first = await start()
    const session = first.router.openLocal({ name: 'many' })
    for (let i = 0; i < many; i++) {
      session.send({ type: 'SET', address: `/site/room/${i}`, value: int(i), ttl: { mode: 'never' } })
    }
    await first.stop()
    const began = performance.now()
    const second = await start()
    const ms = Math.round(performance.now() - began)
    assert.equal(second.journal.statistics.restored, many)
    assert.ok(ms < 10_000, `${ms} ms`)
  })
})
