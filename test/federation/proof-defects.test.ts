/** One test for each row of the list of upstream defects (federation.md §15) with which a leaf has to live. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { FederationSync } from '../../firmware-protocol/wire/message.ts'
import { defaultLeafOptions, leafProblems } from '../../runtime/federation/leaf/leaf-options.ts'
import { bytes, float, int, text } from '../router/fixture.ts'
import { isEqual, Site, shown } from './proof-scene.ts'
import { SimulatedLink } from './simulated-link.ts'
import { UpstreamHub } from './upstream-hub.ts'
import { joinPeer } from './upstream-peer.ts'
import type { FrameKind } from './upstream-record.ts'

/** So long that the test would notice traffic that does not stop. */
const QUIET_MS = 10_000

const problemsOf = (namespaces: string[]) => leafProblems({ ...defaultLeafOptions, url: 'ws://hub', namespaces })

const syncs = (hub: UpstreamHub, kind: FrameKind): FederationSync[] =>
  hub.log.filter((frame) => frame.direction === 'in' && frame.kind === kind).map(({ message }) => message) as never

describe('a leaf at an upstream hub with its defects', () => {
  it('D1: what is set and published at the leaf reaches a subscriber of the hub', async (t) => {
    const link = await SimulatedLink.start(t)
    await link.active()
    const other = await joinPeer(t, link.hub, { name: 'console' })
    other.subscribe(1, '/site-a/**')
    await other.settle()
    link.site.set('/site-a/level', float(0.5))
    link.site.publish('/site-a/cue', text('go'))
    await other.until(() => other.inbox.length >= 2, 'SET and PUBLISH')
    const set = other.inbox.find(({ type }) => type === 'SET')
    const cue = other.inbox.find(({ type }) => type === 'PUBLISH')
    assert.ok(set?.type === 'SET' && set.address === '/site-a/level' && isEqual(set.value, float(0.5)))
    assert.ok(cue?.type === 'PUBLISH' && cue.address === '/site-a/cue')
  })

  it('D2: takes every later value of an address from the hub, not only the first', async (t) => {
    const link = await SimulatedLink.start(t)
    await link.active()
    link.site.subscribe(1, '/site-a/fader')
    for (let i = 1; i <= 20; i++) {
      link.hub.set('/site-a/fader', int(i))
      await link.time.until(() => isEqual(link.site.get('/site-a/fader'), int(i)), `value ${i}`, 1000)
    }
    const seen = link.site.heard.filter((message) => message.type === 'SET').length
    assert.equal(seen, 20)
  })

  it('D3: becomes active and takes what the hub holds, although the hub never asks for anything', async (t) => {
    const hub = await UpstreamHub.start(t)
    hub.set('/site-a/scene', text('from before'))
    const site = await Site.start(t, { uplink: { url: hub.url } })
    await site.active()
    assert.deepEqual(site.get('/site-a/scene'), text('from before'))
    assert.ok(hub.seen.count('REQUEST_SYNC') > 0)
    assert.equal(
      hub.log.filter(({ direction, kind }) => direction === 'out' && kind === 'DECLARE_NAMESPACES').length,
      0,
    )
  })

  it('D4: finds out by itself whether the hub federates, which its WELCOME does not say', async (t) => {
    for (const federation of [true, false]) {
      const link = await SimulatedLink.start(t, { hub: { federation } })
      const tookMs = await link.active()
      const welcomes = link.hub.log.filter(({ kind }) => kind === 'WELCOME')
      assert.ok(welcomes.every(({ message }) => message.type === 'WELCOME' && !message.features.includes('federation')))
      assert.equal(link.site.status.hub.isPeer, federation)
      link.site.set('/site-a/x', int(1))
      link.hub.set('/site-a/y', int(2))
      await link.equal()
      assert.ok(tookMs <= 6000, `active after ${tookMs} ms`)
    }
  })

  it('D5: sends nothing of what came from the hub back to it, although nothing tells where it came from', async (t) => {
    const link = await SimulatedLink.start(t)
    for (let i = 0; i < 20; i++) link.site.set(`/site-a/own${i}`, int(i))
    await link.equal()
    for (let i = 0; i < 100; i++) link.hub.set(`/site-a/p${i % 20}`, int(i))
    await link.equal()
    const { sets } = link.site.status.forwarded
    await link.time.pass(QUIET_MS)
    assert.equal(link.site.status.forwarded.sets, sets)
    assert.deepEqual(
      link.hub.seen.sets.filter(({ address }) => address.startsWith('/site-a/p')),
      [],
    )
    for (let i = 0; i < 20; i++) assert.equal(link.hub.seen.valuesOf(`/site-a/own${i}`).length, 1)
  })

  it('D6: keeps an idle session from being forgotten, for hours', async (t) => {
    const link = await SimulatedLink.start(t)
    await link.active()
    const session = link.hub.peer
    await link.time.pass(4 * 3_600_000, 1000)
    assert.equal(link.hub.peer, session)
    assert.equal(session?.isListed, true)
    link.hub.set('/site-a/x', int(1))
    await link.equal(1000)
  })

  it('D6: notices within a heartbeat and 10 s that the hub has forgotten the session, and connects anew', async (t) => {
    const link = await SimulatedLink.start(t)
    await link.active()
    const [session] = link.hub.openSessions
    link.hub.makeZombie(session)
    link.hub.set('/site-a/missed', int(7))
    const tookMs = await link.lost()
    assert.ok(tookMs <= 70_000, `noticed after ${tookMs} ms`)
    assert.match(link.site.status.lastError, /stopped sending updates/)
    await link.equal()
    assert.deepEqual(link.site.get('/site-a/missed'), int(7))
  })

  it('D7: finds in VERIFY pages what was in a snapshot that was too large for a frame', async (t) => {
    const link = await SimulatedLink.start(t)
    const addresses = Array.from({ length: 1000 }, (_, i) => `/site-a/${'long-name-'.repeat(3)}${i}`)
    for (const address of addresses) link.site.set(address, float(1))
    await link.equal()
    await link.hub.kill()
    await link.lost()
    for (const address of addresses.slice(0, 700)) link.hub.set(address, float(2))
    await link.hub.reopen({ state: 'kept' })
    await link.equal()
    assert.ok(
      link.hub.log.some(({ kind, fate }) => kind === 'SNAPSHOT' && fate === 'lost'),
      'the hub lost a snapshot',
    )
    for (const address of addresses.slice(0, 700)) assert.deepEqual(link.site.get(address), float(2))
  })

  it('D8: notices what the hub has silently lost, and brings it again', async (t) => {
    const link = await SimulatedLink.start(t)
    for (let i = 0; i < 10; i++) link.site.set(`/site-a/p${i}`, int(i))
    await link.equal()
    link.hub.params.delete('/site-a/p3')
    link.hub.params.delete('/site-a/p4')
    const tookMs = await link.equal()
    assert.ok(tookMs <= 310_000, `after ${tookMs} ms`)
    assert.equal(link.hub.seen.valuesOf('/site-a/p5').length, 1)
  })

  it('D9: never limits a sync by a revision', async (t) => {
    const link = await SimulatedLink.start(t)
    link.site.set('/site-a/x', int(1))
    await link.equal()
    await link.hub.restart({ state: 'kept' })
    await link.lost()
    await link.equal()
    const requests = syncs(link.hub, 'REQUEST_SYNC')
    assert.ok(requests.length >= 4)
    assert.ok(requests.every(({ sinceRevision }) => sinceRevision === undefined))
  })

  it('D10: puts nothing into bundles that lies outside of its namespaces, although the hub would take it', async (t) => {
    const link = await SimulatedLink.start(t, { uplink: { writeRemote: ['/site-b/**'], policy: KEEP_REMOTE } })
    for (let i = 0; i < 100; i++) {
      link.site.set(`/site-a/p${i}`, int(i))
      link.site.set(`/site-b/p${i}`, int(i))
      link.site.set(`/elsewhere/p${i}`, int(i))
    }
    await link.equal()
    await link.time.until(() => link.hub.params.has('/site-b/p99'), 'what lies elsewhere')
    const inner = link.hub.log.flatMap(({ message }) => (message.type === 'BUNDLE' ? message.messages : []))
    assert.ok(inner.length >= 90, 'bundles were used')
    assert.ok(inner.every((message) => message.type === 'SET' && message.address.startsWith('/site-a')))
    assert.equal(link.hub.params.has('/elsewhere/p0'), false)
    const byPeer = link.hub.sessions.filter(({ isPeer }) => isPeer).flatMap(({ seen }) => seen.sets)
    assert.ok(byPeer.every(({ address }) => address.startsWith('/site-a')))
  })

  it('D11: refuses a namespace with ** inside, which the hub would check wrongly', () => {
    assert.match(problemsOf(['/a/**', '/a/**/x']).join(), /'\*\*' may only stand at the end/)
  })

  it('D12: refuses invalid namespaces itself, and never declares none', async (t) => {
    for (const text of ['', 'a/**', '/a//**', '/a/[x]/**']) assert.notDeepEqual(problemsOf([text, '/b/**']), [])
    assert.notDeepEqual(problemsOf([]), [])
    const link = await SimulatedLink.start(t)
    await link.active()
    await link.hub.restart({ state: 'empty' })
    await link.lost()
    await link.active()
    await link.site.stop()
    const declared = syncs(link.hub, 'DECLARE_NAMESPACES')
    assert.equal(declared.length, 2)
    assert.ok(declared.every(({ patterns }) => patterns.length === 2))
  })

  it('D13: a token with admin:/** alone is a misconfiguration in words, and no tight loop of attempts', async (t) => {
    const auth = { admin: { scopes: ['admin:/**'] }, both: { scopes: ['read:/site-a/**', 'write:/site-a/**'] } }
    const uplink = { token: 'admin', namespaces: ['/site-a/**'] }
    const link = await SimulatedLink.start(t, { hub: { auth }, uplink })
    await link.time.until(() => link.site.status.state === 'misconfigured', 'state misconfigured')
    assert.match(link.site.status.lastError, /insufficient scope.*read:.*write:.*admin does not count/)
    await link.time.pass(2 * 3_600_000, 1000)
    assert.ok(link.site.attempts.length <= 10, `${link.site.attempts.length} attempts in two hours`)
    await link.site.relink({ ...uplink, url: link.hub.url, token: 'both' })
    link.site.set('/site-a/x', int(1))
    await link.equal()
  })

  it('D14: does not break the lock of somebody else, and gets through when it is released', async (t) => {
    const link = await SimulatedLink.start(t)
    await link.active()
    link.hub.set('/site-a/locked', int(1), { lock: true })
    await link.equal()
    link.site.set('/site-a/locked', int(2))
    await link.time.pass(30_000)
    const tries = link.hub.seen.valuesOf('/site-a/locked').length
    assert.ok(tries >= 2 && tries <= 8, `${tries} tries in 30 s`)
    assert.ok(link.hub.seen.sets.every(({ lock, unlock }) => lock !== true && unlock !== true))
    assert.match(link.site.status.lastError, /LockHeld/)
    assert.deepEqual(link.site.get('/site-a/locked'), int(2))
    link.hub.set('/site-a/locked', int(3), { unlock: true })
    await link.equal()
    assert.deepEqual(link.hub.params.get('/site-a/locked')?.value, int(2))
  })

  it('D15: two leaves that the hub gives the same namespace end with the same values and then rest', async (t) => {
    const link = await SimulatedLink.start(t)
    const uplink = { url: link.hub.url, routerId: 'stage-right' }
    const second = await Site.start(t, { clock: link.clock, uplink })
    await link.time.until(() => link.site.isActive && second.isActive, 'both links')
    for (let i = 0; i < 200; i++) {
      link.site.set(`/site-a/p${i % 20}`, int(i))
      second.set(`/site-a/p${(i * 7) % 20}`, int(1000 + i))
      if (i % 20 === 0) await link.time.pass(100)
    }
    await link.equal()
    await link.time.until(() => second.isSettled, 'the second to have settled')
    const before = link.hub.seen.sets.length
    await link.time.pass(QUIET_MS)
    const later = link.hub.seen.sets.slice(before).filter(({ address }) => !address.includes('/_leaf/'))
    assert.deepEqual(later, [])
    for (let i = 0; i < 20; i++) {
      const address = `/site-a/p${i}`
      const values = [link.site.get(address), second.get(address), link.hub.params.get(address)?.value].map((value) =>
        shown(value),
      )
      assert.equal(new Set(values).size, 1, `${address}: ${values}`)
    }
  })

  it('D16: keeps nothing of the full state that the hub sends to everybody', async (t) => {
    const hub = await UpstreamHub.start(t)
    for (let i = 0; i < 700; i++) hub.set(`/x/${i}`, int(i))
    hub.set('/site-b/mirrored', int(1))
    const site = await Site.start(t, { uplink: { url: hub.url, subscribe: ['/site-b/**'] } })
    await site.active()
    assert.equal(site.values('/x/').size, 0)
    assert.deepEqual(site.get('/site-b/mirrored'), int(1))
  })

  it('D17: waits longer from attempt to attempt up to half a minute, never twice the same', async (t) => {
    const link = await SimulatedLink.start(t)
    await link.active()
    await link.time.pass(61_000)
    await link.hub.kill()
    await link.lost()
    const before = link.site.attempts.length
    await link.time.pass(1_800_000)
    const tries = link.site.attempts.slice(before)
    const waits = tries.slice(1).map((at, i) => at - tries[i])
    assert.ok(tries.length >= 55 && tries.length <= 130, `${tries.length} attempts in half an hour`)
    assert.ok(Math.max(...waits) <= 30_200 && Math.min(...waits.slice(5)) >= 14_000, `${waits}`)
    assert.ok(new Set(waits).size > waits.length / 2, 'they are spread')
    await link.hub.reopen({ state: 'empty' })
    link.site.set('/site-a/x', int(1))
    assert.ok((await link.equal()) <= 35_000)
  })

  it('D18: sends no frame that the hub cannot decode, whatever is set', async (t) => {
    const link = await SimulatedLink.start(t)
    const values = [bytes(0), bytes(59_000), text(''), text('ü'.repeat(20_000)), { type: 'array', value: [] } as const]
    for (const [i, value] of values.entries()) link.site.set(`/site-a/v${i}`, value)
    for (let i = 0; i < 500; i++) link.site.set(`/site-a/p${i}`, int(i))
    link.site.publish('/site-a/event', bytes(64_000))
    await link.equal()
    link.site.publish('/site-a/event', bytes(64_000))
    await link.hub.restart({ state: 'empty' })
    await link.lost()
    await link.equal()
    assert.equal(link.hub.seen.undecodable, 0)
  })

  it('D19: brings its values back when the hub counts anew, and takes what was written with lower revisions', async (t) => {
    const link = await SimulatedLink.start(t)
    for (let round = 0; round < 5; round++) {
      for (let i = 0; i < 10; i++) link.site.set(`/site-a/p${i}`, int(round * 10 + i))
      await link.time.pass(1000)
    }
    await link.equal()
    link.hub.params.delete('/site-a/p0')
    assert.equal(link.hub.set('/site-a/p0', int(-1)), 1, 'made anew at the hub, the revision starts at 1')
    await link.equal(2000)
    assert.deepEqual(link.site.get('/site-a/p0'), int(-1))
    for (const state of ['snapshot', 'empty', 'journal'] as const) {
      await link.hub.restart({ state })
      await link.lost()
      for (let i = 5; i < 10; i++) link.site.set(`/site-a/p${i}`, text(`${state} ${i}`))
      await link.equal()
      for (let i = 5; i < 10; i++) assert.deepEqual(link.hub.params.get(`/site-a/p${i}`)?.value, text(`${state} ${i}`))
      assert.deepEqual(link.hub.params.get('/site-a/p1')?.value, int(41), `p1 after a restart with ${state}`)
    }
  })

  it('D20: gets through to a hub whose clock was set back, as soon as that catches up', async (t) => {
    const link = await SimulatedLink.start(t, { hasTwoClocks: true })
    link.site.set('/site-a/x', int(1))
    await link.equal()
    link.hubClock.stepWall(-60e6)
    link.site.set('/site-a/x', int(2))
    await link.time.pass(30_000)
    assert.deepEqual(link.hub.params.get('/site-a/x')?.value, int(1), 'the hub rejects it')
    assert.match(link.site.status.lastError, /ConflictRejected/)
    assert.ok(link.hub.seen.valuesOf('/site-a/x').length <= 12, 'no tight loop')
    await link.equal(60_000)
    assert.deepEqual(link.hub.params.get('/site-a/x')?.value, int(2))
  })

  it('D21: loses no event of a pattern that opted in when the hub discards frames and says nothing of PUBLISH', async (t) => {
    const policy = [{ pattern: '/site-a/cue/**', offline: 'all' as const, maxAgeMs: 600_000 }]
    const link = await SimulatedLink.start(t, { hub: { rateLimit: 30 }, uplink: { policy, rate: 0 } })
    await link.active()
    await link.hub.kill()
    await link.lost()
    for (let i = 0; i < 200; i++) link.site.publish(`/site-a/cue/${i}`, int(i))
    await link.hub.reopen({ state: 'kept' })
    await link.time.until(
      () => link.site.isActive && link.site.status.queue.events === 0,
      () =>
        `empty queue of events, ${link.site.status.queue.events} are left and ${link.hub.seen.limited} were discarded`,
      300_000,
    )
    const arrived = link.hub.log.filter(({ kind, fate }) => kind === 'PUBLISH' && fate === 'handled')
    const cues = arrived.map(({ message }) => (message.type === 'PUBLISH' ? message.address : ''))
    assert.ok(link.hub.seen.limited > 0, 'the hub discarded something')
    for (let i = 0; i < 200; i++) assert.ok(cues.includes(`/site-a/cue/${i}`), `cue ${i}`)
    assert.equal(link.site.status.dropped.events, 0)
  })

  it('D22: brings 2000 changed params within seconds to a hub that takes 30 frames a second, without one 429', async (t) => {
    const auth = { token: { scopes: ['read:/**', 'write:/**'] } }
    const link = await SimulatedLink.start(t, { hub: { auth }, uplink: { token: 'token' } })
    await link.active()
    await link.hub.kill()
    await link.lost()
    for (let i = 0; i < 2000; i++) link.site.set(`/site-a/p${i}`, int(i))
    await link.hub.reopen({ state: 'empty' })
    const tookMs = await link.equal()
    t.diagnostic(`${link.hub.seen.total} frames, ${tookMs} simulated ms`)
    assert.equal(link.hub.seen.limited, 0)
    assert.ok(tookMs <= 40_000, `${tookMs} ms`)
  })

  it('D23: a value that does not change does not disappear from the hub', async (t) => {
    const link = await SimulatedLink.start(t)
    link.site.set('/site-a/constant', float(21.5))
    await link.equal()
    await link.time.pass(3 * 3_600_000, 1000)
    assert.deepEqual(link.hub.params.get('/site-a/constant')?.value, float(21.5))
    assert.equal(link.hub.seen.valuesOf('/site-a/constant').length, 1)
  })

  it('D24: has the same id after every start, and another one than the next leaf', async (t) => {
    const link = await SimulatedLink.start(t, { uplink: { routerId: undefined } })
    await link.active()
    const { routerId } = link.site.leaf
    assert.match(routerId, /^leaf-[0-9a-f]{12}$/)
    await link.restartSite()
    await link.active()
    const second = await Site.start(t, { uplink: { url: link.hub.url, routerId: undefined, namespaces: ['/b/**'] } })
    await second.active()
    const ids = syncs(link.hub, 'DECLARE_NAMESPACES').map(({ origin }) => origin)
    assert.deepEqual(ids.slice(0, 2), [routerId, routerId])
    assert.notEqual(ids[2], routerId)
    assert.deepEqual(
      link.hub.sessions.map(({ name }) => name),
      ids,
    )
  })

  it('D25: says HELLO once on a connection, whatever happens', async (t) => {
    const link = await SimulatedLink.start(t, { uplink: { subscribe: ['/b/**'] } })
    for (const state of ['empty', 'snapshot', 'kept'] as const) {
      await link.active()
      await link.hub.restart({ state })
      await link.lost()
    }
    await link.active()
    const hellos = link.hub.log.filter(({ kind }) => kind === 'HELLO').map(({ connection }) => connection)
    assert.equal(hellos.length, 8)
    assert.equal(new Set(hellos).size, 8)
  })

  it('D26: survives what adapters of the hub write without rules, its own records included', async (t) => {
    const policy = [{ pattern: '/site-a/strict', conflict: 'owner-strict' as const }]
    const link = await SimulatedLink.start(t, { uplink: { policy } })
    link.site.set('/site-a/strict', int(1))
    await link.equal()
    const own = '/site-a/_leaf/stage-left'
    for (const address of ['/site-a', '/site-a/', '/site-a/a b', '/site-a/*', '/site-a/ü', `${own}/x`])
      link.hub.set(address, bytes(100), { writer: 'mqtt' })
    for (const name of ['hb', 'epoch', 'status']) link.hub.set(`${own}/${name}`, { type: 'null' }, { writer: 'osc' })
    for (let i = 0; i < 50; i++) link.hub.set('/site-a/strict', text(`osc ${i}`), { writer: 'osc' })
    await link.time.pass(130_000)
    await link.time.until(() => link.site.isActive, 'the link')
    assert.deepEqual(link.hub.params.get('/site-a/strict')?.value, int(1), 'the owner has the last word')
    link.site.set('/site-a/after', int(1))
    await link.time.until(() => link.hub.params.has('/site-a/after'), 'what comes after it')
    await link.hub.restart({ state: 'kept' })
    await link.lost()
    await link.active()
    assert.deepEqual(link.site.get('/site-a/strict'), int(1))
  })
})

const KEEP_REMOTE = [{ pattern: '/site-b/**', offline: 'latest' as const }]
