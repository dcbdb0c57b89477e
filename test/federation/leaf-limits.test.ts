import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { MarkFlag } from '../../runtime/federation/leaf/uplink-store.ts'
import { int, text } from '../router/fixture.ts'
import { SteppedClock } from '../router/stepped-clock.ts'
import { until } from '../until.ts'
import { LeafBench } from './leaf-fixture.ts'
import { UpstreamHub } from './upstream-hub.ts'

const SCOPES = ['read:/site-a/**', 'read:/site-a', 'write:/site-a/**', 'write:/site-a', 'read:/other/**']

/** Lets time pass while the sockets go on. */
async function pass(clock: SteppedClock, seconds: number, until: () => boolean = () => false): Promise<void> {
  for (let i = 0; i < seconds * 4 && !until(); i++) {
    clock.advance(250)
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setTimeout(resolve, 1))
  }
}

describe('a leaf and the limits of a hub', () => {
  it('loses nothing at a hub that takes 30 frames a second', async (t) => {
    const hub = await UpstreamHub.start(t, { auth: { cap_x: { scopes: SCOPES } } })
    const leaf = new LeafBench(t, { url: hub.url, token: 'cap_x' })
    await leaf.active()
    for (let i = 0; i < 1000; i++) leaf.set(`/site-a/${i % 100}`, int(i))
    await leaf.settled()
    for (let i = 900; i < 1000; i++) assert.deepEqual(hub.params.get(`/site-a/${i % 100}`)?.value, int(i))
    assert.equal(hub.seen.limited, 0)
  })

  it('slows down and loses nothing when it is told to by 429', async (t) => {
    const hub = await UpstreamHub.start(t, { auth: { cap_x: { scopes: SCOPES } } })
    const leaf = new LeafBench(t, { url: hub.url, token: 'cap_x', rate: 0 })
    await leaf.active()
    let last = 0
    // It counts by the second, and a slow machine may not manage so many in one at once.
    for (let round = 0; round < 4 || (hub.seen.limited === 0 && round < 100); round++) {
      last = 100 * round
      for (let i = 0; i < 20; i++) leaf.set(`/site-a/${i}`, int(last + i))
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    await leaf.settled()
    for (let i = 0; i < 20; i++) assert.deepEqual(hub.params.get(`/site-a/${i}`)?.value, int(last + i))
    assert.ok(hub.seen.limited > 0, 'the hub had no reason to complain')
  })

  it('waits, and says why, when the token has no read scope, and does not hammer at the door', async (t) => {
    const hub = await UpstreamHub.start(t, { auth: { cap_admin: { scopes: ['admin:/**'] } } })
    const leaf = new LeafBench(t, { url: hub.url, token: 'cap_admin' })
    await until(() => leaf.leaf.statistics.state === 'misconfigured', 'refusal')
    assert.match(leaf.leaf.statistics.lastError, /insufficient scope.*read:<namespace>.*admin does not count/)
    await new Promise((resolve) => setTimeout(resolve, 300))
    assert.equal(leaf.leaf.statistics.connections, 1)
  })

  it('takes up a new token from its file', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'leaf-'))
    t.after(() => rm(folder, { recursive: true }))
    const tokenFile = join(folder, 'token')
    await writeFile(tokenFile, 'cap_old\n')
    const clock = new SteppedClock()
    const hub = await UpstreamHub.start(t, { clock, auth: { cap_new: { scopes: SCOPES } } })
    const leaf = new LeafBench(t, { url: hub.url, tokenFile, clock })
    await pass(clock, 20, () => leaf.leaf.statistics.state === 'authWait')
    assert.equal(leaf.leaf.statistics.state, 'authWait')
    await writeFile(tokenFile, 'cap_new\n')
    await pass(clock, 20, () => leaf.leaf.statistics.state === 'active')
    assert.equal(leaf.leaf.statistics.state, 'active')
  })

  it('connects anew when the hub has forgotten the session and only answers', async (t) => {
    const clock = new SteppedClock()
    const hub = await UpstreamHub.start(t, { clock })
    const leaf = new LeafBench(t, { url: hub.url, clock })
    await pass(clock, 20, () => leaf.leaf.statistics.state === 'active')
    assert.ok(hub.peer !== undefined)
    hub.makeZombie(hub.peer)
    const { connections } = leaf.leaf.statistics
    await pass(clock, 71, () => leaf.leaf.statistics.connections > connections)
    assert.match(leaf.leaf.statistics.lastError, /has stopped sending updates/)
    await pass(clock, 20, () => leaf.leaf.statistics.state === 'active')
    hub.set('/site-a/x', int(1))
    await until(() => leaf.get('/site-a/x') !== undefined, 'an update')
  })

  it('stays connected for an hour in which nothing happens', async (t) => {
    const clock = new SteppedClock()
    const hub = await UpstreamHub.start(t, { clock })
    const leaf = new LeafBench(t, { url: hub.url, clock, subscribe: ['/other/**'] })
    leaf.set('/site-a/quiet', int(1))
    await pass(clock, 20, () => leaf.leaf.statistics.state === 'active')
    for (let i = 0; i < 3600; i++) {
      clock.advance(1000)
      await new Promise((resolve) => setImmediate(resolve))
      if (i % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 2))
    }
    await pass(clock, 2)
    assert.equal(leaf.leaf.statistics.connections, 1)
    assert.ok(hub.params.has('/site-a/quiet'))
    assert.ok(hub.params.has('/site-a/_leaf/stage-left/hb'))
  })

  it('notices broadcasts that the hub dropped at the next comparison', async (t) => {
    const clock = new SteppedClock()
    const hub = await UpstreamHub.start(t, { clock })
    const leaf = new LeafBench(t, { url: hub.url, clock })
    await pass(clock, 20, () => leaf.leaf.statistics.state === 'active')
    leaf.set('/site-a/known', int(0))
    await pass(clock, 2)
    hub.faults.dropBroadcasts(2)
    hub.set('/site-a/known', int(1))
    hub.set('/site-a/unknown', int(2))
    await pass(clock, 2)
    assert.equal(leaf.get('/site-a/unknown'), undefined)
    await pass(clock, 320, () => leaf.get('/site-a/unknown') !== undefined)
    assert.deepEqual(leaf.get('/site-a/known'), int(1))
    assert.deepEqual(leaf.get('/site-a/unknown'), int(2))
  })

  it('puts back what the hub let go while the link was up', async (t) => {
    const clock = new SteppedClock()
    const hub = await UpstreamHub.start(t, { clock })
    const leaf = new LeafBench(t, { url: hub.url, clock })
    leaf.set('/site-a/x', int(5))
    await pass(clock, 20, () => leaf.leaf.statistics.state === 'active')
    hub.params.delete('/site-a/x')
    await pass(clock, 320, () => hub.params.has('/site-a/x'))
    assert.deepEqual(hub.params.get('/site-a/x')?.value, int(5))
  })

  it('ends with the last value everywhere when broadcasts come in the wrong order', async (t) => {
    const hub = await UpstreamHub.start(t)
    const leaf = new LeafBench(t, { url: hub.url })
    await leaf.active()
    hub.inlineReceivers = 0
    for (let i = 1; i <= 30; i++) hub.set('/site-a/x', int(i))
    await until(() => JSON.stringify(leaf.get('/site-a/x')) === JSON.stringify(int(30)), 'the last value')
    for (let i = 1; i <= 30; i++) leaf.set('/site-a/y', int(i))
    await leaf.settled()
    for (let i = 0; i < 200; i++) leaf.set(`/site-a/many/${i}`, int(i))
    await leaf.settled()
    assert.deepEqual(leaf.get('/site-a/y'), int(30))
    assert.deepEqual(hub.params.get('/site-a/y')?.value, int(30))
    assert.deepEqual(leaf.get('/site-a/many/199'), int(199))
    await until(() => leaf.leaf.statistics.queue.params === 0, 'an empty queue')
  })

  it('tries an address again that is locked at the hub, and goes on with the others', async (t) => {
    const clock = new SteppedClock()
    const hub = await UpstreamHub.start(t, { clock })
    hub.set('/site-a/locked', int(0), { lock: true })
    const leaf = new LeafBench(t, { url: hub.url, clock })
    await pass(clock, 20, () => leaf.leaf.statistics.state === 'active')
    for (let i = 0; i < 60; i++) leaf.set(`/site-a/${i}`, int(i))
    leaf.set('/site-a/locked', int(9))
    await pass(clock, 4)
    assert.deepEqual(hub.params.get('/site-a/59')?.value, int(59))
    assert.deepEqual(hub.params.get('/site-a/locked')?.value, int(0))
    const param = hub.params.get('/site-a/locked')
    assert.ok(param !== undefined)
    param.holder = undefined
    await pass(
      clock,
      30,
      () =>
        hub.params.get('/site-a/locked')?.value.type === 'i64' &&
        leaf.leaf.statistics.queue.params === 0 &&
        JSON.stringify(hub.params.get('/site-a/locked')?.value) === JSON.stringify(int(9)),
    )
    assert.deepEqual(hub.params.get('/site-a/locked')?.value, int(9))
  })

  it('parks an address that a rule of the hub refuses, tells the operator, and brings all others', async (t) => {
    const hub = await UpstreamHub.start(t)
    hub.writeRule = (address) => (address === '/site-a/bad' ? 'not today' : undefined)
    const leaf = new LeafBench(t, { url: hub.url })
    for (let i = 0; i < 300; i++) leaf.set(`/site-a/${i}`, int(i))
    leaf.set('/site-a/bad', int(1))
    await leaf.active()
    for (let i = 0; i < 300; i++) assert.deepEqual(hub.params.get(`/site-a/${i}`)?.value, int(i), `${i}`)
    assert.equal(hub.params.has('/site-a/bad'), false)
    assert.match(leaf.leaf.statistics.lastError, /does not take \/site-a\/bad: .*not today/)
  })

  it('sends events while the link is up, and drops them, counted, while it is down', async (t) => {
    const hub = await UpstreamHub.start(t)
    const leaf = new LeafBench(t, {
      url: hub.url,
      policy: [{ pattern: '/site-a/keep/*', offline: 'all' }],
      backOff: { baseMs: 300, capMs: 300 },
    })
    await leaf.active()
    const cue = (address: string, i: number) =>
      leaf.client.send({ type: 'PUBLISH', address, signal: 'event', phase: 'start', value: int(i) })
    cue('/site-a/cue', 1)
    await until(() => hub.seen.count('PUBLISH') === 1, 'the event')
    await hub.kill()
    await until(() => leaf.leaf.statistics.state !== 'active', 'loss of the link')
    for (let i = 0; i < 3; i++) {
      cue('/site-a/cue', i)
      cue('/site-a/keep/cue', i)
    }
    await until(() => leaf.leaf.statistics.queue.events === 3, 'the kept events in the queue')
    assert.equal(leaf.leaf.statistics.dropped.events, 3)
    await hub.reopen({ state: 'empty' })
    await until(() => hub.seen.count('PUBLISH') === 4, 'the kept events')
    await until(() => leaf.leaf.statistics.queue.events === 0, 'an empty queue')
  })

  it('brings events of the hub to local subscribers, and sends none back', async (t) => {
    const hub = await UpstreamHub.start(t)
    const leaf = new LeafBench(t, { url: hub.url })
    await leaf.active()
    const got: string[] = []
    const listener = leaf.router.openLocal({
      name: 'listener',
      onMessage: (message) => message.type === 'PUBLISH' && got.push(message.address),
    })
    listener.send({ type: 'SUBSCRIBE', id: 1, pattern: '/site-a/**', types: [] })
    hub.publish('/site-a/go', text('go'))
    await until(() => got.length === 1, 'the event')
    assert.equal(hub.seen.count('PUBLISH'), 0)
  })

  it('leaves no timer, no observer and no connection behind', async (t) => {
    const clock = new SteppedClock()
    const hub = await UpstreamHub.start(t)
    const leaf = new LeafBench(t, { url: hub.url, clock, subscribe: ['/other/**'] })
    await pass(clock, 20, () => leaf.leaf.statistics.state === 'active')
    leaf.set('/site-a/x', int(1))
    await leaf.stop()
    await until(() => clock.pendingTimers === 0, `end of all timers (${clock.pendingTimers})`)
    assert.equal(leaf.router.observer, null)
    await until(() => hub.openSessions.length === 0, 'end of the sessions')
  })

  it('marks what the hub has for the store: dirty until it is acknowledged', async (t) => {
    const hub = await UpstreamHub.start(t)
    const leaf = new LeafBench(t, { url: hub.url })
    const mark = () => {
      const entry = leaf.router.lookup('/site-a/x')
      return entry === null ? null : (leaf.store.describe?.(entry) ?? null)
    }
    leaf.set('/site-a/x', int(1))
    assert.equal(mark()?.flags, MarkFlag.dirty)
    await leaf.active()
    await leaf.settled()
    assert.equal(mark()?.flags, 0)
    assert.equal(mark()?.hubRevision, hub.params.get('/site-a/x')?.revision)
    hub.set('/site-a/x', int(2))
    await until(() => mark()?.flags === MarkFlag.fromHub, 'the value of the hub')
    assert.equal(mark()?.hubRevision, hub.params.get('/site-a/x')?.revision)
  })
})
