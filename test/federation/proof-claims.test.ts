/** Two leaves that want the same namespace of a hub of ours. */
import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { type Config, defaultConfig } from '../../runtime/config/schema.ts'
import { type Edge, startEdge } from '../../runtime/edge.ts'
import { silentLog } from '../../runtime/router/log.ts'
import { int, text } from '../router/fixture.ts'
import { SteppedClock } from '../router/stepped-clock.ts'
import { isEqual, Site } from './proof-scene.ts'
import { SimulatedTime } from './simulated-time.ts'

const LEAF = (routerId: string, url: string) => ({ url, routerId, namespaces: ['/site-a', '/site-a/**'] })

async function contest(
  t: TestContext,
): Promise<{ time: SimulatedTime; clock: SteppedClock; hub: Site; sites: Site[] }> {
  const clock = new SteppedClock()
  const time = new SimulatedTime(clock)
  const hub = await Site.start(t, { name: 'house', clock, isHub: true })
  const first = await Site.start(t, { name: 'first', clock, uplink: LEAF('first', hub.url) })
  await time.until(() => first.isActive, 'the first link')
  first.set('/site-a/x', text('first'))
  await time.until(() => first.isSettled && hub.get('/site-a/x') !== undefined, 'its value at the hub')
  const second = await Site.start(t, { name: 'second', clock, uplink: LEAF('second', hub.url) })
  second.set('/site-a/x', text('second'))
  await time.until(() => second.status.state === 'misconfigured', 'refusal of the second')
  return { time, clock, hub, sites: [first, second] }
}

describe('of two leaves that claim one namespace', () => {
  it('the second is refused in words that name the first, on both sides', async (t) => {
    const { hub, sites } = await contest(t)
    const [, second] = sites
    assert.match(
      second.status.lastError,
      /namespace \/site-a.* overlaps \/site-a.* of leaf 'first'.*connected from 127\.0\.0\.1/,
    )
    assert.deepEqual(second.get('/site-a/_leaf/second/state'), text('misconfigured'))
    assert.ok(isEqual(second.get('/site-a/_leaf/second/error'), text(second.status.lastError)))
    assert.equal(second.complaints.length, 1, `${second.complaints}`)
    const statistics = hub.hub?.statistics
    assert.equal(statistics?.refusals, 1)
    assert.deepEqual(
      statistics?.conflicts.map(({ routerId, holder }) => [routerId, holder]),
      [['second', 'first']],
    )
    assert.equal(hub.complaints.length, 1, `${hub.complaints}`)
  })

  it('the first and its values are unharmed, and the second serves its own clients', async (t) => {
    const { time, hub, sites } = await contest(t)
    const [first, second] = sites
    for (let i = 0; i < 50; i++) {
      first.set('/site-a/y', int(i))
      second.set('/site-a/y', int(1000 + i))
      await time.pass(100)
    }
    assert.deepEqual([first.get('/site-a/x'), hub.get('/site-a/x')], [text('first'), text('first')])
    assert.deepEqual([first.get('/site-a/y'), hub.get('/site-a/y')], [int(49), int(49)])
    assert.deepEqual(second.get('/site-a/y'), int(1049))
    assert.deepEqual(second.refusals, [])
    assert.equal(first.status.connections, 1)
  })

  it('the second tries seldom, and its complaints do not fill the logs', async (t) => {
    const { time, hub, sites } = await contest(t)
    const [, second] = sites
    await time.pass(24 * 3_600_000, 10_000)
    assert.ok(second.attempts.length >= 24 && second.attempts.length <= 100, `${second.attempts.length} attempts a day`)
    assert.ok(second.complaints.length <= 3, `${second.complaints.length} lines at the leaf`)
    assert.ok(hub.complaints.length <= 3, `${hub.complaints.length} lines at the hub`)
  })

  it('the second gets in when the first has left, with its values', async (t) => {
    const { time, hub, sites } = await contest(t)
    const [first, second] = sites
    await first.stop()
    const tookMs = await time.until(() => second.isActive, 'the link of the second')
    assert.ok(tookMs <= 16 * 60_000, `${tookMs} ms`)
    await time.until(() => second.isSettled && isEqual(hub.get('/site-a/x'), text('second')), 'its value')
    assert.deepEqual(hub.hub?.statistics.conflicts, [])
    assert.deepEqual(
      hub.hub?.statistics.peers.map(({ routerId }) => routerId),
      ['second'],
    )
  })

  it('the second gets in at once when the operator lets it try', async (t) => {
    const { time, sites } = await contest(t)
    const [first, second] = sites
    await first.stop()
    second.leaf.reconnectNow()
    assert.ok((await time.until(() => second.isActive, 'the link of the second')) <= 1000)
  })
})

describe('whole routers that claim one namespace', () => {
  async function start(t: TestContext, change: (config: Config) => void): Promise<Edge> {
    const config = structuredClone(defaultConfig)
    Object.assign(config.listen, { host: '127.0.0.1', port: 0, udp: false })
    Object.assign(config.discovery, { mdns: false, broadcast: false })
    Object.assign(config, { simulate: false })
    Object.assign(config.journal, { enabled: false })
    change(config)
    const edge = await startEdge(config, { log: silentLog, version: 'test' })
    t.after(() => edge.stop())
    return edge
  }

  const statusOf = async ({ port }: Edge) =>
    JSON.stringify(await (await fetch(`http://127.0.0.1:${port}/status`)).json())

  it('tell their operators in the status page of both', async (t) => {
    const hub = await start(t, (config) => {
      config.hub.accept = true
    })
    const leaf = (id: string) =>
      start(t, (config) => Object.assign(config.hub, { ...LEAF(id, `ws://127.0.0.1:${hub.port}`), id }))
    const first = await leaf('first')
    const isUp = async (edge: Edge, words: RegExp) => {
      const deadline = performance.now() + 15_000
      while (!words.test(await statusOf(edge))) {
        if (performance.now() > deadline) throw new Error(`no ${words} in ${await statusOf(edge)}`)
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    }
    await isUp(first, /connected to ws:/)
    const second = await leaf('second')
    await isUp(second, /refused by ws:.*overlaps .* of leaf 'first'/)
    await isUp(hub, /overlaps .* of leaf 'first'/)
    await isUp(first, /connected to ws:/)
  })
})
