/** A hub that is away for a day while the leaf goes on working, and what is left of it afterwards. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { defaultLeafOptions } from '../../runtime/federation/leaf/leaf-options.ts'
import { someOf } from '../long-run.ts'
import { int } from '../router/fixture.ts'
import { SteppedClock } from '../router/stepped-clock.ts'
import { until } from '../until.ts'
import { addressOf, HOUR_MS, ownRemote, PARAMS, SHORT, timeWithout, upstreamRemote } from './hub-away.ts'
import { differences, hubValues, Site } from './proof-scene.ts'
import { SimulatedTime, turns } from './simulated-time.ts'
import { UpstreamHub } from './upstream-hub.ts'

describe('after hours without the hub in which three writers updated 5000 params again and again', () => {
  // The others and whole days are in `npm run torture`.
  for (const [kind, remoteOf, how] of someOf([
    ['upstream', upstreamRemote, 'empty'],
    ['upstream', upstreamRemote, 'an older snapshot'],
    ['upstream', upstreamRemote, 'foreign writes in between'],
    ['own', ownRemote, 'empty'],
    ['own', ownRemote, 'an older snapshot'],
    ['own', ownRemote, 'foreign writes in between'],
  ] as const)) {
    it(`both sides are equal by policy, and memory is as before: ${kind} hub, ${how}, ${SHORT.updates} updates in ${SHORT.awayMs / HOUR_MS} h`, async (t) => {
      // Once with a queue that is too short for all params.
      const maxParams = how === 'an older snapshot' ? 500 : defaultLeafOptions.outbox.maxParams
      await timeWithout(t, remoteOf, how, SHORT, { ...defaultLeafOptions.outbox, maxParams })
    })
  }
})

describe('with 5000 changed params', () => {
  it('a leaf is level with our own hub within 10 s of its return', async (t) => {
    const hub = await Site.start(t, { name: 'hub', isHub: true })
    const site = await Site.start(t, { uplink: { url: hub.url, backOff: { baseMs: 200, capMs: 1000 } } })
    for (let i = 0; i < PARAMS; i++) site.set(addressOf(i), int(i))
    const isLevel = () => site.isSettled && differences(site.values('/site-a'), hub.values('/site-a')).length === 0
    await until(isLevel, 'the first equality')
    await hub.goAway()
    await until(() => !site.isActive, 'loss of the link')
    for (let i = 0; i < PARAMS; i++) site.set(addressOf(i), int(-i - 1))
    await hub.comeBack()
    const back = performance.now()
    await until(isLevel, 'equality after the return')
    const tookMs = performance.now() - back
    t.diagnostic(`level ${Math.round(tookMs)} ms after the hub's return, the wait before the attempt included`)
    assert.ok(tookMs <= 10_000, `${tookMs} ms`)
  })

  for (const [what, token] of [
    ['keeps to the 30 frames a second of an upstream hub from the start', 'token'],
    ['finds the limit of an upstream hub out by 429, and does not storm it', undefined],
  ] as const) {
    it(`a leaf ${what}`, async (t) => {
      const clock = new SteppedClock()
      const time = new SimulatedTime(clock)
      const auth = token === undefined ? undefined : { [token]: { scopes: ['read:/**', 'write:/**'] } }
      const hub = await UpstreamHub.start(t, { clock, auth, rateLimit: 30 })
      const site = await Site.start(t, { clock, uplink: { url: hub.url, token } })
      for (let i = 0; i < PARAMS; i++) site.set(addressOf(i), int(i))
      const isLevel = () =>
        site.isSettled && differences(site.values('/site-a'), hubValues(hub, '/site-a')).length === 0
      await time.until(isLevel, 'the first equality')
      await hub.kill()
      await time.until(() => !site.isActive, 'loss of the link')
      for (let i = 0; i < PARAMS; i++) site.set(addressOf(i), int(-i - 1))
      const before = { total: hub.seen.total, limited: hub.seen.limited }
      await hub.reopen({ state: 'kept' })
      const tookMs = await time.until(isLevel, 'equality after the return')
      await turns(10)
      const frames = hub.seen.total - before.total
      const limited = hub.seen.limited - before.limited
      t.diagnostic(`${frames} frames, ${limited} of them 429, level after ${tookMs} simulated ms`)
      assert.ok(limited <= (token === undefined ? 30 : 0), `${limited} frames were refused`)
      assert.ok(frames <= 200, `${frames} frames`)
      assert.ok(tookMs <= 1000 * (frames / 5) + 35_000, `${tookMs} ms for ${frames} frames`)
    })
  }
})
