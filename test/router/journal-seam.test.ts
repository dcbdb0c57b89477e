/** What the router does with a journal: ACKs that wait, REPLAY in pages, params that come back. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { AddressEntry } from '../../runtime/router/address-table.ts'
import type { Journal, ReplayEntry, ReplayQuery, ReplaySink, StoredParam } from '../../runtime/router/journal.ts'
import type { Param } from '../../runtime/router/param.ts'
import type { PublishView } from '../../runtime/router/publish-view.ts'
import { until } from '../until.ts'
import { Bench, float, int, type Peer, text } from './fixture.ts'

/** A journal in memory whose disk is as slow as the test says. */
class FakeJournal implements Journal {
  readonly sets: string[] = []
  readonly publishes: string[] = []
  readonly removed: string[] = []
  tickets = 0
  entries: ReplayEntry[] = []
  queries: ReplayQuery[] = []
  /** Entries handed over at a time, and how often the reader asked to wait. */
  waits = 0
  problem: string | undefined
  sink: ReplaySink | null = null

  onSet(entry: AddressEntry, param: Param): number {
    this.sets.push(`${entry.text}@${param.revision}`)
    return entry.text.startsWith('/sync/') ? ++this.tickets : 0
  }

  onPublish(entry: AddressEntry, view: PublishView): void {
    this.publishes.push(`${entry.text} ${view.signal}`)
  }

  onRemoved(entry: AddressEntry, param: Param): void {
    this.removed.push(`${entry.text}@${param.revision}`)
  }

  replay(query: ReplayQuery, sink: ReplaySink): void {
    this.queries.push(query)
    this.sink = sink
    let next = 0
    const go = (): void => {
      while (next < Math.min(this.entries.length, query.limit)) {
        if (sink.isCancelled) return
        if (!sink.entry(this.entries[next++])) {
          this.waits++
          return
        }
      }
      sink.end(this.problem)
    }
    sink.resume = go
    setImmediate(go)
  }
}

function entry(address: string, fields: Partial<ReplayEntry> = {}): ReplayEntry {
  const value = new Uint8Array(8)
  new DataView(value.buffer).setFloat64(0, 1.5)
  return { seq: 1, timestampUs: 1, author: 'a', address, signal: 0, code: 7, value, revision: 3, ...fields }
}

describe('a router with a journal', () => {
  let bench: Bench
  let peer: Peer
  let journal: FakeJournal

  before(async () => {
    bench = await Bench.start()
    journal = new FakeJournal()
    bench.router.journal = journal
    peer = await bench.join()
  })
  after(() => bench.stop())

  it('holds the ACK of a write that must be stored, and what is answered behind it, until it is', async () => {
    const other = await bench.join('other')
    other.subscribe(1, '/sync/**')
    await other.settle()
    peer.set('/sync/a', int(1))
    peer.set('/plain', int(2))
    peer.send({ type: 'PING' })
    // The broadcast does not wait for the disk.
    assert.equal((await other.next('SET')).address, '/sync/a')
    await until(() => journal.sets.includes('/plain@1'), 'both SETs')
    assert.deepEqual(peer.inbox, [])
    bench.router.releaseAnswers(journal.tickets)
    const answers = [await peer.next('ACK'), await peer.next('ACK'), await peer.next('PONG')]
    assert.deepEqual(
      answers.map((message) => ('address' in message ? message.address : message.type)),
      ['/sync/a', '/plain', 'PONG'],
    )
    other.close()
  })

  it('answers only what is stored: a later ticket goes on waiting', async () => {
    peer.set('/sync/b', int(1))
    peer.set('/sync/c', int(1))
    await until(() => journal.sets.includes('/sync/c@1'), 'both SETs')
    bench.router.releaseAnswers(journal.tickets - 1)
    assert.equal((await peer.next('ACK')).address, '/sync/b')
    await new Promise((resolve) => setImmediate(resolve))
    assert.deepEqual(peer.inbox, [])
    bench.router.releaseAnswers(journal.tickets)
    assert.equal((await peer.next('ACK')).address, '/sync/c')
    peer.set('/plain', int(3))
    assert.equal((await peer.next('ACK')).address, '/plain')
  })

  it('says so when it could not be stored, and only of those that were promised it', async () => {
    peer.set('/sync/d', int(1))
    peer.set('/plain', int(4))
    peer.send({ type: 'BUNDLE', messages: [{ type: 'SET', address: '/sync/e', value: int(1) }] })
    await until(() => journal.sets.includes('/sync/e@1'), 'all SETs')
    bench.router.refuseAnswers(journal.tickets, 503, 'applied, but not stored: the disk is full')
    const first = await peer.next('ERROR')
    assert.deepEqual([first.code, first.address], [503, '/sync/d'])
    assert.equal((await peer.next('ACK')).address, '/plain')
    assert.equal((await peer.next('ERROR')).code, 503)
  })

  it('forgets the answers of a client that has gone', async () => {
    const gone = await bench.join('gone')
    gone.set('/sync/f', int(1))
    await until(() => journal.sets.includes('/sync/f@1'), 'the SET')
    gone.close()
    await until(() => bench.router.answers.size === 0, 'the end of what waits')
  })

  it('hears of every SET and PUBLISH that is accepted, in bundles as well, and of no refused one', async () => {
    journal.sets.length = 0
    peer.set('/x', int(1))
    peer.set('/x', int(1), { revision: 77 })
    peer.send({ type: 'PUBLISH', address: '/e', signal: 'event', value: text('go') })
    peer.send({
      type: 'BUNDLE',
      messages: [
        { type: 'SET', address: '/y', value: int(1) },
        { type: 'PUBLISH', address: '/s', signal: 'stream', value: float(1) },
      ],
    })
    await peer.settle()
    assert.deepEqual(journal.sets, ['/x@1', '/y@1'])
    assert.deepEqual(journal.publishes.slice(-2), ['/e 1', '/s 2'])
  })

  it('replays entries as SET with their revision and PUBLISH with their signal, and PING marks the end', async () => {
    journal.entries = [
      entry('/a/1'),
      entry('/a/2', { revision: 0, signal: 1 }),
      entry('/a/3', { revision: 0, signal: 1, code: -1, value: new Uint8Array(0) }),
    ]
    peer.send({ type: 'REPLAY', pattern: '/a/**', types: [], from: 5, to: 9, limit: 2 })
    const answers = await peer.settle()
    assert.deepEqual(answers, [
      { type: 'SET', address: '/a/1', value: float(1.5), revision: 3 },
      { type: 'PUBLISH', address: '/a/2', signal: 'event', phase: 'start', value: float(1.5) },
    ])
    assert.deepEqual(journal.queries.at(-1), { pattern: '/a/**', types: [], fromUs: 5, toUs: 9, limit: 2 })
    peer.send({ type: 'REPLAY', pattern: '/a/**', types: [] })
    assert.equal((await peer.settle()).length, 3)
    assert.equal(journal.queries.at(-1)?.limit, 1000)
  })

  it('limits what is asked for to 10 000 entries, and reads on only as the client takes it', async () => {
    const value = new Uint8Array(8000)
    new DataView(value.buffer).setUint16(0, 7998)
    journal.entries = Array.from({ length: 3000 }, (_, i) => entry(`/big/${i}`, { code: 8, value }))
    peer.socket.pause()
    peer.send({ type: 'REPLAY', pattern: '/**', types: [], limit: 1_000_000 })
    await until(() => journal.waits > 10, 'a journal that waits')
    const queued = [...bench.router.sessionStatistics()].find(({ id }) => id === peer.session)?.queuedBytes ?? 0
    assert.ok(queued < 1_000_000, `${queued} bytes wait`)
    peer.socket.resume()
    const answers = await peer.settle()
    assert.equal(answers.length, 3000)
    assert.equal(journal.queries.at(-1)?.limit, 10_000)
  })

  it('tells why history cannot be read, and stops reading for a client that has gone', async () => {
    journal.entries = []
    journal.problem = 'the disk is gone'
    peer.send({ type: 'REPLAY', pattern: '/a/**', types: [] })
    const [error] = await peer.settle()
    assert.deepEqual(
      [error.type, 'code' in error && error.code, 'message' in error && error.message],
      ['ERROR', 500, 'Journal query failed: the disk is gone'],
    )
    journal.problem = undefined
    journal.entries = Array.from({ length: 100 }, (_, i) =>
      entry(`/c/${i}`, { code: 8, value: new Uint8Array(60_000) }),
    )
    const gone = await bench.join('gone')
    gone.socket.pause()
    gone.send({ type: 'REPLAY', pattern: '/c/**', types: [] })
    await until(() => journal.queries.at(-1)?.pattern === '/c/**', 'the REPLAY')
    gone.close()
    await until(() => journal.sink?.isCancelled === true, 'the end of the REPLAY')
  })
})

describe('params that come back', () => {
  const stored = (address: string, fields: Partial<StoredParam> = {}): StoredParam => ({
    ...entry(address),
    revision: 7,
    writer: 'before',
    timestampUs: Date.now() * 1000,
    ttlMode: 0,
    ttlMs: 0,
    ...fields,
  })

  it('have value, revision, writer and time, and count on from there', async () => {
    const bench = await Bench.start()
    const { timestampUs } = stored('/a')
    bench.router.restore(stored('/a', { timestampUs }))
    bench.router.restoreRevision('/gone', 41)
    const peer = await bench.join()
    peer.send({ type: 'GET', address: '/a' })
    const { params } = await peer.next('SNAPSHOT')
    assert.deepEqual(params, [
      { address: '/a', value: float(1.5), revision: 7, writer: 'before', timestamp: timestampUs },
    ])
    peer.set('/a', int(1), { revision: 7 })
    assert.equal((await peer.next('ACK')).revision, 8)
    peer.set('/gone', int(1))
    assert.equal((await peer.next('ACK')).revision, 42)
    await bench.stop()
  })

  it('are above the floor after a crash, where nobody knows what was lost', async () => {
    const bench = await Bench.start()
    bench.router.restore(stored('/a'))
    bench.router.setRevisionFloor(2 ** 32)
    const peer = await bench.join()
    peer.set('/a', int(1))
    peer.set('/new', int(1))
    peer.set('/a', int(1))
    assert.deepEqual(
      [(await peer.next('ACK')).revision, (await peer.next('ACK')).revision, (await peer.next('ACK')).revision],
      [2 ** 32 + 1, 2 ** 32 + 1, 2 ** 32 + 2],
    )
    await bench.stop()
  })

  it('keep what is left of their time to live, and are gone when it has run out', async () => {
    const bench = await Bench.start()
    const { router } = bench
    const ago = (seconds: number) => (Date.now() - seconds * 1000) * 1000
    router.restore(stored('/gone', { ttlMode: 2, ttlMs: 10_000, timestampUs: ago(11) }))
    router.restore(stored('/left', { ttlMode: 2, ttlMs: 10_000, timestampUs: ago(4) }))
    router.restore(stored('/never', { ttlMode: 1, timestampUs: ago(1e6) }))
    // A clock that is not set yet makes no param old.
    router.restore(stored('/future', { ttlMode: 3, ttlMs: 10_000, timestampUs: ago(-1e6) }))
    const left = (address: string) => (router.lookup(address)?.param?.expiresAt ?? Number.NaN) - router.now
    assert.ok(Number.isNaN(left('/gone')))
    assert.ok(Math.abs(left('/left') - 6000) < 500, `${left('/left')}`)
    assert.equal(left('/never'), Number.POSITIVE_INFINITY)
    assert.ok(Math.abs(left('/future') - 10_000) < 500)
    await bench.stop()
  })
})

describe('the uplink', () => {
  it('writes whatever lock, revision or strategy there is', async () => {
    const bench = await Bench.start({ options: { policies: [{ pattern: '/max', conflict: 'max' }] } })
    const peer = await bench.join()
    const hub = bench.router.openLocal({ name: 'hub', isForced: true })
    peer.set('/locked', int(1), { lock: true })
    peer.set('/max', int(9))
    await peer.settle()
    hub.send({ type: 'SET', address: '/locked', value: int(2) })
    hub.send({ type: 'SET', address: '/max', value: int(3) })
    hub.send({ type: 'SET', address: '/max', value: int(4), revision: 1 })
    for (const [address, value] of [
      ['/locked', 2],
      ['/max', 4],
    ] as const) {
      peer.send({ type: 'GET', address })
      assert.deepEqual((await peer.next('SNAPSHOT')).params[0].value, int(value))
    }
    await bench.stop()
  })

  it('follows the params that are written and expire, and may refuse writes of clients but not of parts', async () => {
    const bench = await Bench.start()
    const seen: string[] = []
    bench.router.observer = {
      onSet: ({ text: address }, param) => seen.push(`${address}@${param.revision}`),
      onRemoved: ({ text: address }) => seen.push(`-${address}`),
      refusal: ({ text: address }) => (address.startsWith('/far/') ? { code: 503, message: 'the hub is away' } : null),
    }
    const peer = await bench.join()
    peer.set('/near', int(1))
    peer.set('/far/x', int(1))
    const [, error] = await peer.settle()
    assert.deepEqual([error.type, 'code' in error && error.code], ['ERROR', 503])
    bench.router.openLocal({ name: 'hub' }).send({ type: 'SET', address: '/far/x', value: int(1) })
    assert.deepEqual(seen, ['/near@1', '/far/x@1'])
    await bench.stop()
  })
})
