/** Clocks that are set by years while a leaf and its hub talk to each other. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { int } from '../router/fixture.ts'
import { SteppedClock } from '../router/stepped-clock.ts'
import { differences, Site } from './proof-scene.ts'
import { SimulatedLink } from './simulated-link.ts'
import { SimulatedTime } from './simulated-time.ts'

const MINUTE_MS = 60_000

describe('a clock that jumps by years', () => {
  const YEARS_US = 10 * 365 * 86_400e6

  for (const [whose, jumpUs] of [
    ['leaf', YEARS_US],
    ['leaf', -YEARS_US],
    ['hub', YEARS_US],
  ] as const) {
    it(`at the ${whose}, ${jumpUs > 0 ? 'on' : 'back'}, disturbs neither the link nor what is brought`, async (t) => {
      const link = await SimulatedLink.start(t, { hasTwoClocks: true })
      for (let i = 0; i < 50; i++) link.site.set(`/site-a/p${i}`, int(i))
      await link.equal()
      const clock = whose === 'leaf' ? link.clock : link.hubClock
      clock.stepWall(jumpUs)
      for (let i = 0; i < 50; i++) link.site.set(`/site-a/p${i}`, int(100 + i))
      link.hub.set('/site-a/q', int(1))
      await link.equal(30_000)
      assert.equal(link.site.status.connections, 1)
      await link.hub.restart({ state: 'kept' })
      await link.lost()
      clock.stepWall(jumpUs)
      for (let i = 0; i < 50; i++) link.site.set(`/site-a/p${i}`, int(200 + i))
      await link.equal(60_000)
      assert.deepEqual(link.hub.params.get('/site-a/p49')?.value, int(249))
    })
  }

  it('back at an upstream hub is borne, which rejects everything then, until it is restarted', async (t) => {
    const link = await SimulatedLink.start(t, { hasTwoClocks: true })
    for (let i = 0; i < 200; i++) link.site.set(`/site-a/p${i}`, int(i))
    await link.equal()
    link.hubClock.stepWall(-YEARS_US)
    for (let i = 0; i < 200; i++) link.site.set(`/site-a/p${i}`, int(1000 + i))
    const before = link.hub.seen.total
    await link.time.pass(10 * MINUTE_MS)
    const frames = link.hub.seen.total - before
    t.diagnostic(`${frames} frames in ten minutes for 200 rejected params`)
    assert.ok(frames <= 600 * 50, `${frames} frames`)
    assert.match(
      `${link.site.status.lastError} ${link.site.complaints.join()}`,
      /ConflictRejected|did not answer a heartbeat/,
    )
    await link.hub.restart({ state: 'snapshot' })
    await link.equal()
    assert.deepEqual(link.hub.params.get('/site-a/p7')?.value, int(1007))
  })

  for (const jumpUs of [YEARS_US, -YEARS_US]) {
    it(`at a hub of ours, ${jumpUs > 0 ? 'on' : 'back'}, disturbs nothing`, async (t) => {
      const [leafClock, hubClock] = [new SteppedClock(), new SteppedClock()]
      const time = new SimulatedTime(leafClock, hubClock)
      const hub = await Site.start(t, { name: 'hub', isHub: true, clock: hubClock })
      const site = await Site.start(t, { clock: leafClock, uplink: { url: hub.url } })
      const isLevel = () => site.isSettled && differences(site.values('/site-a'), hub.values('/site-a')).length === 0
      for (let round = 0; round < 3; round++) {
        for (let i = 0; i < 50; i++) site.set(`/site-a/p${i}`, int(100 * round + i))
        hub.set('/site-a/q', int(round))
        await time.until(isLevel, () => `equality: ${JSON.stringify(site.status)}`, 30_000)
        hubClock.stepWall(jumpUs)
      }
      await hub.goAway()
      await time.until(() => !site.isActive, 'loss of the link')
      site.set('/site-a/q', int(77))
      await hub.comeBack()
      await time.until(isLevel, 'equality', 60_000)
      assert.deepEqual(hub.get('/site-a/q'), int(77))
    })
  }
})
