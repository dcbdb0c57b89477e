import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import { Hub } from '../../runtime/federation/hub/hub.ts'
import { systemClock } from '../../runtime/router/clock.ts'
import { CloseCode } from '../../runtime/router/link.ts'
import { silentLog } from '../../runtime/router/log.ts'
import { paramValue } from '../../runtime/router/param-value.ts'
import { listenPort } from '../../runtime/transports/port.ts'
import { Bench, float, int, Peer, text } from '../router/fixture.ts'
import { until } from '../until.ts'
import { LeafBench } from './leaf-fixture.ts'

async function startHub(t: TestContext): Promise<Bench> {
  const bench = await Bench.start({ options: { paramTtlSeconds: 0 } })
  t.after(() => bench.stop())
  bench.router.peers = new Hub(bench.router, { log: silentLog, clock: systemClock, name: 'house' })
  return bench
}

const site = (name: string) => ({ namespaces: [`/${name}`, `/${name}/**`], routerId: name })

describe('leaves at a hub of our own', () => {
  it('share their namespaces: a change at one leaf reaches a subscriber at another', async (t) => {
    const hub = await startHub(t)
    const url = `tcp://127.0.0.1:${hub.port}`
    const names = ['a', 'b', 'c']
    const leaves = names.map(
      (name) =>
        new LeafBench(t, { url, ...site(name), subscribe: names.filter((n) => n !== name).map((n) => `/${n}/**`) }),
    )
    for (const leaf of leaves) await leaf.active()
    const times: number[] = []
    const got: (() => void)[] = []
    leaves[1].router
      .openLocal({
        name: 'listener',
        onMessage: (message) => {
          if (message.type === 'SET' && message.address === '/a/fader') got.shift()?.()
        },
      })
      .send({ type: 'SUBSCRIBE', id: 1, pattern: '/a/fader', types: [] })
    for (let i = 0; i < 300; i++) {
      const startedAt = performance.now()
      const arrived = new Promise<void>((resolve) => got.push(resolve))
      leaves[0].set('/a/fader', float(i + 0.5))
      await arrived
      times.push(performance.now() - startedAt)
    }
    times.sort((x, y) => x - y)
    t.diagnostic(`p50 ${times[150].toFixed(2)} ms, p99 ${times[296].toFixed(2)} ms`)
    assert.deepEqual(leaves[2].get('/a/fader'), float(299.5))
    // No loop: what one leaf wrote was applied once at each of the others and forwarded by none of them.
    const forwarded = leaves.map(({ leaf }) => leaf.statistics.forwarded.sets)
    assert.ok(forwarded[0] <= 310 && forwarded[1] <= 5 && forwarded[2] <= 5, `${forwarded}`)
  })

  it('refuse a second leaf with the same namespace, in words on both', async (t) => {
    const hub = await startHub(t)
    const url = `tcp://127.0.0.1:${hub.port}`
    const first = new LeafBench(t, { url, ...site('a') })
    await first.active()
    const second = new LeafBench(t, { url, ...site('a'), routerId: 'impostor' })
    await until(() => second.leaf.statistics.state === 'misconfigured', 'refusal')
    assert.match(second.leaf.statistics.lastError, /refused the namespaces.*a/)
    assert.equal(first.leaf.statistics.state, 'active')
    assert.match(JSON.stringify(second.get('/a/_leaf/impostor/error')), /refused the namespaces/)
  })

  it('bring 5000 params that change ten times a second', async (t) => {
    const hub = await startHub(t)
    const leaf = new LeafBench(t, { url: `tcp://127.0.0.1:${hub.port}`, ...site('a') })
    await leaf.active()
    const startedAt = performance.now()
    for (let round = 0; round < 20; round++) {
      for (let i = 0; i < 5000; i++) leaf.set(`/a/${i}`, int(round * 5000 + i))
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    await leaf.settled()
    const seconds = (performance.now() - startedAt) / 1000
    const { forwarded } = leaf.leaf.statistics
    t.diagnostic(`${forwarded.sets} SETs in ${forwarded.bundles} bundles, ${seconds.toFixed(1)} s`)
    const lookup = (i: number) => {
      const entry = hub.router.lookup(`/a/${i}`)
      return entry?.param === null || entry === null ? undefined : entry.param
    }
    for (let i = 0; i < 5000; i++) assert.ok(lookup(i) !== undefined)
    assert.equal(leaf.leaf.statistics.received.applied, 0)
  })

  it('are equal again soon after an outage in which 5000 params have changed', async (t) => {
    const hub = await startHub(t)
    const setup = { url: `tcp://127.0.0.1:${hub.port}`, ...site('a'), backOff: { baseMs: 500, capMs: 500 } }
    const leaf = new LeafBench(t, setup)
    for (let i = 0; i < 5000; i++) leaf.set(`/a/${i}`, int(i))
    await leaf.active()
    await leaf.settled()
    for (const session of [...hub.router.sessions.values()]) session.close(CloseCode.goingAway, 'cut by the test')
    await until(() => leaf.leaf.statistics.state === 'backoff', 'loss of the link')
    for (let round = 1; round <= 4; round++) for (let i = 0; i < 5000; i++) leaf.set(`/a/${i}`, int(round * 5000 + i))
    const startedAt = performance.now()
    leaf.leaf.reconnectNow()
    await leaf.settled()
    const ms = performance.now() - startedAt
    t.diagnostic(`${Math.round(ms)} ms`)
    assert.ok(ms < 10_000, `${ms} ms`)
    const { store } = hub.router
    for (let i = 0; i < 5000; i++) {
      const param = hub.router.lookup(`/a/${i}`)?.param
      assert.deepEqual(param && paramValue(store, param), int(20_000 + i))
    }
  })

  it('let others be written through the second session, and refuse it with 503 while the hub is away', async (t) => {
    const hub = await startHub(t)
    const url = `tcp://127.0.0.1:${hub.port}`
    const owner = new LeafBench(t, { url, ...site('b') })
    const desk = new LeafBench(t, { url, ...site('a'), subscribe: ['/b/**'], writeRemote: ['/b/**'] })
    owner.set('/b/lamp', text('off'))
    await owner.active()
    await desk.active()
    await until(() => desk.get('/b/lamp') !== undefined, 'the mirrored lamp')
    desk.set('/b/lamp', text('on'))
    await until(() => JSON.stringify(owner.get('/b/lamp')) === JSON.stringify(text('on')), 'the lamp at its owner')
    owner.set('/b/lamp', text('dimmed'))
    await until(() => JSON.stringify(desk.get('/b/lamp')) === JSON.stringify(text('dimmed')), 'the lamp at the desk')
    await hub.stop()
    await until(() => desk.leaf.statistics.state !== 'active', 'loss of the hub')
    const aborter = new AbortController()
    const options = { host: '127.0.0.1', port: 0, handshakeTimeoutMs: 10_000 }
    const listener = await listenPort(options, desk.router, silentLog, aborter.signal)
    t.after(() => listener.stop())
    const client = new Peer(connect(listener.port, '127.0.0.1'))
    t.after(() => client.close())
    client.send({ type: 'HELLO', version: 1, features: ['param'], name: 'switch' })
    await client.settle()
    client.set('/b/lamp', text('late'))
    assert.equal((await client.next('ERROR')).code, 503)
    client.set('/a/own', int(1))
    await client.next('ACK')
    assert.deepEqual(desk.get('/b/lamp'), text('dimmed'))
  })
})
