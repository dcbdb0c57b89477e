import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { afterEach, beforeEach, describe, it } from 'node:test'
import type { LogFields } from '../../runtime/router/log.ts'
import { int } from '../router/fixture.ts'
import { SteppedClock } from '../router/stepped-clock.ts'
import { until } from '../until.ts'
import { JournalBench } from './journal-bench.ts'
import { WorkerDouble } from './worker-double.ts'

describe('the journal when its database fails', () => {
  let double: WorkerDouble
  let bench: JournalBench
  const lines: { message: string; fields?: LogFields }[] = []
  const note = (message: string, fields?: LogFields) => lines.push({ message, fields })
  const log = { debug() {}, info: note, warn: note, error: note }
  const durability = [
    { pattern: '/now/**', mode: 'sync' as const },
    { pattern: '/soon/**', mode: 'batched' as const },
  ]

  beforeEach(() => {
    double = new WorkerDouble()
    lines.length = 0
  })
  afterEach(async () => {
    double.behave('obedient')
    await bench.end()
    rmSync(double.folder, { recursive: true, force: true })
  })

  const start = async (clock?: SteppedClock) => {
    const { folder, program } = double
    bench = await JournalBench.start({ folder, program, clock, log, journal: { durability } })
  }

  it('answers a sync SET with an ERROR that says why, and goes on in memory', async () => {
    await start()
    const peer = await bench.join()
    double.behave('full')
    peer.set('/now/a', int(1))
    const error = await peer.next('ERROR')
    assert.equal(error.code, 503)
    assert.equal(error.address, '/now/a')
    assert.match(error.message, /applied, but not stored: the disk is full/)
    // The database is known to be away: nothing waits for it any more.
    peer.set('/now/a', int(2))
    assert.equal((await peer.next('ERROR')).code, 503)
    peer.set('/other', int(3))
    assert.equal((await peer.next('ACK')).address, '/other')
    const { state, reason, durableWithinMs, pendingParams } = bench.journal.statistics
    assert.equal(state, 'memory')
    assert.match(reason, /make room/)
    assert.equal(durableWithinMs, null)
    assert.equal(pendingParams, 2)
  })

  it('says so once, however long it lasts, and once that it is over', async () => {
    const clock = new SteppedClock()
    await start(clock)
    const peer = await bench.join()
    double.behave('full')
    peer.set('/now/a', int(1))
    await peer.next('ERROR')
    for (let i = 0; i < 5; i++) {
      clock.advance(60_000)
      await peer.settle()
    }
    double.behave('obedient')
    await until(() => {
      clock.advance(1000)
      return bench.journal.statistics.state === 'durable'
    }, 'recovery')
    assert.deepEqual(
      lines.map(({ message }) => message).filter((message) => message.startsWith('journal')),
      ['journal: state restored', 'journal: nothing is stored for now', 'journal: stores again'],
    )
    await until(() => {
      clock.advance(100)
      return bench.journal.statistics.pendingParams === 0
    }, 'everything stored')
    peer.set('/now/a', int(2))
    assert.equal((await peer.next('ACK')).address, '/now/a')
  })

  it('starts in memory when there is no database, and stores everything when there is one', async () => {
    double.behave('full')
    const clock = new SteppedClock()
    await start(clock)
    const peer = await bench.join()
    for (let i = 0; i < 10; i++) peer.set(`/soon/${i}`, int(i))
    await peer.settle()
    assert.equal(bench.journal.statistics.state, 'memory')
    assert.equal(bench.journal.statistics.pendingParams, 10)
    assert.equal(bench.journal.uplink.isDurable, false)
    double.behave('obedient')
    await until(() => {
      clock.advance(1000)
      const { state, pendingParams, commits } = bench.journal.statistics
      return state === 'durable' && pendingParams === 0 && commits > 0
    }, 'recovery')
    assert.equal(bench.journal.uplink.isDurable, true)
  })

  it('starts a thread that has died anew, and loses nothing but the ACK', async () => {
    await start()
    const peer = await bench.join()
    double.behave('dying')
    peer.set('/now/a', int(1))
    assert.match((await peer.next('ERROR')).message, /code 7/)
    double.behave('obedient')
    await until(() => bench.journal.statistics.state === 'durable', 'a new thread')
    await until(() => bench.journal.statistics.pendingParams === 0, 'the value stored')
    peer.set('/now/a', int(2))
    assert.equal((await peer.next('ACK')).revision, 2)
  })

  it('gives up a thread that does not answer', async () => {
    const clock = new SteppedClock()
    await start(clock)
    const peer = await bench.join()
    double.behave('silent')
    peer.set('/now/a', int(1))
    peer.set('/other', int(1))
    await until(() => bench.router.answers.size > 0, 'the write to wait')
    clock.advance(31_000)
    assert.match((await peer.next('ERROR')).message, /not answered for 30 s/)
    await peer.next('ACK')
  })

  it('starts in memory without its program', async () => {
    bench = await JournalBench.start({ folder: double.folder, program: '/nowhere/worker.cjs', log })
    const peer = await bench.join()
    peer.set('/a', int(1))
    await peer.next('ACK')
    assert.equal(bench.journal.statistics.state, 'memory')
    assert.match(bench.journal.statistics.reason, /worker\.cjs/)
  })

  it('bounds what waits, and counts what it drops', async () => {
    const { folder, program } = double
    const record = [{ pattern: '/**', kinds: ['event' as const], maxRate: 0 }]
    double.behave('full')
    bench = await JournalBench.start({ folder, program, log, journal: { record, maxQueueBytes: 10_000 } })
    const peer = await bench.join()
    for (let i = 0; i < 500; i++) peer.send({ type: 'PUBLISH', address: '/e', signal: 'event', value: int(i) })
    await peer.settle()
    const { pendingEntries, lost, queueBytes } = bench.journal.statistics
    assert.equal(pendingEntries + lost, 500)
    assert.ok(queueBytes <= 10_000)
    assert.ok(lost > 0)
  })

  it('tells a REPLAY why there is none', async () => {
    double.behave('full')
    await start()
    const peer = await bench.join()
    peer.send({ type: 'REPLAY', pattern: '/**', types: [] })
    const error = await peer.next('ERROR')
    assert.equal(error.code, 500)
    assert.match(error.message, /the disk is full/)
  })

  it('stops within its time when the medium hangs', async () => {
    const clock = new SteppedClock()
    await start(clock)
    const peer = await bench.join()
    double.behave('silent')
    peer.set('/now/a', int(1))
    await until(() => bench.router.answers.size > 0, 'the write to wait')
    const stopped = bench.journal.stop()
    clock.advance(5000)
    await stopped
    assert.ok(lines.some(({ message }) => message.includes('stopped before everything was stored')))
  })

  it('leaves no timer behind', async () => {
    const clock = new SteppedClock()
    await start(clock)
    const peer = await bench.join()
    for (let i = 0; i < 5; i++) peer.set(`/soon/${i}`, int(i))
    await peer.settle()
    await bench.stop()
    assert.equal(clock.pendingTimers, 0)
  })
})
