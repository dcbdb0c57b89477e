import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ValueCode } from '../../firmware-protocol/wire/constants.ts'
import { MemoryUplinkStore } from '../../runtime/federation/leaf/memory-uplink-store.ts'
import { MarkFlag, type UplinkMark } from '../../runtime/federation/leaf/uplink-store.ts'
import { TtlMode } from '../../runtime/router/param.ts'
import { int } from '../router/fixture.ts'
import { SteppedClock } from '../router/stepped-clock.ts'
import { until } from '../until.ts'
import { LeafBench } from './leaf-fixture.ts'
import { UpstreamHub } from './upstream-hub.ts'

const equals = (a: object | undefined, b: object) => JSON.stringify(a) === JSON.stringify(b)

describe('a leaf at a hub that lies or fails', () => {
  it('ends with equal values when acknowledgements tell wrong revisions', async (t) => {
    const hub = await UpstreamHub.start(t)
    hub.faults.ackRevision = (_, revision) => Math.max(1, revision - 3)
    const leaf = new LeafBench(t, { url: hub.url })
    await leaf.active()
    for (let i = 1; i <= 40; i++) {
      leaf.set('/site-a/x', int(i))
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
    await leaf.settled()
    await until(() => equals(hub.params.get('/site-a/x')?.value, int(40)), 'the last value at the hub')
    assert.deepEqual(leaf.get('/site-a/x'), int(40))
    const frames = hub.seen.total
    await new Promise((resolve) => setTimeout(resolve, 200))
    assert.ok(hub.seen.total - frames < 10, 'the leaf does not come to rest')
  })

  it('does not ask for ever when every broadcast has an old revision', async (t) => {
    const hub = await UpstreamHub.start(t)
    const leaf = new LeafBench(t, { url: hub.url })
    await leaf.active()
    for (let i = 1; i <= 5; i++) hub.set('/site-a/x', int(i))
    await until(() => equals(leaf.get('/site-a/x'), int(5)), 'the value')
    hub.faults.echoRevision = () => 1
    for (let i = 6; i <= 50; i++) hub.set('/site-a/x', int(i))
    await until(() => equals(leaf.get('/site-a/x'), int(50)), 'the last value')
    assert.ok(hub.seen.count('GET') <= 50)
  })

  for (const kind of ['PING', 'REQUEST_SYNC', 'SET'] as const) {
    it(`connects anew, with words, when the hub does not answer ${kind}, and is well when it does again`, async (t) => {
      const clock = new SteppedClock()
      const hub = await UpstreamHub.start(t, { clock })
      hub.faults.ignores.add(kind)
      const leaf = new LeafBench(t, { url: hub.url, clock })
      for (let i = 0; i < 60; i++) leaf.set(`/site-a/${i}`, int(i))
      const step = async (isDone: () => boolean) => {
        for (let i = 0; i < 1200 && !isDone(); i++) {
          clock.advance(100)
          await new Promise((resolve) => setTimeout(resolve, 1))
        }
      }
      await step(() => leaf.leaf.statistics.connections > 1)
      assert.notEqual(leaf.leaf.statistics.lastError, '')
      hub.faults.ignores.clear()
      await step(() => leaf.leaf.statistics.state === 'active' && leaf.leaf.statistics.queue.params === 0)
      assert.equal(leaf.leaf.statistics.state, 'active')
      for (let i = 0; i < 60; i++) assert.deepEqual(hub.params.get(`/site-a/${i}`)?.value, int(i))
    })
  }

  for (const kind of ['BUNDLE', 'REVISION_VECTOR', 'GET', 'SYNC'] as const) {
    it(`brings everything to a hub that does not answer ${kind}`, async (t) => {
      const clock = new SteppedClock()
      const hub = await UpstreamHub.start(t, { clock })
      hub.faults.ignores.add(kind)
      const leaf = new LeafBench(t, { url: hub.url, clock })
      for (let i = 0; i < 60; i++) leaf.set(`/site-a/${i}`, int(i))
      const isDone = () => leaf.leaf.statistics.state === 'active' && leaf.leaf.statistics.queue.params === 0
      for (let i = 0; i < 1200 && !isDone(); i++) {
        clock.advance(100)
        await new Promise((resolve) => setTimeout(resolve, 1))
      }
      assert.equal(leaf.leaf.statistics.state, 'active', leaf.leaf.statistics.lastError)
      for (let i = 0; i < 60; i++) assert.deepEqual(hub.params.get(`/site-a/${i}`)?.value, int(i))
    })
  }

  for (const kind of ['WELCOME', 'SNAPSHOT', 'ACK', 'SYNC_COMPLETE', 'PONG'] as const) {
    it(`survives a hub that closes before ${kind}, again and again`, async (t) => {
      const hub = await UpstreamHub.start(t)
      hub.faults.cutsBefore.add(kind)
      const leaf = new LeafBench(t, { url: hub.url, backOff: { baseMs: 2, capMs: 5 } })
      leaf.set('/site-a/x', int(1))
      await until(() => leaf.leaf.statistics.connections > 5, 'some attempts')
      hub.faults.cutsBefore.clear()
      await leaf.active()
      assert.deepEqual(hub.params.get('/site-a/x')?.value, int(1))
    })
  }

  it('breaks a circle of two rules that answer each other, and says so', async (t) => {
    const clock = new SteppedClock()
    const hub = await UpstreamHub.start(t, { clock })
    const leaf = new LeafBench(t, { url: hub.url, clock })
    leaf.router
      .openLocal({
        name: 'rule',
        onMessage: (message) => {
          if (message.type === 'SET' && message.value.type === 'i64')
            leaf.set('/site-a/out', int(Number(message.value.value) + 1))
        },
      })
      .send({ type: 'SUBSCRIBE', id: 1, pattern: '/site-a/in', types: [] })
    let answered = 0
    const ruleOfTheHub = () => {
      const out = hub.params.get('/site-a/out')?.value
      if (out?.type !== 'i64' || Number(out.value) <= answered) return
      answered = Number(out.value)
      hub.set('/site-a/in', int(answered + 1))
    }
    const step = async (count: number) => {
      for (let i = 0; i < count; i++) {
        clock.advance(20)
        ruleOfTheHub()
        await new Promise((resolve) => setTimeout(resolve, 1))
      }
    }
    await step(20)
    hub.set('/site-a/in', int(1))
    await step(400)
    assert.ok(leaf.leaf.statistics.pingPong > 0, 'it goes round for ever')
    assert.match(leaf.leaf.statistics.lastError, /\/site-a\/out is sent to and fro/)
  })

  it('takes back from the hub what a power cut has cost', async (t) => {
    const hub = await UpstreamHub.start(t)
    const store = new MemoryUplinkStore()
    const first = new LeafBench(t, { url: hub.url, store })
    first.set('/site-a/x', int(1))
    await first.active()
    await first.settled()
    const early = hub.params.get('/site-a/x')
    assert.ok(early !== undefined)
    const { revision } = early
    const editedAtUs = Date.now() * 1000 - 1_000_000
    first.set('/site-a/x', int(2))
    await until(() => equals(hub.params.get('/site-a/x')?.value, int(2)), 'the second value')
    await first.stop()
    const value = new Uint8Array(8)
    new DataView(value.buffer).setBigInt64(0, 1n)
    const mark: UplinkMark = { hubRevision: revision, flags: MarkFlag.dirty, editedAtUs }
    store.marks = () => [['/site-a/x', mark]]
    const second = new LeafBench(t, {
      url: hub.url,
      store,
      stored: [
        {
          address: '/site-a/x',
          code: ValueCode.i64,
          value,
          revision: 1,
          writer: 'bench',
          timestampUs: Date.now() * 1000,
          ttlMode: TtlMode.never,
          ttlMs: 0,
        },
      ],
    })
    assert.deepEqual(second.get('/site-a/x'), int(1))
    await second.active()
    assert.deepEqual(second.get('/site-a/x'), int(2))
    assert.deepEqual(hub.params.get('/site-a/x')?.value, int(2))
  })
})
