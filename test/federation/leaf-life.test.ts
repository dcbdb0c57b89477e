import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { defaultLeafOptions } from '../../runtime/federation/leaf/leaf-options.ts'
import { MemoryUplinkStore } from '../../runtime/federation/leaf/memory-uplink-store.ts'
import { int, text } from '../router/fixture.ts'
import { SteppedClock } from '../router/stepped-clock.ts'
import { until } from '../until.ts'
import { LeafBench } from './leaf-fixture.ts'
import { UpstreamHub } from './upstream-hub.ts'

const equals = (a: object | undefined, b: object) => JSON.stringify(a) === JSON.stringify(b)

async function pass(clock: SteppedClock, seconds: number, isDone: () => boolean = () => false): Promise<void> {
  for (let i = 0; i < seconds * 4 && !isDone(); i++) {
    clock.advance(250)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

describe('the life of a leaf', () => {
  it('shows its state as params here and at the hub', async (t) => {
    const hub = await UpstreamHub.start(t)
    const leaf = new LeafBench(t, { url: hub.url, backOff: { baseMs: 300, capMs: 300 } })
    await leaf.active()
    const control = '/site-a/_leaf/stage-left'
    assert.deepEqual(leaf.get(`${control}/state`), text('active'))
    await until(() => hub.params.has(`${control}/status`), 'the status at the hub')
    assert.ok(hub.params.has(`${control}/hb`) && hub.params.has(`${control}/epoch`))
    await hub.kill()
    await until(() => equals(leaf.get(`${control}/state`), text('backoff')), 'the loss as a param')
    leaf.set('/site-a/x', int(1))
    await until(() => equals(leaf.get(`${control}/queue`), int(1)), 'the queue as a param')
    assert.match(JSON.stringify(leaf.get(`${control}/error`)), /hub/)
    assert.match(JSON.stringify(leaf.get(`${control}/status`)), /offline/)
    assert.ok(leaf.leaf.statistics.lagMs > 0)
  })

  it('keeps its id, its epoch and what it knows of the hub in its store', async (t) => {
    const hub = await UpstreamHub.start(t)
    const store = new MemoryUplinkStore()
    const first = new LeafBench(t, { url: hub.url, store, routerId: undefined })
    await first.active()
    const { routerId } = first.leaf
    assert.match(routerId, /^leaf-[0-9a-f]{12}$/)
    await first.stop()
    const epochs = hub.seen.valuesOf(`/site-a/_leaf/${routerId}/epoch`).length
    const second = new LeafBench(t, { url: hub.url, store, routerId: undefined })
    await second.active()
    assert.equal(second.leaf.routerId, routerId)
    assert.equal(hub.seen.valuesOf(`/site-a/_leaf/${routerId}/epoch`).length, epochs)
  })

  it('brings everything when far more has changed than it queues one by one', async (t) => {
    const hub = await UpstreamHub.start(t)
    await hub.kill()
    const leaf = new LeafBench(t, { url: hub.url, outbox: { ...defaultLeafOptions.outbox, maxParams: 50 } })
    for (let i = 0; i < 3000; i++) leaf.set(`/site-a/${i}`, int(i))
    assert.equal(leaf.leaf.statistics.queue.params, 50)
    assert.equal(leaf.leaf.statistics.queue.isOverfull, true)
    await hub.reopen({ state: 'empty' })
    await until(() => hub.params.has('/site-a/2999') && leaf.leaf.statistics.queue.params === 0, 'all of them')
    for (let i = 0; i < 3000; i++) assert.deepEqual(hub.params.get(`/site-a/${i}`)?.value, int(i))
    assert.equal(leaf.leaf.statistics.queue.isOverfull, false)
  })

  it('dies and comes back under load without losing the last values', async (t) => {
    const hub = await UpstreamHub.start(t)
    const store = new MemoryUplinkStore()
    let value = 0
    for (let life = 0; life < 4; life++) {
      const leaf = new LeafBench(t, { url: hub.url, store })
      await leaf.active()
      for (let i = 0; i < 2000; i++) {
        leaf.set(`/site-a/${i % 40}`, int(++value))
        if (i % 100 === 0) await new Promise((resolve) => setImmediate(resolve))
      }
      if (life < 3) await leaf.stop()
      else await until(() => leaf.leaf.statistics.queue.params === 0, 'an empty queue')
    }
    await until(() => equals(hub.params.get('/site-a/39')?.value, int(value)), 'the last value')
    for (let i = 0; i < 40; i++) assert.deepEqual(hub.params.get(`/site-a/${i}`)?.value, int(value - 39 + i))
  })

  it('connects anew when only the second session has been forgotten', async (t) => {
    const clock = new SteppedClock()
    const hub = await UpstreamHub.start(t, { clock })
    const leaf = new LeafBench(t, { url: hub.url, clock, subscribe: ['/other/**'] })
    await pass(clock, 20, () => leaf.leaf.statistics.state === 'active')
    const second = hub.openSessions.find(({ isPeer }) => !isPeer)
    assert.ok(second !== undefined)
    hub.makeZombie(second)
    hub.set('/other/x', int(1))
    await pass(clock, 150, () => leaf.leaf.statistics.connections > 1)
    assert.match(leaf.leaf.statistics.lastError, /second session/)
    await pass(clock, 20, () => leaf.get('/other/x') !== undefined)
    assert.deepEqual(leaf.get('/other/x'), int(1))
  })

  it('keeps local writes to remote addresses for the hub where that was opted in', async (t) => {
    const hub = await UpstreamHub.start(t)
    const leaf = new LeafBench(t, {
      url: hub.url,
      writeRemote: ['/other/**'],
      policy: [{ pattern: '/other/**', offline: 'latest' }],
      backOff: { baseMs: 300, capMs: 300 },
    })
    await leaf.active()
    hub.openSessions[0].connection.cut()
    await until(() => leaf.leaf.statistics.state === 'backoff', 'loss of the link')
    leaf.set('/other/lamp', int(1))
    leaf.set('/other/lamp', int(2))
    await until(() => hub.params.has('/other/lamp'), 'the value at the hub')
    assert.deepEqual(hub.seen.valuesOf('/other/lamp'), [int(2)])
  })

  it('is not filled up by a hub that never ends its snapshots', async (t) => {
    const hub = await UpstreamHub.start(t)
    const leaf = new LeafBench(t, { url: hub.url, router: { maxParams: 500 } })
    await leaf.active()
    leaf.set('/site-a/mine', int(1))
    await leaf.settled()
    for (let i = 0; i < 3000; i++) {
      hub.set(`/site-a/flood/${i}`, int(i))
      if (i % 200 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    await until(() => leaf.leaf.statistics.dropped.unheld > 2000, 'the end of the room')
    assert.deepEqual(leaf.get('/site-a/mine'), int(1))
    assert.ok(leaf.leaf.statistics.mirrored <= 500)
  })

  it('waits longer and longer for a hub that is away for a day, and no longer than allowed', async (t) => {
    const clock = new SteppedClock()
    const hub = await UpstreamHub.start(t, { clock })
    await hub.kill()
    const leaf = new LeafBench(t, { url: hub.url, clock, backOff: { baseMs: 1000, capMs: 30_000 } })
    leaf.set('/site-a/x', int(1))
    for (let i = 0; i < 2880; i++) {
      clock.advance(30_000)
      if (i % 4 === 0) await new Promise((resolve) => setTimeout(resolve, 2))
    }
    const { connections, state } = leaf.leaf.statistics
    assert.ok(connections > 100 && connections < 5800, `${connections} attempts`)
    assert.notEqual(state, 'active')
    await hub.reopen({ state: 'empty' })
    await pass(clock, 120, () => leaf.leaf.statistics.state === 'active')
    assert.deepEqual(hub.params.get('/site-a/x')?.value, int(1))
  })
})
