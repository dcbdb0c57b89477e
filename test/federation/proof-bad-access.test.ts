/** Tokens and addresses of a hub that are wrong: how long the leaf waits, what it says, and how it recovers. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import type { LeafOptions } from '../../runtime/federation/leaf/leaf-options.ts'
import { silentLog } from '../../runtime/router/log.ts'
import { listenPort } from '../../runtime/transports/port.ts'
import { int, text } from '../router/fixture.ts'
import { SteppedClock } from '../router/stepped-clock.ts'
import { until } from '../until.ts'
import { authority, expiredCertificate, hubCertificate } from './hub-certificates.ts'
import { Chance, differences, Site, shown } from './proof-scene.ts'
import { SimulatedLink } from './simulated-link.ts'
import { SimulatedTime, turns } from './simulated-time.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000

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
  })

  for (const scheme of ['tcp', 'ws']) {
    it(`is left without a trace by a leaf that is stopped while it dials ${scheme}`, async (t) => {
      const sockets = new Set<Socket>()
      const server = createTcpServer((socket) => {
        sockets.add(socket)
        socket.on('error', () => {}).on('close', () => sockets.delete(socket))
        socket.resume()
      })
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      t.after(() => {
        for (const socket of sockets) socket.destroy()
        server.close()
      })
      const { port } = server.address() as AddressInfo
      for (let i = 0; i < 20; i++) {
        const site = await Site.start(t, { uplink: { url: `${scheme}://127.0.0.1:${port}` } })
        for (let turn = 0; turn < i / 2; turn++) await Promise.resolve()
        await turns(Math.floor(i / 10))
        await site.stop()
      }
      await turns(20)
      await until(() => sockets.size === 0, 'end of the abandoned connections')
    })
  }

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
