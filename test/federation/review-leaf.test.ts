/** What a reviewer found: each of these once went wrong. */
import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { ValueCode } from '../../firmware-protocol/wire/constants.ts'
import { Hub } from '../../runtime/federation/hub/hub.ts'
import { startLeaf } from '../../runtime/federation/leaf/leaf.ts'
import { defaultLeafOptions } from '../../runtime/federation/leaf/leaf-options.ts'
import { MemoryUplinkStore } from '../../runtime/federation/leaf/memory-uplink-store.ts'
import { Mirror } from '../../runtime/federation/leaf/mirror.ts'
import { MarkFlag } from '../../runtime/federation/leaf/uplink-store.ts'
import { systemClock } from '../../runtime/router/clock.ts'
import { silentLog } from '../../runtime/router/log.ts'
import { TtlMode } from '../../runtime/router/param.ts'
import { paramValue } from '../../runtime/router/param-value.ts'
import { Bench, int } from '../router/fixture.ts'
import { SteppedClock } from '../router/stepped-clock.ts'
import { until } from '../until.ts'
import { Cable } from './cable.ts'
import { LeafBench, type LeafSetup } from './leaf-fixture.ts'
import { UpstreamHub } from './upstream-hub.ts'

/** Nobody listens there. */
const NOWHERE = 'tcp://127.0.0.1:9'

async function startHub(t: TestContext, clock = systemClock): Promise<Bench> {
  const bench = await Bench.start({ options: { paramTtlSeconds: 0 }, clock })
  t.after(() => bench.stop())
  bench.router.peers = new Hub(bench.router, { log: silentLog, clock, name: 'house' })
  return bench
}

function leafAt(t: TestContext, hub: { port: number }, setup: Partial<LeafSetup> = {}): LeafBench {
  return new LeafBench(t, { url: `tcp://127.0.0.1:${hub.port}`, ...setup })
}

function recordsOf({ router }: LeafBench): Map<string, unknown> {
  assert.ok(router.observer instanceof Mirror)
  return router.observer.records
}

const event = (address: string, value: number) =>
  ({ type: 'PUBLISH', address, signal: 'event', phase: 'start', value: int(value) }) as const

describe('a leaf keeps no more than it has to', () => {
  it('nothing of writes that it refuses while the hub is away', async (t) => {
    const bench = await Bench.start()
    t.after(() => bench.stop())
    const { router } = bench
    const options = { ...defaultLeafOptions, url: NOWHERE, namespaces: ['/site-a/**'], writeRemote: ['/other/**'] }
    const parts = { router, store: new MemoryUplinkStore(), clock: systemClock, log: silentLog }
    const leaf = startLeaf(options, { ...parts, signal: new AbortController().signal })
    t.after(() => leaf.stop())
    const client = await bench.join()
    for (let i = 0; i < 1000; i++) client.send({ type: 'SET', address: `/other/${i}`, value: int(i) })
    for (let i = 0; i < 1000; i++) assert.equal((await client.next('ERROR')).code, 503)
    assert.ok(router.observer instanceof Mirror)
    assert.equal(router.observer.records.size, 0)
  })

  it('nothing of params that came and went while the hub was away', async (t) => {
    const clock = new SteppedClock()
    const leaf = new LeafBench(t, { url: NOWHERE, clock })
    for (let i = 0; i < 1000; i++) leaf.set(`/site-a/visit/${i}`, int(i), { ttl: { mode: 'absolute', seconds: 1 } })
    assert.equal(recordsOf(leaf).size, 1000)
    clock.advance(5000)
    for (let i = 0; i < 1000; i++) assert.equal(leaf.get(`/site-a/visit/${i}`), undefined)
    assert.equal(recordsOf(leaf).size, 0)
  })

  it('nothing of events of the hub, each at an address of its own', async (t) => {
    const hub = await startHub(t)
    const leaf = leafAt(t, hub, { subscribe: ['/other/**'], router: { maxParams: 100 } })
    await leaf.active()
    const got: string[] = []
    leaf.router
      .openLocal({ name: 'listener', onMessage: (message) => message.type === 'PUBLISH' && got.push(message.address) })
      .send({ type: 'SUBSCRIBE', id: 1, pattern: '/other/**', types: [] })
    const console = hub.router.openLocal({ name: 'console' })
    for (let i = 0; i < 500; i++) console.send(event(`/other/cue/${i}`, i))
    await until(() => got.length === 500, 'all events')
    console.send({ type: 'SET', address: '/other/x', value: int(1) })
    await until(() => leaf.get('/other/x') !== undefined, 'a param after them')
    assert.equal(leaf.leaf.statistics.received.applied, 1)
    assert.equal(recordsOf(leaf).has('/other/cue/0'), false)
  })
})

describe('events that are to reach the hub', () => {
  it('do so although the connection is cut right behind them', async (t) => {
    const hub = await startHub(t)
    const cable = await Cable.to(t, hub.port)
    const leaf = new LeafBench(t, { url: cable.url, policy: [{ pattern: '/site-a/cue/*', offline: 'all' }] })
    await leaf.active()
    const got = new Set<string>()
    hub.router
      .openLocal({ name: 'listener', onMessage: (message) => message.type === 'PUBLISH' && got.add(message.address) })
      .send({ type: 'SUBSCRIBE', id: 1, pattern: '/site-a/cue/*', types: [] })
    for (let i = 0; i < 10; i++) leaf.client.send(event(`/site-a/cue/${i}`, i))
    cable.cut()
    await until(() => got.size === 10, 'all events')
    await until(() => leaf.leaf.statistics.queue.events === 0, 'an empty queue')
  })

  it('do not make others be dropped while they wait for their confirmation', async (t) => {
    const hub = await startHub(t)
    const leaf = leafAt(t, hub, { policy: [{ pattern: '/site-a/cue/*', offline: 'all' }] })
    await leaf.active()
    let got = 0
    hub.router
      .openLocal({ name: 'listener', onMessage: (message) => message.type === 'PUBLISH' && got++ })
      .send({ type: 'SUBSCRIBE', id: 1, pattern: '/site-a/**', types: [] })
    for (let i = 0; i < 200; i++) {
      leaf.client.send(event('/site-a/cue/go', i))
      leaf.client.send(event('/site-a/tap', i))
    }
    await until(() => got === 400, 'all events')
    assert.equal(leaf.leaf.statistics.dropped.events, 0)
  })

  it('at addresses of others, too, although more of them wait than may leave at once', async (t) => {
    const hub = await startHub(t)
    const leaf = leafAt(t, hub, {
      writeRemote: ['/other/**'],
      policy: [{ pattern: '/other/cue/*', offline: 'all' }],
      rate: 50,
    })
    await leaf.active()
    const got = new Set<number>()
    hub.router
      .openLocal({
        name: 'listener',
        onMessage: (message) => {
          if (message.type === 'PUBLISH' && message.value?.type === 'i64') got.add(Number(message.value.value))
        },
      })
      .send({ type: 'SUBSCRIBE', id: 1, pattern: '/other/cue/*', types: [] })
    for (let i = 0; i < 60; i++) leaf.client.send(event('/other/cue/go', i))
    await until(() => got.size === 60, 'all events')
    await until(() => leaf.leaf.statistics.queue.events === 0, 'an empty queue')
  })
})

describe('params of others', () => {
  it('go when the hub has let them go, although nobody tells', async (t) => {
    const hub = await startHub(t)
    const console = hub.router.openLocal({ name: 'console' })
    console.send({ type: 'SET', address: '/other/short', value: int(1), ttl: { mode: 'absolute', seconds: 1 } })
    console.send({ type: 'SET', address: '/other/long', value: int(2) })
    const leaf = leafAt(t, hub, { subscribe: ['/other/**'], writeRemote: ['/other/**'], verifyIntervalMs: 100 })
    await leaf.active()
    assert.deepEqual(leaf.get('/other/short'), int(1))
    await until(() => leaf.get('/other/short') === undefined, 'the end of it')
    assert.equal(recordsOf(leaf).has('/other/short'), false)
    assert.deepEqual(leaf.get('/other/long'), int(2))
  })
})

describe('values that are compared after a reconnection', () => {
  it('count by the later edit, by the clock of the hub, also where they are of others', async (t) => {
    const hubClock = { ...systemClock, wallUs: () => systemClock.wallUs() + 3_600_000_000 }
    const hub = await UpstreamHub.start(t, { clock: hubClock })
    hub.set('/other/x', int(1))
    const leaf = new LeafBench(t, {
      url: hub.url,
      subscribe: ['/other/**'],
      writeRemote: ['/other/**'],
      policy: [{ pattern: '/other/**', offline: 'latest' }],
    })
    leaf.set('/other/x', int(2))
    await leaf.active()
    await until(() => leaf.leaf.statistics.queue.params === 0, 'an empty queue')
    assert.deepEqual(leaf.get('/other/x'), int(2))
    await until(() => JSON.stringify(hub.params.get('/other/x')?.value) === JSON.stringify(int(2)), 'the later edit')
  })

  it('are the newest here although a stop came between what was sent and its answer', async (t) => {
    const hub = await startHub(t)
    const store = new MemoryUplinkStore()
    const first = leafAt(t, hub, { store })
    first.set('/site-a/x', int(1))
    await first.active()
    const param = hub.router.lookup('/site-a/x')?.param
    assert.ok(param)
    const hubRevision = param.revision
    first.set('/site-a/x', int(2))
    await until(() => param.revision > hubRevision, 'the second value')
    await first.stop()
    const value = new Uint8Array(8)
    new DataView(value.buffer).setBigInt64(0, 3n)
    const timestampUs = systemClock.wallUs()
    store.marks = () => [['/site-a/x', { hubRevision, flags: MarkFlag.dirty, editedAtUs: timestampUs }]]
    const stored = { address: '/site-a/x', code: ValueCode.i64, value, revision: 3, writer: 'bench', timestampUs }
    const second = leafAt(t, hub, { store, stored: [{ ...stored, ttlMode: TtlMode.never, ttlMs: 0 }] })
    await second.active()
    assert.deepEqual(second.get('/site-a/x'), int(3))
    assert.deepEqual(paramValue(hub.router.store, param), int(3))
  })
})
