import assert from 'node:assert/strict'
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { importLine } from '../../runtime/cli/journal-line.ts'
import { type ExportParam, importEntries, openJournalForReading } from '../../runtime/journal/offline.ts'
import { HeldAnswers } from '../../runtime/router/held-answers.ts'
import type { Session } from '../../runtime/router/session.ts'
import { bytes, int } from '../router/fixture.ts'
import { SteppedClock } from '../router/stepped-clock.ts'
import { until } from '../until.ts'
import { JournalBench, type JournalSetup } from './journal-bench.ts'

describe('what was acknowledged', () => {
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
  const rule = (mode: 'sync' | 'batched') => ({ durability: [{ pattern: '/**', mode }] })

  it('comes back after a power cut, and not what was evicted for it', async () => {
    const setup = { router: { maxParams: 100 }, journal: rule('sync') }
    const first = await start(setup)
    const peer = await first.join()
    for (let i = 0; i < 300; i++) peer.set(`/a/${i}`, int(i))
    for (let i = 0; i < 300; i++) await peer.next('ACK')
    await first.crash()
    const second = await start(setup)
    const addresses = second.router.store.params.map(({ entry }) => entry.text)
    assert.deepEqual(
      addresses,
      Array.from({ length: 100 }, (_, i) => `/a/${200 + i}`),
    )
  })

  it('is acknowledged to a connection that has taken a new identity meanwhile', async () => {
    const bench = await start({ journal: rule('sync') })
    const peer = await bench.join()
    peer.set('/a', int(1))
    peer.send({ type: 'HELLO', version: 1, features: ['param'], name: 'again' })
    const answers = await peer.settle()
    assert.deepEqual(
      answers.flatMap((answer) => (answer.type === 'ACK' ? answer.address : [])),
      ['/a'],
    )
  })

  it('is not remembered for a session that its own echo has ended', () => {
    const answers = new HeldAnswers(() => 10)
    answers.expect({ isOpen: false } as Session, 1)
    assert.equal(answers.size, 0)
  })

  it('has a revision below those that follow when the database comes late', async () => {
    const first = await start()
    const peer = await first.join()
    for (let i = 0; i < 7; i++) peer.set('/a', int(i))
    await peer.settle()
    await first.stop()
    renameSync(folder, `${folder}-away`)
    writeFileSync(folder, 'in the way')
    const clock = new SteppedClock()
    const second = await start({ clock })
    assert.match(second.journal.statistics.reason, /is not a folder/)
    const again = await second.join()
    again.set('/a', int(8))
    await again.settle()
    rmSync(folder)
    renameSync(`${folder}-away`, folder)
    clock.advance(10_000)
    await until(() => second.journal.statistics.state === 'durable', 'the database')
    again.set('/a', int(9))
    assert.ok(Number((await again.next('ACK')).revision) > 7)
  })

  it('is written in commits of a bounded size, however large the values are', async () => {
    const bench = await start({ journal: rule('batched') })
    const local = bench.router.openLocal({ name: 'large' })
    for (let i = 0; i < 200; i++) local.send({ type: 'SET', address: `/large/${i}`, value: bytes(60_000) })
    await until(() => bench.journal.statistics.pendingParams === 0, 'all to be stored')
    const { commits } = bench.journal.statistics
    assert.ok(commits >= 10, `${commits} commits`)
  })

  it('keeps its revision when an older journal is imported over it', async () => {
    const param = (revision: number, timeUs: number): ExportParam => ({
      kind: 'param',
      address: '/a',
      author: 'x',
      revision,
      timeUs,
      value: int(revision),
      ttlMode: 1,
      ttlMs: 0,
    })
    await importEntries(folder, [param(50, 1000)])
    await importEntries(folder, [param(3, 2000)])
    const journal = await openJournalForReading(folder)
    const [stored] = journal.params()
    journal.close()
    assert.deepEqual([stored.revision, stored.value], [51, int(3)])
    const line = { kind: 'param', time: 1, author: 'x', address: '/a', revision: 1, type: 'null', ttlMode: 7, ttlMs: 0 }
    assert.throws(() => importLine(JSON.stringify(line), 'f:1'), /"ttlMode" 7 is unknown/)
  })
})
