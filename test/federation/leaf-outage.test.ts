import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import type { ConflictPolicy } from '../../runtime/federation/leaf/reconcile.ts'
import { isSameValue } from '../../runtime/federation/leaf/same-value.ts'
import { systemClock } from '../../runtime/router/clock.ts'
import { int, text } from '../router/fixture.ts'
import { until } from '../until.ts'
import { LeafBench, type LeafSetup } from './leaf-fixture.ts'
import { UpstreamHub } from './upstream-hub.ts'

/** A leaf and a hub that were equal once, and then lost each other. */
async function parted(t: TestContext, setup: Partial<LeafSetup> = {}) {
  const hub = await UpstreamHub.start(t)
  const leaf = new LeafBench(t, { url: hub.url, ...setup })
  for (let i = 0; i < 10; i++) leaf.set(`/site-a/p${i}`, int(i))
  await leaf.active()
  await leaf.settled()
  await hub.kill()
  await until(() => leaf.leaf.statistics.state !== 'active', 'loss of the link')
  return { hub, leaf }
}

/** Every param below the namespace is the same on both sides, but for the leaf's own records. */
async function equal(hub: UpstreamHub, leaf: LeafBench): Promise<void> {
  await until(() => differences(hub, leaf).length === 0, 'both sides equal').catch((error) => {
    throw new Error(`${error.message}: ${differences(hub, leaf).join('; ')}`)
  })
}

function differences(hub: UpstreamHub, leaf: LeafBench): string[] {
  const here = new Map<string, Value | undefined>()
  for (const { entry } of leaf.router.store.params) here.set(entry.text, leaf.get(entry.text))
  const addresses = new Set([...hub.params.keys(), ...here.keys()])
  return [...addresses].filter((address) => {
    if (!address.startsWith('/site-a/') || address.includes('/_leaf/')) return false
    const there = hub.params.get(address)?.value
    const ours = here.get(address)
    return there === undefined || ours === undefined || !isSameValue(there, ours)
  })
}

describe('a leaf whose hub was away', () => {
  for (const state of ['empty', 'snapshot', 'journal'] as const) {
    it(`fills a hub that was restarted with the state "${state}"`, async (t) => {
      const { hub, leaf } = await parted(t)
      for (let i = 0; i < 5; i++) leaf.set(`/site-a/p${i}`, int(100 + i))
      leaf.set('/site-a/new', text('made offline'))
      await hub.reopen({ state })
      await leaf.active()
      await equal(hub, leaf)
      assert.deepEqual(leaf.get('/site-a/p0'), int(100))
      assert.deepEqual(leaf.get('/site-a/p9'), int(9))
    })
  }

  it('fills a hub that was restarted empty after connections that found it full', async (t) => {
    const { hub, leaf } = await parted(t)
    for (const state of ['snapshot', 'snapshot', 'empty'] as const) {
      await hub.restart({ state })
      await until(() => leaf.leaf.statistics.state === 'active', 'the link')
      await equal(hub, leaf)
    }
    assert.deepEqual(hub.params.get('/site-a/p7')?.value, int(7))
  })

  it('knows a hub that has kept its state, and pushes nothing that the hub has', async (t) => {
    const hub = await UpstreamHub.start(t)
    const leaf = new LeafBench(t, { url: hub.url })
    for (let i = 0; i < 10; i++) leaf.set(`/site-a/p${i}`, int(i))
    await leaf.active()
    await leaf.settled()
    const before = hub.seen.sets.length
    hub.openSessions[0].connection.cut()
    await until(() => leaf.leaf.statistics.connections > 1, 'a new connection')
    await leaf.active()
    assert.deepEqual(
      hub.seen.sets.slice(before).filter(({ address }) => /p\d$/.test(address)),
      [],
    )
  })

  const outcomes: [ConflictPolicy, 'hub' | 'leaf'][] = [
    ['owner', 'leaf'],
    ['owner-strict', 'leaf'],
    ['hub', 'hub'],
    ['lww', 'hub'],
  ]
  for (const [conflict, winner] of outcomes) {
    it(`lets the ${winner} win under the policy ${conflict} when both have changed and the hub was later`, async (t) => {
      const hub = await UpstreamHub.start(t)
      const leaf = new LeafBench(t, {
        url: hub.url,
        policy: [{ pattern: '/site-a/**', conflict }],
        backOff: { baseMs: 300, capMs: 300 },
      })
      for (let i = 0; i < 10; i++) leaf.set(`/site-a/p${i}`, int(i))
      await leaf.active()
      await leaf.settled()
      hub.openSessions[0].connection.cut()
      await until(() => leaf.leaf.statistics.state === 'backoff', 'loss of the link')
      leaf.set('/site-a/p1', text('leaf'))
      await new Promise((resolve) => setTimeout(resolve, 20))
      hub.set('/site-a/p1', text('hub'))
      hub.set('/site-a/p2', text('only the hub'))
      await leaf.active()
      await equal(hub, leaf)
      assert.deepEqual(leaf.get('/site-a/p1'), text(winner))
      assert.deepEqual(leaf.get('/site-a/p2'), conflict === 'owner-strict' ? int(2) : text('only the hub'))
    })
  }

  for (const hours of [-1, 0, 1])
    it(`lets the later edit win under the policy lww, with a clock that is ${hours} h ahead`, async (t) => {
      const hub = await UpstreamHub.start(t)
      const leaf = new LeafBench(t, {
        url: hub.url,
        clock: { ...systemClock, wallUs: () => systemClock.wallUs() + hours * 3_600_000_000 },
        policy: [{ pattern: '/site-a/**', conflict: 'lww' }],
        backOff: { baseMs: 300, capMs: 300 },
      })
      leaf.set('/site-a/p', int(0))
      await leaf.active()
      await leaf.settled()
      hub.openSessions[0].connection.cut()
      await until(() => leaf.leaf.statistics.state === 'backoff', 'loss of the link')
      hub.set('/site-a/p', text('hub'))
      leaf.set('/site-a/q', text('leaf'))
      await new Promise((resolve) => setTimeout(resolve, 20))
      leaf.set('/site-a/p', text('leaf'))
      hub.set('/site-a/q', text('hub'))
      await leaf.active()
      await equal(hub, leaf)
      assert.deepEqual(leaf.get('/site-a/p'), text('leaf'))
      assert.deepEqual(leaf.get('/site-a/q'), text('hub'))
    })

  it('finds what REQUEST_SYNC lost: 1000 params with long addresses', async (t) => {
    const hub = await UpstreamHub.start(t)
    const leaf = new LeafBench(t, { url: hub.url, backOff: { baseMs: 300, capMs: 300 } })
    const address = (i: number) => `/site-a/a-long-branch/of-the-tree/param-${String(i).padStart(5, '0')}`
    for (let i = 0; i < 1000; i++) leaf.set(address(i), int(i))
    await leaf.active()
    await leaf.settled()
    hub.openSessions[0].connection.cut()
    await until(() => leaf.leaf.statistics.state === 'backoff', 'loss of the link')
    for (let i = 0; i < 1000; i += 100) hub.set(address(i), text('foreign'))
    const before = hub.seen.sets.length
    await leaf.active()
    await equal(hub, leaf)
    assert.deepEqual(leaf.get(address(300)), text('foreign'))
    assert.equal(hub.seen.sets.slice(before).filter((set) => set.address.includes('param-')).length, 0)
  })

  it('ends the params that have expired here at the hub as well', async (t) => {
    const { hub, leaf } = await parted(t)
    leaf.set('/site-a/p3', int(3), { ttl: { mode: 'absolute', seconds: 1 } })
    leaf.set('/site-a/short', int(1), { ttl: { mode: 'absolute', seconds: 1 } })
    await until(() => leaf.get('/site-a/p3') === undefined, 'the end of the param')
    await until(() => leaf.get('/site-a/short') === undefined, 'the end of the other')
    await hub.reopen({ state: 'snapshot' })
    await leaf.active()
    await until(() => hub.params.get('/site-a/p3')?.value.type === 'null', 'the removal')
    assert.equal(hub.params.has('/site-a/short'), false)
  })

  it('brings a million updates of 5000 params as 5000 values', async (t) => {
    const { hub, leaf } = await parted(t)
    for (let round = 0; round < 200; round++) {
      for (let i = 0; i < 5000; i++) leaf.set(`/site-a/many/${i}`, int(round * 5000 + i))
      await new Promise((resolve) => setImmediate(resolve))
    }
    const before = hub.seen.sets.length
    const startedAt = performance.now()
    await hub.reopen({ state: 'empty' })
    await leaf.active()
    await equal(hub, leaf)
    assert.ok(performance.now() - startedAt < 10_000, 'it took more than 10 s')
    assert.ok(hub.seen.sets.length - before <= 5020)
    t.diagnostic(`${Math.round(performance.now() - startedAt)} ms`)
  })
})
