import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { int } from '../router/fixture.ts'
import { JournalBench, type JournalSetup } from './journal-bench.ts'

describe('the router with a journal', () => {
  let folder: string
  const benches: JournalBench[] = []
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'clasp-review-'))
  })
  afterEach(async () => {
    for (const bench of benches.splice(0)) await bench.stop()
    rmSync(folder, { recursive: true, force: true })
  })
  const start = async (setup: JournalSetup = {}) => {
    const bench = await JournalBench.start({ folder, ...setup })
    benches.push(bench)
    return bench
  }
  const sync = { durability: [{ pattern: '/**', mode: 'sync' as const }] }
  const everything = { record: [{ pattern: '/**', kinds: ['param' as const], maxRate: 0 }] }

  it('answers what was asked behind a REPLAY behind it, also behind several', async () => {
    const bench = await start({ journal: everything })
    const peer = await bench.join()
    for (let i = 0; i < 20; i++) peer.set('/a', int(i))
    await peer.settle()
    for (let i = 0; i < 3; i++) peer.send({ type: 'REPLAY', pattern: '/a', types: [] })
    peer.set('/b', int(1))
    const answers = await peer.settle()
    assert.deepEqual(
      answers.map(({ type }) => type),
      [...new Array(60).fill('SET'), 'ACK'],
    )
  })

  it('answers what was asked behind a REPLAY and a large SUBSCRIBE, in either order', async () => {
    const bench = await start({ journal: everything })
    const local = bench.router.openLocal({ name: 'many' })
    for (let i = 0; i < 30_000; i++) local.send({ type: 'SET', address: `/many/${i}`, value: int(i) })
    const peer = await bench.join()
    for (let i = 0; i < 20; i++) peer.set('/a', int(i))
    await peer.settle()
    const behind = async (...messages: Parameters<typeof peer.send>[0][]) => {
      peer.socket.cork()
      for (const message of messages) peer.send(message)
      peer.send({ type: 'GET', address: '/a' })
      process.nextTick(() => peer.socket.uncork())
      const answers = await peer.settle()
      const replayed = answers.filter((answer) => answer.type === 'SET' && answer.address === '/a').length
      const params = answers.reduce((sum, answer) => sum + (answer.type === 'SNAPSHOT' ? answer.params.length : 0), 0)
      assert.deepEqual([replayed, params], [20, 30_002])
    }
    const replay = { type: 'REPLAY' as const, pattern: '/a', types: [] }
    await behind(replay, { type: 'SUBSCRIBE', id: 1, pattern: '/**', types: [] })
    peer.send({ type: 'UNSUBSCRIBE', id: 1 })
    await behind({ type: 'SUBSCRIBE', id: 2, pattern: '/**', types: [] }, replay)
  })

  it('has the newest params after a power cut where there is no room for all that is stored', async () => {
    const first = await start({ journal: sync })
    const peer = await first.join()
    for (let i = 0; i < 50; i++) peer.set(`/a/${i}`, int(i))
    for (let i = 0; i < 50; i++) await peer.next('ACK')
    // The one that was stored first was written last.
    peer.set('/a/0', int(100))
    await peer.next('ACK')
    await first.crash()
    const router = { maxParams: 20 }
    const addresses = ({ router }: JournalBench) => router.store.params.map(({ entry }) => entry.text).sort()
    const second = await start({ journal: sync, router })
    const kept = addresses(second)
    assert.equal(kept.length, 20)
    assert.ok(kept.includes('/a/0') && kept.includes('/a/49') && !kept.includes('/a/1'), String(kept))
    await second.stop()
    const third = await start({ journal: sync })
    assert.deepEqual(addresses(third), kept)
    const again = await third.join()
    again.set('/a/1', int(5))
    assert.ok(Number((await again.next('ACK')).revision) > 1)
  })

  it('lets no revision begin anew however many params have gone since', async () => {
    const bench = await start({ journal: sync, router: { maxParams: 10 } })
    const peer = await bench.join()
    for (let i = 0; i < 3; i++) peer.set('/a', int(i))
    for (let i = 0; i < 12_000; i++) peer.set(`/b/${i}`, int(i))
    for (let i = 0; i < 12_003; i++) await peer.next('ACK')
    peer.set('/a', int(9))
    assert.ok(Number((await peer.next('ACK')).revision) > 3)
  })
})
