/** What goes wrong on the way to an upstream hub, situation by situation (federation.md §12), as the leaf lives through it. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Message } from '../../firmware-protocol/wire/message.ts'
import type { ConflictPolicy } from '../../runtime/federation/leaf/reconcile.ts'
import { someOf } from '../long-run.ts'
import { bytes, float, int, text } from '../router/fixture.ts'
import { isEqual, Site } from './proof-scene.ts'
import { SimulatedLink } from './simulated-link.ts'

const HOUR_MS = 3_600_000

/** Everything below `/site-a` follows the policy. */
const conflict = (policy: ConflictPolicy) => ({ policy: [{ pattern: '/site-a/**', conflict: policy }] })

async function cut(link: SimulatedLink): Promise<void> {
  await link.hub.kill()
  await link.lost()
}

describe('a leaf whose hub', () => {
  it('12.1 is away for a minute serves its own clients as ever, and brings each changed param once', async (t) => {
    const link = await SimulatedLink.start(t)
    for (let i = 0; i < 50; i++) link.site.set(`/site-a/p${i}`, int(i))
    await link.equal()
    const before = link.hub.seen.sets.length
    await cut(link)
    link.site.subscribe(1, '/site-a/**')
    for (let i = 0; i < 1000; i++) link.site.set(`/site-a/p${i % 20}`, int(100 + i))
    await link.time.pass(60_000)
    const told = link.site.heard.filter(({ type }) => type === 'SET').length
    assert.ok(told >= 1000, `${told} changes reached the local subscriber`)
    assert.deepEqual(link.site.refusals, [])
    await link.hub.reopen({ state: 'kept' })
    await link.equal()
    const pushed = link.hub.seen.sets.slice(before).filter(({ address }) => address.startsWith('/site-a/p'))
    assert.equal(pushed.length, 20)
  })

  it('12.1 is away is said to be offline here, and a leaf that is away can be told at the hub', async (t) => {
    const link = await SimulatedLink.start(t)
    await link.active()
    const own = '/site-a/_leaf/stage-left'
    await link.time.until(
      () => link.hub.params.has(`${own}/hb`) && link.hub.params.has(`${own}/status`),
      'signs of life',
    )
    const here = () => JSON.stringify(link.site.get(`${own}/status`))
    await link.time.until(() => /online/.test(here()), 'status online')
    await cut(link)
    await link.time.until(() => /offline/.test(here()), 'status offline', 5000)
    await link.hub.reopen({ state: 'kept' })
    await link.active()
    await link.time.until(() => /online/.test(here()), 'status online', 5000)
    await link.site.stop()
    await link.time.pass(300_000, 1000)
    assert.equal(link.hub.params.has(`${own}/hb`), false)
  })

  for (const state of ['empty', 'snapshot', 'journal'] as const) {
    it(`12.2-4 comes back with ${state} gets all values as they are now`, async (t) => {
      const link = await SimulatedLink.start(t)
      for (let i = 0; i < 100; i++) link.site.set(`/site-a/p${i}`, int(i))
      await link.equal()
      link.hub.state.save()
      for (let i = 0; i < 50; i++) link.site.set(`/site-a/p${i}`, int(1000 + i))
      await link.equal()
      await link.hub.kill()
      for (let i = 40; i < 60; i++) link.site.set(`/site-a/p${i}`, int(2000 + i))
      await link.lost()
      await link.hub.reopen({ state })
      await link.equal()
      for (let i = 0; i < 100; i++) {
        const expected = i >= 40 && i < 60 ? 2000 + i : i < 40 ? 1000 + i : i
        assert.deepEqual(link.hub.params.get(`/site-a/p${i}`)?.value, int(expected))
      }
    })
  }

  it('12.5 was away so long that it has let go of everything gets everything again', async (t) => {
    const link = await SimulatedLink.start(t, { uplink: { policy: [{ pattern: '/site-a/old/**', ttlSeconds: 600 }] } })
    for (let i = 0; i < 20; i++) link.site.set(`/site-a/old/p${i}`, int(i))
    await link.equal()
    await cut(link)
    await link.time.pass(2 * HOUR_MS, 5000)
    await link.hub.reopen({ state: 'kept' })
    assert.equal(link.hub.params.has('/site-a/old/p0'), false, 'the hub has let go')
    await link.equal()
    assert.equal(link.hub.params.has('/site-a/old/p0'), true)
  })

  it('12.6 loses large answers still ends with the same large values, and one that cannot travel is named', async (t) => {
    const link = await SimulatedLink.start(t)
    for (let i = 0; i < 20; i++) link.site.set(`/site-a/big${i}`, bytes(50_000 + i))
    link.site.set('/site-a/huge', text('x'.repeat(62_000)))
    await link.time.until(() => /too large/.test(link.site.status.lastError), 'complaint about the size')
    assert.match(link.site.status.lastError, /\/site-a\/huge/)
    await link.time.until(() => link.hub.params.has('/site-a/big19'), 'the large values')
    await cut(link)
    for (let i = 0; i < 20; i += 2) link.hub.set(`/site-a/big${i}`, bytes(49_000 + i))
    await link.hub.reopen({ state: 'kept' })
    await link.time.until(
      () =>
        Array.from({ length: 10 }, (_, i) => i * 2).every((i) =>
          isEqual(link.site.get(`/site-a/big${i}`), bytes(49_000 + i)),
        ),
      'the foreign large values',
    )
    assert.ok(link.hub.log.some(({ kind, fate }) => kind === 'SNAPSHOT' && fate === 'lost'))
    assert.equal(link.site.status.forwarded.tooLarge >= 1, true)
  })

  for (const [policy, expected] of [
    ['owner', { 'leaf-first': 'leaf', 'hub-first': 'leaf' }],
    ['lww', { 'leaf-first': 'hub', 'hub-first': 'leaf' }],
    ['hub', { 'leaf-first': 'hub', 'hub-first': 'hub' }],
  ] as const) {
    for (const skewS of [0, 3600, -3600, 315_000_000]) {
      it(`12.7 12.9 was written to while it was away agrees by policy ${policy}, its clock ${skewS} s ahead`, async (t) => {
        const link = await SimulatedLink.start(t, { uplink: conflict(policy), hasTwoClocks: true })
        link.hubClock.stepWall(skewS * 1e6)
        for (const name of ['leaf-first', 'hub-first', 'hub-only', 'leaf-only'])
          link.site.set(`/site-a/${name}`, text('old'))
        await link.equal()
        await cut(link)
        link.site.set('/site-a/leaf-first', text('leaf'))
        link.hub.set('/site-a/hub-first', text('hub'))
        await link.time.pass(10_000)
        link.hub.set('/site-a/leaf-first', text('hub'))
        link.site.set('/site-a/hub-first', text('leaf'))
        link.hub.set('/site-a/hub-only', text('hub'))
        link.site.set('/site-a/leaf-only', text('leaf'))
        await link.time.pass(10_000)
        await link.hub.reopen({ state: 'kept' })
        await link.equal()
        for (const [name, winner] of Object.entries({ ...expected, 'hub-only': 'hub', 'leaf-only': 'leaf' }))
          assert.deepEqual(link.site.get(`/site-a/${name}`), text(winner), name)
      })
    }
  }

  it('12.8 has all it needs gets nothing twice: no value again, no event again', async (t) => {
    const link = await SimulatedLink.start(t)
    for (let i = 0; i < 300; i++) link.site.set(`/site-a/p${i}`, int(i))
    await link.equal()
    const before = link.hub.seen.sets.length
    link.site.publish('/site-a/cue', int(1))
    for (let i = 0; i < 5; i++) {
      await link.hub.restart({ state: 'kept' })
      await link.lost()
      await link.equal()
    }
    const again = link.hub.seen.sets.slice(before).filter(({ address }) => !address.includes('/_leaf/'))
    assert.deepEqual(again, [])
    assert.ok(link.hub.seen.count('PUBLISH') <= 1)
  })

  it('12.9 gets the right winner from a leaf whose own clock was set while the hub was away', async (t) => {
    const link = await SimulatedLink.start(t, { uplink: conflict('lww'), hasTwoClocks: true })
    for (const name of ['leaf-last', 'hub-last']) link.site.set(`/site-a/${name}`, text('old'))
    await link.equal()
    await cut(link)
    link.site.set('/site-a/hub-last', text('leaf'))
    link.hub.set('/site-a/leaf-last', text('hub'))
    await link.time.pass(5000)
    link.clock.stepWall(10 * 365 * 86_400e6)
    await link.time.pass(5000)
    link.site.set('/site-a/leaf-last', text('leaf'))
    link.hub.set('/site-a/hub-last', text('hub'))
    await link.hub.reopen({ state: 'kept' })
    await link.equal()
    assert.deepEqual(link.site.get('/site-a/leaf-last'), text('leaf'))
    assert.deepEqual(link.site.get('/site-a/hub-last'), text('hub'))
  })

  it('12.10 is cut off without a word is given up, and found again when it can be reached', async (t) => {
    const link = await SimulatedLink.start(t)
    await link.active()
    for (const { connection } of link.hub.openSessions) connection.freeze()
    link.site.set('/site-a/x', int(1))
    const tookMs = await link.lost()
    assert.ok(tookMs <= 80_000, `noticed after ${tookMs} ms`)
    assert.match(link.site.status.lastError, /silent|did not answer/)
    await link.equal()
    assert.deepEqual(link.hub.params.get('/site-a/x')?.value, int(1))
  })

  it('12.11 forgets the second session is found out as well, and what it should have sent arrives', async (t) => {
    const link = await SimulatedLink.start(t, { uplink: { subscribe: ['/site-b/**'] } })
    await link.active()
    const second = link.hub.openSessions.find(({ isPeer }) => !isPeer)
    assert.ok(second !== undefined)
    link.hub.makeZombie(second)
    link.hub.set('/site-b/x', int(5))
    const tookMs = await link.time.until(() => isEqual(link.site.get('/site-b/x'), int(5)), 'the mirrored value')
    assert.ok(tookMs <= 90_000, `${tookMs} ms`)
    await link.active()
    await link.time.pass(HOUR_MS / 2, 1000)
    assert.ok(link.site.isActive)
    link.hub.set('/site-b/x', int(6))
    await link.time.until(() => isEqual(link.site.get('/site-b/x'), int(6)), 'the next mirrored value', 1000)
  })

  for (const [address, kind] of [
    ['/site-a/lamp', 'own'],
    ['/site-b/lamp', 'mirrored'],
  ]) {
    it(`12.5 lets go of an ${kind} param that somebody sets again is followed, although the revision is the same`, async (t) => {
      const link = await SimulatedLink.start(t, { uplink: { subscribe: ['/site-b/**'] } })
      await link.active()
      link.hub.set(address, text('on'))
      await link.time.until(() => isEqual(link.site.get(address), text('on')), 'the first value')
      link.hub.params.delete(address)
      assert.equal(link.hub.set(address, text('off')), 1)
      await link.time.until(() => isEqual(link.site.get(address), text('off')), 'the second value', 10_000)
    })
  }

  it('12.12 drops a few updates without a word, or many and says so, is compared with until all are here', async (t) => {
    const link = await SimulatedLink.start(t, { uplink: { subscribe: ['/site-b/**'] } })
    await link.active()
    for (const [count, withinMs] of [
      [5, 310_000],
      [400, 60_000],
    ]) {
      link.hub.faults.dropBroadcasts(count * 2)
      for (let i = 0; i < count; i++) {
        link.hub.set(`/site-a/p${i}`, int(count + i))
        link.hub.set(`/site-b/p${i}`, int(count + i))
      }
      link.hub.faults.dropBroadcasts(0)
      const tookMs = await link.equal(withinMs)
      await link.time.until(
        () =>
          Array.from({ length: count }, (_, i) => i).every((i) =>
            isEqual(link.site.get(`/site-b/p${i}`), int(count + i)),
          ),
        'the mirrored values',
        withinMs,
      )
      t.diagnostic(`${count} dropped updates were here after ${tookMs} simulated ms`)
    }
  })

  it('12.13 12.14 hosts two leaves that write into each other rests after the last change', async (t) => {
    const policy = [{ pattern: '/**', offline: 'latest' as const }]
    const link = await SimulatedLink.start(t, {
      uplink: { writeRemote: ['/site-b/**'], subscribe: ['/site-b/**'], policy },
    })
    const second = await Site.start(t, {
      clock: link.clock,
      uplink: {
        url: link.hub.url,
        routerId: 'stage-right',
        namespaces: ['/site-b/**'],
        subscribe: ['/site-a/**'],
        writeRemote: ['/site-a/**'],
        policy,
      },
    })
    await link.time.until(() => link.site.isActive && second.isActive, 'both links')
    for (let i = 0; i < 100; i++) {
      link.site.set(`/site-b/p${i % 10}`, int(i))
      second.set(`/site-a/p${i % 10}`, int(i))
      if (i % 10 === 9) await link.time.pass(200)
    }
    const isQuiet = () => link.site.isSettled && second.isSettled && isEqual(second.get('/site-b/p9'), int(99))
    await link.time.until(isQuiet, 'rest')
    await link.equal()
    const before = link.hub.seen.sets.length
    await link.time.pass(30_000)
    assert.deepEqual(
      link.hub.seen.sets.slice(before).filter(({ address }) => !address.includes('/_leaf/')),
      [],
    )
    assert.ok(link.hub.seen.sets.filter(({ address }) => /p\d$/.test(address)).length <= 200, 'each change went once')
    for (let i = 0; i < 10; i++) {
      assert.deepEqual(link.site.get(`/site-a/p${i}`), int(90 + i))
      assert.deepEqual(second.get(`/site-b/p${i}`), int(90 + i))
    }
  })

  it('12.15 keeps no lock of the leaf, so that none is left behind by an earlier session', async (t) => {
    const link = await SimulatedLink.start(t)
    await link.active()
    link.site.set('/site-a/locked', int(1), { lock: true })
    await link.equal()
    assert.equal(link.hub.params.get('/site-a/locked')?.holder, undefined)
    await link.hub.restart({ state: 'kept' })
    await link.lost()
    link.site.set('/site-a/locked', int(2))
    await link.equal()
    assert.deepEqual(link.hub.params.get('/site-a/locked')?.value, int(2))
  })

  const kinds: Message['type'][] = ['WELCOME', 'SNAPSHOT', 'ACK', 'PONG', 'SYNC', 'FEDERATION_SYNC', 'SET']
  for (const kind of someOf(kinds)) {
    it(`12.16 sends ${kind} cut short is left, and everything is well when it does so no more`, async (t) => {
      const link = await SimulatedLink.start(t)
      let spoiled = 0
      link.hub.faults.mangle = (frame, { type }) => {
        if (type !== kind || frame.length < 5) return frame
        spoiled++
        return frame.subarray(0, frame.length - 1 - (spoiled % 3))
      }
      link.site.set('/site-a/x', float(1))
      link.hub.set('/site-a/y', float(2))
      await link.time.pass(600_000)
      const tries = link.site.attempts.length
      assert.ok(tries <= 60, `${tries} attempts in ten minutes`)
      link.hub.faults.mangle = undefined
      await link.equal()
      t.diagnostic(`${spoiled} frames spoiled, ${tries} attempts in ten minutes`)
      assert.ok(spoiled > 0)
      assert.equal(link.hub.seen.undecodable, 0)
    })
  }
})
