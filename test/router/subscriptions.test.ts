import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import fc from 'fast-check'
import type { Message } from '../../firmware-protocol/wire/message.ts'
import { Pattern } from '../../firmware-protocol/wire/pattern.ts'
import type { Session } from '../../runtime/router/session.ts'
import { Subscription } from '../../runtime/router/subscription.ts'
import { SubscriptionIndex } from '../../runtime/router/subscription-index.ts'
import { Bench, float, int, type Peer } from './fixture.ts'

const sets = (messages: Message[]) => messages.flatMap((m) => (m.type === 'SET' ? [`${m.address} r${m.revision}`] : []))

describe('subscriptions', () => {
  let bench: Bench
  let writer: Peer
  before(async () => {
    bench = await Bench.start()
    writer = await bench.join('writer')
  })
  after(() => bench.stop())

  it('get the stored params that match, and nothing when none does', async () => {
    writer.set('/sub/stored', int(1))
    await writer.next('ACK')
    const peer = await bench.join()
    peer.subscribe(1, '/sub/*')
    const { params } = await peer.next('SNAPSHOT')
    assert.deepEqual(
      params.map(({ address }) => address),
      ['/sub/stored'],
    )
    peer.subscribe(2, '/nothing/here/**')
    assert.deepEqual(await peer.settle(), [])
  })

  it('include the parent in /a/**, in the snapshot as live', async () => {
    writer.set('/parent', int(1))
    await writer.next('ACK')
    const peer = await bench.join()
    peer.subscribe(1, '/parent/**')
    assert.equal((await peer.next('SNAPSHOT')).params[0].address, '/parent')
    writer.set('/parent', int(2))
    assert.equal((await peer.next('SET')).revision, 2)
  })

  it('echo a SET to its writer before the ACK, once however many of them match', async () => {
    const peer = await bench.join()
    for (const [i, pattern] of ['/echo/x', '/echo/*', '/echo/**', '/**/x'].entries()) peer.subscribe(i + 1, pattern)
    await peer.settle()
    peer.set('/echo/x', float(1), { ttl: { mode: 'sliding', seconds: 30 } })
    assert.deepEqual(await peer.next('SET'), {
      type: 'SET',
      address: '/echo/x',
      value: float(1),
      revision: 1,
      ttl: { mode: 'sliding', seconds: 30 },
    })
    await peer.next('ACK')
    assert.deepEqual(await peer.settle(), [])
  })

  it('filter by signal, with an empty mask for all', async () => {
    const params = await bench.join()
    const events = await bench.join()
    const all = await bench.join()
    params.subscribe(1, '/types/**', { types: ['param'] })
    events.subscribe(1, '/types/**', { types: ['event', 'stream'] })
    all.subscribe(1, '/types/**')
    for (const peer of [params, events, all]) await peer.settle()
    writer.set('/types/a', int(1))
    for (const signal of ['event', 'stream', 'timeline', 'param'] as const)
      writer.send({ type: 'PUBLISH', address: '/types/b', signal })
    await writer.settle()
    const kinds = async (peer: Peer) => (await peer.settle()).map((m) => (m.type === 'PUBLISH' ? m.signal : m.type))
    assert.deepEqual(await kinds(params), ['SET', 'param'])
    assert.deepEqual(await kinds(events), ['event', 'stream'])
    assert.deepEqual(await kinds(all), ['SET', 'event', 'stream', 'timeline', 'param'])
  })

  it('with a known id replace the older pattern, even at the limit', async () => {
    const small = await Bench.start({ options: { maxSubscriptionsPerSession: 2 } })
    try {
      const peer = await small.join()
      peer.subscribe(1, '/one')
      peer.subscribe(2, '/two')
      peer.subscribe(3, '/three')
      const error = await peer.next('ERROR')
      assert.deepEqual(
        [error.code, error.message, error.address],
        [429, 'Subscription limit reached (max 2)', '/three'],
      )
      peer.subscribe(1, '/three')
      peer.set('/one', int(1))
      peer.set('/three', int(1))
      assert.deepEqual(sets(await peer.settle()), ['/three r1'])
    } finally {
      await small.stop()
    }
  })

  it('end with UNSUBSCRIBE, which has no reply and ignores unknown ids', async () => {
    const peer = await bench.join()
    peer.subscribe(7, '/unsub')
    peer.send({ type: 'UNSUBSCRIBE', id: 8 })
    writer.set('/unsub', int(1))
    await writer.settle()
    assert.deepEqual(sets(await peer.settle()), ['/unsub r1'])
    peer.send({ type: 'UNSUBSCRIBE', id: 7 })
    await peer.settle()
    writer.set('/unsub', int(2))
    await writer.settle()
    assert.deepEqual(await peer.settle(), [])
  })

  for (const pattern of ['', 'x', '/a//b', '**']) {
    it(`refuse the pattern ${JSON.stringify(pattern)} with 202`, async () => {
      const peer = await bench.join()
      peer.subscribe(1, pattern)
      const error = await peer.next('ERROR')
      assert.equal(error.code, 202)
      assert.match(error.message, /^invalid address: /)
    })
  }

  it('take characters of other pattern languages as they are', async () => {
    const peer = await bench.join()
    peer.subscribe(1, '/glob/a(b')
    peer.subscribe(2, '/glob/{x,y}/*')
    writer.set('/glob/a(b', int(1))
    writer.set('/glob/x/1', int(1))
    writer.set('/glob/{x,y}/1', int(1))
    await writer.settle()
    assert.deepEqual(sets(await peer.settle()), ['/glob/a(b r1', '/glob/{x,y}/1 r1'])
  })
})

describe('the subscription index', () => {
  const segment = fc.constantFrom('a', 'b', 'ab', '*', '**', 'a*')
  const name = fc.constantFrom('a', 'b', 'ab', 'abc', '')
  const path = (part: fc.Arbitrary<string>) =>
    fc.array(part, { minLength: 1, maxLength: 5 }).map((parts) => `/${parts.join('/')}`)
  const patterns = fc.array(path(segment), { maxLength: 12 })

  it('finds what each pattern by itself matches, after additions and removals', () => {
    fc.assert(
      fc.property(patterns, patterns, path(name), (kept, removed, address) => {
        const index = new SubscriptionIndex()
        const make = (pattern: string, id: number) => new Subscription({} as Session, id, pattern, 0xff, undefined)
        const staying = kept.map(make)
        const leaving = removed.map(make)
        for (const subscription of [...leaving, ...staying]) index.add(subscription)
        for (const subscription of leaving) index.remove(subscription)
        const found = new Set(index.match(address).flatMap((node) => [...node.subscriptions]))
        const expected = staying.filter(({ pattern }) => {
          const parsed = Pattern.parse(pattern)
          return typeof parsed !== 'string' && parsed.matches(address)
        })
        assert.deepEqual(found, new Set(expected))
        assert.equal(index.size, staying.length)
      }),
      { numRuns: 3000 },
    )
  })
})
