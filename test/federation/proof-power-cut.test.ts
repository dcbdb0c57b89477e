/** A leaf with a journal that loses power while the hub is away. */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { int, text } from '../router/fixture.ts'
import { until } from '../until.ts'
import { Chance, differences, hubValues, isEqual, Site } from './proof-scene.ts'
import { UpstreamHub } from './upstream-hub.ts'

const PARAMS = 5000
const UPDATES = 200_000
const MAX_BYTES = 16_000_000

const POLICY = [{ pattern: '/site-a/cue/**', offline: 'all' as const, maxAgeMs: 600_000 }]

interface Scene {
  hub: UpstreamHub
  folder: string
  start(): Promise<Site>
}

async function scene(t: TestContext): Promise<Scene> {
  const hub = await UpstreamHub.start(t)
  const folder = mkdtempSync(join(tmpdir(), 'clasp-leaf-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const uplink = { url: hub.url, routerId: undefined, policy: POLICY, backOff: { baseMs: 20, capMs: 200 } }
  return { hub, folder, start: () => Site.start(t, { journal: folder, uplink }) }
}

const bytesIn = (folder: string) =>
  readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0)

async function stored(site: Site): Promise<void> {
  await until(() => {
    const { pendingParams, pendingEntries, isCommitting } = site.journal?.statistics ?? {}
    return pendingParams === 0 && pendingEntries === 0 && isCommitting === false
  }, 'everything on the disk')
}

describe('a leaf that loses power while the hub is away', () => {
  it('brings what it had stored: the last values, each changed one once, and the events that may wait', async (t) => {
    const { hub, folder, start } = await scene(t)
    const first = await start()
    for (let i = 0; i < PARAMS; i++) first.set(`/site-a/p${i}`, int(i))
    const isLevel = (site: Site) =>
      site.isSettled && differences(site.values('/site-a'), hubValues(hub, '/site-a')).length === 0
    await until(() => isLevel(first), 'the first equality')
    await stored(first)
    await hub.kill()
    await until(() => !first.isActive, 'loss of the link')
    const chance = new Chance(11)
    const changed = new Set<number>()
    for (let n = 0; n < UPDATES; n++) {
      const i = chance.below(PARAMS / 2)
      changed.add(i)
      first.set(`/site-a/p${i}`, int(1_000_000 + n))
      if (n % 5000 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    first.publish('/site-a/cue/late', text('go'))
    first.publish('/site-a/plain', text('go'))
    await stored(first)
    const expected = first.values('/site-a')
    const bytes = bytesIn(folder)
    t.diagnostic(`${UPDATES} updates while the hub was away: ${(bytes / 1e6).toFixed(1)} MB on the disk`)
    await first.crash()

    const second = await start()
    assert.equal(second.leaf.routerId, first.leaf.routerId)
    assert.deepEqual(differences(second.values('/site-a'), expected), [])
    assert.equal(second.status.queue.params, changed.size)
    const before = hub.seen.sets.length
    await hub.reopen({ state: 'kept' })
    await until(() => isLevel(second), 'equality after the return')
    assert.deepEqual(differences(second.values('/site-a'), expected), [])
    const pushed = hub.seen.sets.slice(before).filter(({ address }) => /\/p\d+$/.test(address))
    assert.equal(pushed.length, changed.size)
    await until(() => hub.seen.count('PUBLISH') > 0, 'the event')
    const cues = hub.log.flatMap(({ message }) => (message.type === 'PUBLISH' ? [message.address] : []))
    assert.deepEqual(cues, ['/site-a/cue/late'])
    assert.ok(bytes < MAX_BYTES, `${bytes} bytes on the disk`)
  })

  it('ends equal with a hub that was written to meanwhile, after any number of power cuts', async (t) => {
    const { hub, start } = await scene(t)
    const chance = new Chance(5)
    let site = await start()
    for (let round = 1; round <= 5; round++) {
      for (let n = 0; n < 300; n++) {
        const address = `/site-a/p${chance.below(60)}`
        if (chance.below(3) === 0) hub.set(address, int(round * 10_000 + n))
        else site.set(address, int(-round * 10_000 - n))
        if (n === 100) await hub.kill()
        if (n % 50 === 0) await new Promise((resolve) => setImmediate(resolve))
      }
      const sync = text(`round ${round}`)
      site.set('/site-a/marker', sync)
      if (round % 2 === 0) await stored(site)
      await site.crash()
      if (round === 3) hub.state.clear()
      await hub.reopen({ state: 'kept' })
      site = await start()
      await until(
        () => site.isSettled && differences(site.values('/site-a'), hubValues(hub, '/site-a')).length === 0,
        `equality in round ${round}`,
      )
      if (round % 2 === 0) assert.ok(isEqual(hub.params.get('/site-a/marker')?.value, sync))
    }
  })
})
