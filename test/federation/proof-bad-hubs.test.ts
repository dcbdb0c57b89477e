/** Hubs, tokens, names and clocks as they should not be: how long the leaf waits, what it says, and how it recovers. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { encodeFrame } from '../../firmware-protocol/wire/frame.ts'
import type { LeafOptions } from '../../runtime/federation/leaf/leaf-options.ts'
import { silentLog } from '../../runtime/router/log.ts'
import { listenPort } from '../../runtime/transports/port.ts'
import { int, text } from '../router/fixture.ts'
import { SteppedClock } from '../router/stepped-clock.ts'
import { until } from '../until.ts'
import { authority, expiredCertificate, hubCertificate } from './hub-certificates.ts'
import { Chance, differences, Site, shown } from './proof-scene.ts'
import { SimulatedLink } from './simulated-link.ts'
import { SimulatedTime } from './simulated-time.ts'
import type { UpstreamHub } from './upstream-hub.ts'
import type { FrameKind } from './upstream-record.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000

/** The link of a leaf that has some of everything to bring. */
async function busyLink(t: TestContext, uplink: Partial<LeafOptions> = {}): Promise<SimulatedLink> {
  const link = await SimulatedLink.start(t, { uplink: { subscribe: ['/site-b/**'], ...uplink } })
  for (let i = 0; i < 60; i++) link.site.set(`/site-a/p${i}`, int(i))
  for (let i = 0; i < 60; i++) link.hub.set(`/site-a/q${i}`, int(i))
  return link
}

describe('a hub that', () => {
  it('lies about revisions ends with the same values as the leaf, and is not asked for ever', async (t) => {
    const chance = new Chance(3)
    const link = await busyLink(t)
    await link.equal()
    link.hub.faults.ackRevision = (_address, revision) => chance.pick([0, 1, revision, revision + 1000, 2 ** 40])
    link.hub.faults.echoRevision = (_address, revision) => chance.pick([0, 1, revision, revision - 1, revision + 1000])
    for (let i = 0; i < 300; i++) {
      link.site.set(`/site-a/p${i % 60}`, int(1000 + i))
      link.hub.set(`/site-a/q${i % 60}`, int(2000 + i))
      await link.time.pass(100)
    }
    link.hub.faults.ackRevision = undefined
    link.hub.faults.echoRevision = undefined
    await link.equal(20 * MINUTE_MS)
    const before = link.hub.seen.total
    await link.time.pass(MINUTE_MS)
    assert.ok(link.hub.seen.total - before < 30, `${link.hub.seen.total - before} frames in a quiet minute`)
  })

  it('sends snapshots without end is left with a reason, and memory stays', async (t) => {
    const link = await busyLink(t)
    link.hub.faults.endlessSnapshot = Array.from({ length: 100 }, (_, i) => ({
      address: `/site-a/endless${i}`,
      value: int(i),
      revision: 1,
    }))
    await link.time.pass(10 * MINUTE_MS, 1000)
    assert.ok(!link.site.isActive)
    assert.ok(
      link.site.attempts.length >= 2 && link.site.attempts.length <= 60,
      `${link.site.attempts.length} attempts`,
    )
    assert.notEqual(link.site.status.lastError, '')
    assert.ok(link.site.status.mirrored <= 300, `${link.site.status.mirrored} params are kept of it`)
    link.hub.faults.endlessSnapshot = undefined
    await link.equal()
  })

  for (const [code, words] of [
    [400, 'ConflictRejected'],
    [429, 'Rate limit exceeded: 30 messages/second'],
    [500, 'Internal error'],
    [503, 'Buffer overflow: messages being dropped (100 drops in last 10 seconds)'],
  ] as const) {
    it(`sends a storm of ERROR ${code} is borne: no storm of frames or of log lines answers it`, async (t) => {
      const link = await busyLink(t)
      await link.equal()
      const before = { frames: link.hub.seen.total, lines: link.site.complaints.length }
      for (let i = 0; i < 5000; i++) {
        const address = code === 400 ? `/site-a/p${i % 100}` : undefined
        const frame = encodeFrame({ type: 'ERROR', code, message: words, address })
        for (const { connection } of link.hub.openSessions) connection.sendRaw(frame)
        if (i % 50 === 0) await link.time.pass(100)
      }
      const frames = link.hub.seen.total - before.frames
      const lines = link.site.complaints.length - before.lines
      t.diagnostic(`${frames} frames and ${lines} log lines for 10 000 errors in 10 s`)
      assert.ok(frames <= 500, `${frames} frames`)
      assert.ok(lines <= 100, `${lines} log lines`)
      link.site.set('/site-a/after', int(1))
      await link.equal(15 * MINUTE_MS)
    })
  }

  const incoming: FrameKind[] = ['HELLO', 'PING', 'DECLARE_NAMESPACES', 'SUBSCRIBE', 'SYNC', 'GET', 'REQUEST_SYNC']
  const outgoing: FrameKind[] = ['WELCOME', 'SNAPSHOT', 'PONG', 'ACK', 'SYNC', 'SYNC_COMPLETE', 'SET']
  for (const [fault, kinds] of [
    ['cutsOn', [...incoming, 'REVISION_VECTOR', 'BUNDLE', 'SET']],
    ['cutsBefore', outgoing],
    ['ignores', [...incoming, 'REVISION_VECTOR', 'BUNDLE', 'SET']],
    ['withholds', outgoing],
  ] as [keyof Pick<UpstreamHub['faults'], 'cutsOn' | 'cutsBefore' | 'ignores' | 'withholds'>, FrameKind[]][]) {
    for (const kind of kinds) {
      it(`${fault} ${kind} again and again is met with patience, and served when it does so no more`, async (t) => {
        const link = await busyLink(t)
        link.hub.faults[fault].add(kind)
        await link.time.pass(10 * MINUTE_MS, 250)
        const tries = link.site.attempts.length
        assert.ok(tries <= 60, `${tries} attempts in ten minutes`)
        assert.ok(link.hub.seen.total <= 3000, `${link.hub.seen.total} frames in ten minutes`)
        if (!link.site.isActive) assert.match(link.site.status.lastError, /\w{4}/)
        link.hub.faults[fault].delete(kind)
        await link.equal(HOUR_MS + 20 * MINUTE_MS)
      })
    }
  }
})

describe('a token that', () => {
  const scopes = ['read:/**', 'write:/**']

  it('expires while the link is up harms nothing until the next connection, then is named', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'clasp-token-'))
    t.after(() => rmSync(folder, { recursive: true }))
    const tokenFile = join(folder, 'token')
    writeFileSync(tokenFile, 'short\n')
    const clock = new SteppedClock()
    const auth = { short: { scopes, expiresAtUs: clock.wallUs() + 10 * 60e6 }, fresh: { scopes } }
    const link = await SimulatedLink.start(t, { hub: { auth }, uplink: { tokenFile } })
    const { site, hub, time } = link
    // The file is read by the system in its own time.
    await until(() => site.attempts.length > 0, 'first attempt')
    await link.active()
    await time.pass(20 * MINUTE_MS, 1000)
    assert.ok(site.isActive, 'an open session outlives its token')
    await hub.restart({ state: 'kept' })
    await time.until(() => site.status.state === 'authWait', 'state authWait')
    assert.match(site.status.lastError, /Token has expired \(302\).*hub\.token/)
    const before = site.attempts.length
    await time.pass(6 * HOUR_MS, 2500)
    const tries = site.attempts.length - before
    assert.ok(tries >= 5 && tries <= 60, `${tries} attempts in six hours`)
    site.set('/site-a/x', int(1))
    writeFileSync(tokenFile, 'fresh\n')
    const tookMs = await link.equal()
    assert.ok(tookMs <= 15_000, `${tookMs} ms after the new token`)
  })

  it('a restarted hub does not know any more is named, and tried seldom', async (t) => {
    const auth = { cpsk_x: { scopes } }
    const link = await SimulatedLink.start(t, { hub: { auth }, uplink: { token: 'cpsk_x' } })
    link.site.set('/site-a/x', int(1))
    await link.equal()
    await link.hub.restart({ state: 'empty' })
    await link.time.until(() => link.site.status.state === 'authWait', 'state authWait')
    assert.match(link.site.status.lastError, /Invalid token.*get a valid one/)
    const before = link.site.attempts.length
    await link.time.pass(6 * HOUR_MS, 2500)
    const tries = link.site.attempts.length - before
    assert.ok(tries >= 5 && tries <= 60, `${tries} attempts in six hours`)
    link.hub.addToken('cpsk_x', { scopes })
    await link.equal()
  })

  it('is missing is asked for', async (t) => {
    const link = await SimulatedLink.start(t, { hub: { auth: { secret: { scopes } } } })
    await link.time.until(() => link.site.status.state === 'authWait', 'state authWait')
    assert.match(link.site.status.lastError, /give a token in hub\.token/)
  })

  it('may not read or write all that is wanted is named, and everything else travels', async (t) => {
    const auth = {
      half: { scopes: ['read:/site-a/**', 'read:/site-a', 'write:/site-a/allowed/**', 'write:/site-a/_leaf/**'] },
    }
    const link = await SimulatedLink.start(t, { hub: { auth }, uplink: { token: 'half', subscribe: ['/site-b/**'] } })
    link.site.subscribe(1, '/site-a/_leaf/*/error')
    link.site.set('/site-a/allowed/x', int(1))
    link.site.set('/site-a/forbidden', int(1))
    await link.time.until(() => link.hub.params.has('/site-a/allowed/x'), 'what is allowed')
    await link.time.pass(10 * MINUTE_MS, 500)
    assert.ok(link.site.isActive)
    assert.ok(link.hub.seen.valuesOf('/site-a/forbidden').length <= 3)
    const told = link.site.heard.map((message) => ('value' in message ? shown(message.value, 200) : ''))
    assert.ok(
      told.some((words) => /does not take \/site-a\/forbidden: .*nsufficient scope/.test(words)),
      `${told}`,
    )
    assert.ok(
      told.some((words) => /does not take \/site-b\/\*\*: .*nsufficient scope/.test(words)),
      `${told}`,
    )
  })
})

describe('an address of the hub', () => {
  async function attempts(t: TestContext, uplink: Partial<LeafOptions> & { url: string }, ms = 30 * MINUTE_MS) {
    const clock = new SteppedClock()
    const time = new SimulatedTime(clock)
    const chance = new Chance(1)
    const site = await Site.start(t, { clock, uplink, random: () => chance.next() })
    await time.until(() => site.status.lastError !== '', 'reason')
    await time.pass(ms, 500)
    return { site, tries: site.attempts.length }
  }

  it('that is none is a mistake in the configuration, in words that name the key', async (t) => {
    const { site, tries } = await attempts(t, { url: 'http://127.0.0.1:80' })
    assert.equal(site.status.state, 'misconfigured')
    assert.match(site.status.lastError, /^hub\.url: /)
    assert.ok(tries <= 4, `${tries} attempts in half an hour`)
  })

  it('at which nothing listens is named', async (t) => {
    const server = createTcpServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    await new Promise((resolve) => server.close(resolve))
    const { site, tries } = await attempts(t, { url: `ws://127.0.0.1:${port}` })
    assert.match(site.status.lastError, /nothing listens at ws:.*hub\.url/)
    assert.ok(tries >= 55 && tries <= 130, `${tries} attempts in half an hour`)
  })

  it('at which something else listens is named: a web server, or one that never says a word', async (t) => {
    const http = createServer((_request, response) => response.writeHead(404).end())
    const sockets = new Set<Socket>()
    const silent = createTcpServer((socket) => {
      sockets.add(socket)
      socket.on('error', () => {}).on('close', () => sockets.delete(socket))
      socket.resume()
    })
    const ports = await Promise.all(
      [http, silent].map(async (server) => {
        await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
        t.after(() => {
          for (const socket of sockets) socket.destroy()
          server.close()
        })
        return (server.address() as AddressInfo).port
      }),
    )
    const web = await attempts(t, { url: `ws://127.0.0.1:${ports[0]}` })
    assert.match(web.site.status.lastError, /is not a CLASP router \(it answers HTTP 404\)/)
    const tcp = await attempts(t, { url: `tcp://127.0.0.1:${ports[1]}` })
    assert.match(tcp.site.status.lastError, /did not answer within 10 s/)
    assert.ok(web.tries <= 130 && tcp.tries <= 130, `${web.tries}, ${tcp.tries} attempts`)
    await tcp.site.stop()
    await until(() => sockets.size === 0, 'end of the abandoned connections')
  })

  it('with a name that nobody knows is named', async (t) => {
    const site = await Site.start(t, { uplink: { url: 'ws://no-such-hub.invalid:7330', connectTimeoutMs: 60_000 } })
    await until(() => site.status.lastError !== '', 'reason', 60_000)
    assert.match(site.status.lastError, /no-such-hub\.invalid.*(check the name in hub\.url|check the network)/)
    assert.ok(site.attempts.length <= 2)
  })

  for (const [what, tls, ca, words] of [
    ['whose certificate nobody here vouches for', hubCertificate, false, /authority .* is not known here.*hub\.ca/],
    ['whose certificate has expired', expiredCertificate, true, /certificate has expired/],
  ] as const) {
    it(`${what} is named, and tried no more often than one that is away`, async (t) => {
      const aborter = new AbortController()
      const hub = await Site.start(t, { name: 'hub', isHub: true })
      const listener = await listenPort({ host: '127.0.0.1', port: 0, tls }, hub.router, silentLog, aborter.signal)
      const folder = mkdtempSync(join(tmpdir(), 'clasp-ca-'))
      t.after(async () => {
        rmSync(folder, { recursive: true })
        await listener.stop()
        aborter.abort()
      })
      const file = join(folder, 'ca.pem')
      writeFileSync(file, authority)
      for (const scheme of ['wss', 'tls']) {
        const url = `${scheme}://127.0.0.1:${listener.port}`
        const site = await Site.start(t, {
          uplink: { url, ca: ca ? file : undefined, backOff: { baseMs: 100, capMs: 400 } },
        })
        await until(() => site.attempts.length >= 4, 'some attempts')
        const waits = site.attempts.slice(1).map((at, i) => at - site.attempts[i])
        assert.match(site.status.lastError, words)
        assert.ok(
          waits.slice(2).every((ms) => ms >= 190),
          `${waits}`,
        )
        if (tls === hubCertificate) {
          await site.relink({ url, ca: file })
          await site.active()
          site.set('/site-a/x', text(scheme))
          await until(() => differences(site.values('/site-a'), hub.values('/site-a')).length === 0, 'equality')
        }
        await site.stop()
      }
    })
  }
})

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
        await time.until(isLevel, 'equality', 30_000)
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
