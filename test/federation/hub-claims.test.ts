/** Who may have a namespace when two leaves want it, and the leaf that comes back. Federation reference §14, D15. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import type { Hub } from '../../runtime/federation/hub/hub.ts'
import { hubReport } from '../../runtime/federation/hub/hub-report.ts'
import type { Log } from '../../runtime/router/log.ts'
import { type Bench, int, type Peer } from '../router/fixture.ts'
import { SteppedClock } from '../router/stepped-clock.ts'
import { until } from '../until.ts'
import { declare, joinDeclared, joinLeaf, ScopeAuthorizer, startHub } from './hub-fixture.ts'

/** The ERROR 403 that a DECLARE is answered with. */
async function refusalOf(peer: Peer, patterns: string[], origin?: string): Promise<string> {
  declare(peer, patterns, origin)
  const { code, message, address } = await peer.next('ERROR')
  assert.deepEqual([code, address], [403, undefined])
  return message
}

async function accepts(peer: Peer, patterns: string[], origin?: string): Promise<void> {
  declare(peer, patterns, origin)
  assert.deepEqual(await peer.settle(), [{ type: 'ACK' }])
}

describe('two leaves', () => {
  let bench: Bench
  let hub: Hub
  let clock: SteppedClock
  let lines: { level: string; message: string; why: unknown }[]

  beforeEach(async () => {
    clock = new SteppedClock()
    lines = []
    const line =
      (level: string) =>
      (message: string, fields: object = {}) => {
        lines.push({ level, message, why: 'why' in fields ? fields.why : undefined })
      }
    const log: Log = { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') }
    const started = await startHub({ clock, log })
    bench = started.bench
    hub = started.hub
  })

  afterEach(() => bench.stop())

  it('with namespaces of their own get on', async () => {
    await joinDeclared(bench, 'left', ['/left', '/left/**', '/shared/left/**'])
    await joinDeclared(bench, 'right', ['/right/**', '/shared/right/**'])
    assert.equal(hub.statistics.peers.length, 2)
    assert.deepEqual([hub.statistics.refusals, hub.statistics.conflicts], [0, []])
  })

  it('that claim the same namespace: the second is refused in words that name the first and since when', async () => {
    const first = await joinDeclared(bench, 'left', ['/left/**', '/site/**'])
    const second = await joinLeaf(bench, 'right')
    clock.advance(1000)
    const words = await refusalOf(second, ['/right/**', '/site/stage/*'], 'right')
    assert.match(
      words,
      /^namespace \/site\/stage\/\* overlaps \/site\/\*\* of leaf 'left', connected from \S*127\.0\.0\.1:\d+ since 2023-11-14T22:13:25\.000Z: give each leaf namespaces of its own$/,
    )
    // And the operator of the hub sees it: in the log, once for all attempts, and in the statistics.
    await refusalOf(second, ['/right/**', '/site/stage/*'], 'right')
    const told = lines.filter(({ message }) => message === 'refused a leaf')
    assert.deepEqual(
      told.map(({ level, why }) => [level, why]),
      [
        ['warn', words],
        ['debug', words],
      ],
    )
    const [conflict] = hub.statistics.conflicts
    assert.deepEqual([conflict.routerId, conflict.holder, conflict.words, conflict.count], ['right', 'left', words, 2])
    assert.equal(hub.statistics.refusals, 2)
    // Neither has gained or lost anything.
    second.set('/site/stage/x', int(1))
    await second.next('ACK')
    assert.equal((await first.next('SET')).address, '/site/stage/x')
    assert.deepEqual(await second.settle(), [])
  })

  it('keep what they had when a further claim is refused', async () => {
    await joinDeclared(bench, 'left', ['/left/**'])
    const right = await joinDeclared(bench, 'right', ['/right/**'])
    await refusalOf(right, ['/**'], 'right')
    right.set('/right/x', int(1))
    assert.deepEqual(
      (await right.settle()).map(({ type }) => type),
      ['SET', 'ACK'],
    )
    right.set('/elsewhere', int(1))
    assert.equal((await right.next('ERROR')).code, 403)
    await accepts(right, ['/right/**', '/more/**'], 'right')
    assert.deepEqual(hub.statistics.conflicts, [])
  })

  it('may follow each other: with the first gone, the second is accepted and the conflict is over', async () => {
    const first = await joinDeclared(bench, 'left', ['/site/**'])
    const second = await joinLeaf(bench, 'right')
    await refusalOf(second, ['/site/**'], 'right')
    first.close()
    await until(() => hub.statistics.peers.length === 1, 'end of the first')
    assert.equal(hub.statistics.conflicts.length, 1)
    await accepts(second, ['/site/**'], 'right')
    assert.deepEqual(hub.statistics.conflicts, [])
  })

  it('are no conflict any more when neither has tried again for ten minutes', async () => {
    await joinDeclared(bench, 'left', ['/site/**'])
    await refusalOf(await joinLeaf(bench, 'right'), ['/site/**'], 'right')
    clock.advance(599_000)
    assert.equal(hub.statistics.conflicts.length, 1)
    clock.advance(1000)
    assert.deepEqual(hub.statistics.conflicts, [])
  })

  it('may follow each other when the first has fallen silent: it is closed with its connection, and is no zombie', async () => {
    const { bench, hub } = await startHub({ clock, listen: { clock, idleTimeoutMs: 300_000 } })
    try {
      const silent = await joinDeclared(bench, 'silent', ['/site/**'])
      const alive = await joinDeclared(bench, 'alive', ['/alive/**'])
      const second = await joinLeaf(bench, 'second')
      await refusalOf(second, ['/site/**'], 'second')
      // Whoever says anything is alive, though nothing is sent to it but answers.
      for (let i = 0; i < 5; i++) {
        clock.advance(90_000)
        for (const leaf of [alive, second]) assert.deepEqual(await leaf.settle(), [])
      }
      await silent.closed()
      assert.equal(hub.statistics.peers.length, 2)
      await accepts(second, ['/site/**'], 'second')
      alive.set('/site/x', int(1))
      assert.equal((await alive.next('ERROR')).code, 403)
      second.set('/alive/x', int(1))
      assert.equal((await second.next('ERROR')).code, 403)
    } finally {
      await bench.stop()
    }
  })

  it('that give no origin are taken as upstream takes them', async () => {
    const first = await joinLeaf(bench)
    await accepts(first, ['/**'])
    const second = await joinLeaf(bench)
    await accepts(second, ['/**'])
    const named = await joinLeaf(bench)
    await accepts(named, ['/site/**'], 'named')
    const writer = await bench.join('writer')
    writer.set('/site/x', int(1))
    await writer.next('ACK')
    for (const leaf of [first, second, named]) assert.equal((await leaf.next('SET')).address, '/site/x')
    assert.ok(!first.isClosed && !second.isClosed)
  })

  it('are one when they have the same id: the former session is closed at once, its lock freed', async () => {
    const stale = await joinDeclared(bench, 'left', ['/site/**'])
    stale.set('/site/x', int(1), { lock: true })
    await stale.settle()
    const anew = await joinLeaf(bench, 'left')
    await accepts(anew, ['/site/**'], 'left')
    await stale.closed()
    anew.set('/site/x', int(2))
    assert.deepEqual(
      (await anew.settle()).map(({ type }) => type),
      ['SET', 'ACK'],
    )
    assert.equal(hub.statistics.takeovers, 1)
    assert.deepEqual(
      hub.statistics.peers.map(({ session }) => session),
      [anew.session],
    )
  })

  it('that share an id do not displace each other for ever', async () => {
    let holder = await joinDeclared(bench, 'clone', ['/site/**'])
    for (let i = 0; i < 3; i++) {
      const next = await joinDeclared(bench, 'clone', ['/site/**'])
      await holder.closed()
      holder = next
    }
    const other = await joinLeaf(bench, 'clone')
    const words = await refusalOf(other, ['/site/**'], 'clone')
    assert.match(words, /^router id 'clone' is used by two leaves, the other connected from \S+ since \S+: give each/)
    assert.equal(hub.statistics.conflicts[0].words, words)
    assert.deepEqual(await holder.settle(), [])
    // As long as it tries; a leaf that comes back a minute later has its session.
    clock.advance(59_000)
    await refusalOf(other, ['/site/**'], 'clone')
    clock.advance(59_000)
    await refusalOf(other, ['/site/**'], 'clone')
    clock.advance(60_000)
    await accepts(other, ['/site/**'], 'clone')
    await holder.closed()
  })

  it('with names that nobody could read are told of in few words', async () => {
    const name = `\u001b[2J${'\u{1f600}'.repeat(10_000)}`
    const namespace = (i: number) => `/site/${'long'.repeat(200)}/${i}`
    await joinDeclared(bench, name, [namespace(1), namespace(2), namespace(3), namespace(4)])
    const other = await joinLeaf(bench, 'other')
    for (let i = 0; i < 150; i++) await refusalOf(other, ['/**'], `${name}${i}`)
    const { summary } = hubReport(hub.statistics)
    assert.ok(summary.length < 2500 && !/\p{Cc}/u.test(summary), summary)
    assert.equal(hub.statistics.conflicts.length, 100)
    const { why } = lines.filter(({ message }) => message === 'refused a leaf')[0]
    assert.ok(`${why}`.length < 500 && !/\p{Cc}/u.test(`${why}`), `${why}`)
  })

  it('do not displace each other by a claim that is refused', async () => {
    const left = await joinDeclared(bench, 'left', ['/left/**'])
    await joinDeclared(bench, 'right', ['/right/**'])
    const anew = await joinLeaf(bench, 'left')
    await refusalOf(anew, ['/left/**', '/right/**'], 'left')
    assert.deepEqual(await left.settle(), [])
    assert.equal(hub.statistics.takeovers, 0)
  })
})

describe('two leaves with tokens', () => {
  let bench: Bench
  let hub: Hub

  beforeEach(async () => {
    const started = await startHub({ authorizer: new ScopeAuthorizer() })
    bench = started.bench
    hub = started.hub
  })

  afterEach(() => bench.stop())

  it('never overlap, origin or not', async () => {
    await accepts(await joinLeaf(bench, 'left', 'left a:/**'), ['/site/**'])
    const second = await joinLeaf(bench, 'right', 'right a:/**')
    assert.match(await refusalOf(second, ['/site/x']), /overlaps \/site\/\*\* of leaf 'left'/)
    assert.match(await refusalOf(second, ['/**'], 'right'), /overlaps \/site\/\*\* of leaf 'left'/)
    await accepts(second, ['/other/**'])
    assert.equal(hub.statistics.refusals, 2)
  })

  it('cannot take over from each other by using the same id', async () => {
    const first = await joinDeclared(bench, 'left', ['/site/**'], 'left a:/**')
    const thief = await joinLeaf(bench, 'left', 'thief a:/**')
    assert.match(await refusalOf(thief, ['/site/**'], 'left'), /of leaf 'left'/)
    assert.deepEqual(await first.settle(), [])
    // With the same token it is the same leaf.
    const anew = await joinLeaf(bench, 'left', 'left a:/**')
    await accepts(anew, ['/site/**'], 'left')
    await first.closed()
  })
})
