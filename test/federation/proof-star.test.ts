/** Several sites in one house: a star of leaves around a hub, and a chain of routers. */
import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import type { Message } from '../../firmware-protocol/wire/message.ts'
import { float, int, type Peer, text } from '../router/fixture.ts'
import { until } from '../until.ts'
import { Cable } from './cable.ts'
import { differences, isEqual, Site } from './proof-scene.ts'

const NAMES = ['a', 'b', 'c']
const CHANGES = 1000
const LIMIT_MS = 200
const QUIET_MS = 300
const BACK_OFF = { baseMs: 20, capMs: 200 }

const uplinkOf = (name: string) => ({
  routerId: name,
  namespaces: [`/${name}`, `/${name}/**`],
  subscribe: NAMES.filter((other) => other !== name).map((other) => `/${other}/**`),
  backOff: BACK_OFF,
})

async function star(t: TestContext): Promise<{ hub: Site; leaves: Site[] }> {
  const hub = await Site.start(t, { name: 'hub', isHub: true })
  const leaves = await Promise.all(
    NAMES.map((name) => Site.start(t, { name, port: 0, uplink: { ...uplinkOf(name), url: hub.url } })),
  )
  for (const leaf of leaves) await leaf.active()
  return { hub, leaves }
}

const setsOf = (peer: Peer, address: string) =>
  peer.inbox.filter((message): message is Extract<Message, { type: 'SET' }> => {
    return message.type === 'SET' && message.address === address
  })

/** SETs that a router has received and messages that it has delivered. */
const traffic = ({ router }: Site) => [router.statistics.messages.set, router.statistics.deliveries]

const rest = () => new Promise((resolve) => setTimeout(resolve, QUIET_MS))

/** Every namespace is the same everywhere. */
function disagreements(sites: Site[]): string[] {
  return NAMES.flatMap((name) => {
    const [first, ...others] = sites.map((site) => site.values(`/${name}/`))
    return others.flatMap((values) => differences(first, values))
  })
}

describe('three leaves around a hub', () => {
  it('bring a change at one to a subscriber at another, each once and none in circles', async (t) => {
    const { hub, leaves } = await star(t)
    const [a, b, c] = leaves
    const writer = await a.join(t, 'writer')
    const listener = await b.join(t, 'listener')
    listener.subscribe(1, '/a/**')
    await listener.settle()
    const forwardedBefore = leaves.map((leaf) => leaf.status.forwarded.sets)
    const hubBefore = hub.router.statistics.messages.set
    const times: number[] = []
    for (let i = 0; i < CHANGES; i++) {
      const start = performance.now()
      writer.set('/a/fader', float(i + 0.5))
      await listener.until(() => setsOf(listener, '/a/fader').length > i, `change ${i}`)
      times.push(performance.now() - start)
    }
    times.sort((x, y) => x - y)
    const [p50, p99] = [times[CHANGES / 2], times[Math.floor(CHANGES * 0.99)]]
    t.diagnostic(`from leaf to leaf: p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms`)
    assert.ok(p99 < LIMIT_MS, `p99 ${p99} ms`)
    await until(() => isEqual(c.get('/a/fader'), float(CHANGES - 0.5)), 'the last value at the third leaf')
    const before = [hub, ...leaves].map(traffic)
    await rest()
    assert.deepEqual([hub, ...leaves].map(traffic), before, 'it goes on although nothing changes')
    const forwarded = leaves.map((leaf, i) => leaf.status.forwarded.sets - forwardedBefore[i])
    assert.deepEqual(forwarded, [CHANGES, 0, 0])
    const atHub = hub.router.statistics.messages.set - hubBefore
    assert.ok(atHub >= CHANGES && atHub <= CHANGES + 20, `${atHub} SETs at the hub`)
    assert.equal(setsOf(listener, '/a/fader').length, CHANGES)
  })

  for (const [how, isSilent] of [
    ['whose process ends', false],
    ['whose line goes dead', true],
  ] as const) {
    it(`go on under load without one ${how}, and have it up to date when it is back`, async (t) => {
      const { hub, leaves } = await star(t)
      const [a, b, c] = leaves
      const cable = await Cable.to(t, hub.port)
      await b.relink({ ...uplinkOf('b'), url: cable.url })
      await b.active()
      b.set('/b/last', text('before the end'))
      await until(() => isEqual(c.get('/b/last'), text('before the end')), 'its last value elsewhere')
      let count = 0
      const load = setInterval(() => {
        for (let i = 0; i < 10; i++) {
          count++
          a.set(`/a/p${count % 50}`, int(count))
          c.set(`/c/p${count % 50}`, int(count))
        }
      }, 5)
      t.after(() => clearInterval(load))
      await until(() => count > 500, 'load')
      if (isSilent) cable.pull()
      else await b.stop()
      const countAtEnd = count
      await until(() => count > countAtEnd + 500, 'more load')
      const { store } = b
      const again = await Site.start(t, { name: 'b', store, uplink: { ...uplinkOf('b'), url: hub.url } })
      await again.active()
      assert.deepEqual(again.get('/b/last'), text('before the end'), 'what it had told the hub comes back')
      again.set('/b/last', text('after the return'))
      await until(() => count > countAtEnd + 1500, 'load after the return')
      clearInterval(load)
      await until(
        () => disagreements([hub, a, again, c]).length === 0 && isEqual(c.get('/b/last'), text('after the return')),
        'agreement of all',
      )
      const peers = hub.hub?.statistics.peers.filter(({ declaredAt }) => declaredAt !== undefined) ?? []
      assert.deepEqual(peers.map(({ routerId }) => routerId).sort(), NAMES, 'each leaf is there once')
      assert.equal(hub.hub?.statistics.takeovers, isSilent ? 1 : 0)
      assert.ok(a.isActive && c.isActive)
      assert.deepEqual([a.status.connections, c.status.connections], [1, 1])
    })
  }

  it('agree after the hub was away, and after it came back empty', async (t) => {
    const { hub, leaves } = await star(t)
    for (const [i, leaf] of leaves.entries()) for (let n = 0; n < 100; n++) leaf.set(`/${NAMES[i]}/p${n}`, int(n))
    await until(() => disagreements([hub, ...leaves]).length === 0 && hub.values('/').size === 300, 'agreement')
    await hub.goAway()
    for (const [i, leaf] of leaves.entries()) for (let n = 0; n < 50; n++) leaf.set(`/${NAMES[i]}/p${n}`, int(-n))
    await hub.comeBack()
    await until(() => disagreements([hub, ...leaves]).length === 0 && isEqual(hub.get('/c/p49'), int(-49)), 'agreement')
    const { port } = hub
    await hub.stop()
    for (const [i, leaf] of leaves.entries()) leaf.set(`/${NAMES[i]}/p7`, int(777))
    const empty = await Site.start(t, { name: 'hub', isHub: true, port })
    await until(() => disagreements([empty, ...leaves]).length === 0 && empty.values('/').size === 300, 'agreement')
    for (const leaf of leaves) for (const name of NAMES) assert.deepEqual(leaf.get(`/${name}/p7`), int(777))
  })
})

describe('a chain of a hub, a router that is leaf and hub at once, and a leaf', () => {
  async function chain(t: TestContext): Promise<[Site, Site, Site]> {
    const hub = await Site.start(t, { name: 'hub', isHub: true })
    const middle = await Site.start(t, {
      name: 'middle',
      isHub: true,
      uplink: { url: hub.url, routerId: 'middle', namespaces: ['/house/**'], backOff: BACK_OFF },
    })
    const leaf = await Site.start(t, {
      name: 'leaf',
      uplink: { url: middle.url, routerId: 'leaf', namespaces: ['/house/stage/**'], backOff: BACK_OFF },
    })
    await middle.active()
    await leaf.active()
    return [hub, middle, leaf]
  }

  it('brings params up and down, once each', async (t) => {
    const [hub, middle, leaf] = await chain(t)
    for (let i = 0; i < 100; i++) leaf.set(`/house/stage/up${i}`, int(i))
    for (let i = 0; i < 100; i++) hub.set(`/house/stage/down${i}`, int(i))
    await until(() => leaf.values('/house/stage/').size === 200 && hub.values('/house/stage/').size === 200, 'all')
    assert.deepEqual(differences(hub.values('/house'), leaf.values('/house')), [])
    assert.deepEqual(differences(hub.values('/house'), middle.values('/house')), [])
    const before = [hub, middle, leaf].map(traffic)
    await rest()
    assert.deepEqual([hub, middle, leaf].map(traffic), before, 'it goes on although nothing changes')
    assert.equal(middle.status.received.applied >= 100, true)
    assert.ok(leaf.status.forwarded.sets <= 100, `${leaf.status.forwarded.sets} forwarded by the leaf`)
  })

  it('brings events and streams through in both directions, once each', async (t) => {
    const [hub, middle, leaf] = await chain(t)
    for (const site of [hub, middle, leaf]) site.subscribe(1, '/house/stage/**')
    const heardBy = ({ heard }: Site) =>
      heard.flatMap((message) => (message.type === 'PUBLISH' ? [`${message.signal} ${message.address}`] : []))
    leaf.publish('/house/stage/cue', text('go'))
    await until(() => heardBy(hub).length === 1, 'the event at the hub')
    hub.publish('/house/stage/down', text('back'))
    await until(() => heardBy(leaf).length === 1, 'the event at the leaf')
    leaf.publish('/house/stage/level', float(0.5), { signal: 'stream', phase: undefined })
    await until(() => heardBy(hub).length === 2, 'the stream at the hub')
    hub.publish('/house/stage/meter', float(0.5), { signal: 'stream', phase: undefined })
    await until(() => heardBy(leaf).length === 2, 'the stream at the leaf')
    await rest()
    assert.deepEqual(heardBy(hub), ['event /house/stage/cue', 'stream /house/stage/level'])
    assert.deepEqual(heardBy(leaf), ['event /house/stage/down', 'stream /house/stage/meter'])
    assert.equal(heardBy(middle).length, 4)
  })

  it('agrees from end to end after the middle was gone while both ends changed', async (t) => {
    const [hub, middle, leaf] = await chain(t)
    for (let i = 0; i < 50; i++) leaf.set(`/house/stage/p${i}`, int(i))
    await until(() => hub.values('/house/stage/').size === 50, 'the first values')
    const { port, store } = middle
    await middle.stop()
    await until(() => !leaf.isActive, 'loss of the link')
    for (let i = 0; i < 25; i++) leaf.set(`/house/stage/p${i}`, int(100 + i))
    for (let i = 25; i < 50; i++) hub.set(`/house/stage/p${i}`, int(200 + i))
    const again = await Site.start(t, {
      name: 'middle',
      isHub: true,
      port,
      store,
      uplink: { url: hub.url, routerId: 'middle', namespaces: ['/house/**'], backOff: BACK_OFF },
    })
    await until(
      () =>
        differences(hub.values('/house'), leaf.values('/house')).length === 0 &&
        differences(hub.values('/house'), again.values('/house')).length === 0 &&
        again.isActive &&
        leaf.isActive,
      'agreement of all three',
    )
    for (let i = 0; i < 25; i++) assert.deepEqual(hub.get(`/house/stage/p${i}`), int(100 + i))
  })
})
