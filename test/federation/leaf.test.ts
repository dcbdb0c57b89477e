import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { float, int, text } from '../router/fixture.ts'
import { until } from '../until.ts'
import { LeafBench } from './leaf-fixture.ts'
import { UpstreamHub } from './upstream-hub.ts'

describe('a leaf at an upstream hub', () => {
  it('brings what it has, and each change after that', async (t) => {
    const hub = await UpstreamHub.start(t)
    const leaf = new LeafBench(t, { url: hub.url })
    leaf.set('/site-a/before', float(1.5))
    leaf.set('/elsewhere', int(1))
    await leaf.active()
    await until(() => hub.params.has('/site-a/before'), 'the value from before the link')
    leaf.set('/site-a/after', int(2))
    await until(() => hub.params.has('/site-a/after'), 'the value set on the link')
    assert.deepEqual(hub.params.get('/site-a/after')?.value, int(2))
    assert.equal(hub.params.has('/elsewhere'), false)
  })

  it('takes what others write into its namespace, and sends none of it back', async (t) => {
    const hub = await UpstreamHub.start(t)
    const leaf = new LeafBench(t, { url: hub.url })
    await leaf.active()
    for (let i = 1; i <= 50; i++) hub.set('/site-a/on', int(i))
    await until(() => sameValue(leaf.get('/site-a/on'), int(50)), 'the last value')
    await leaf.active()
    assert.deepEqual(hub.seen.valuesOf('/site-a/on'), [])
  })

  it('sends a param that changed often while the hub was away once', async (t) => {
    const hub = await UpstreamHub.start(t)
    const leaf = new LeafBench(t, { url: hub.url })
    await leaf.active()
    await hub.kill()
    await until(() => leaf.leaf.statistics.state !== 'active', 'loss of the link')
    for (let i = 0; i < 1000; i++) leaf.set(`/site-a/p${i % 50}`, int(i))
    const before = hub.seen.sets.length
    await hub.reopen({ state: 'empty' })
    await leaf.active()
    const pushed = hub.seen.sets.slice(before).filter(({ address }) => /p\d+$/.test(address))
    assert.equal(pushed.length, 50)
    for (let i = 950; i < 1000; i++) assert.deepEqual(hub.params.get(`/site-a/p${i % 50}`)?.value, int(i))
  })

  it('falls back to an ordinary client at a hub without federation', async (t) => {
    const hub = await UpstreamHub.start(t, { federation: false })
    hub.set('/site-a/old', text('from the hub'))
    const leaf = new LeafBench(t, { url: hub.url, probeTimeoutMs: 200 })
    leaf.set('/site-a/x', int(1))
    await leaf.active()
    assert.equal(leaf.leaf.statistics.hub.isPeer, false)
    assert.deepEqual(leaf.get('/site-a/old'), text('from the hub'))
    assert.deepEqual(hub.params.get('/site-a/x')?.value, int(1))
    hub.set('/site-a/y', int(5))
    await until(() => leaf.get('/site-a/y') !== undefined, 'an update')
  })
})

function sameValue(a: object | undefined, b: object): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}
