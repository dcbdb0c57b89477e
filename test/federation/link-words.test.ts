import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { connectionError } from '../../runtime/client/client-error.ts'
import type { LinkProblem } from '../../runtime/federation/leaf/hub-session.ts'
import { dialProblem, helloProblem } from '../../runtime/federation/leaf/link-words.ts'
import { rawServer, scriptedRouter } from '../client/scripted-router.ts'
import { Bench, int } from '../router/fixture.ts'
import { localhostCertificate } from '../transports/fixtures/localhost-certificate.ts'
import { authority, elsewhereCertificate, expiredCertificate, hubCertificate } from './hub-certificates.ts'
import { openSession, problemOf } from './hub-session-fixture.ts'
import { UpstreamHub } from './upstream-hub.ts'

function says({ kind, words }: LinkProblem, expected: LinkProblem['kind'], ...parts: RegExp[]): void {
  assert.equal(kind, expected, words)
  for (const part of parts) assert.match(words, part)
  assert.doesNotMatch(words, /\n|Error:| at .*\.[jt]s:\d+/, 'no stack traces')
}

/** A PEM file that goes away with the test. */
function pemFile(t: { after(end: () => void): void }, text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'clasp-link-words-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'authority.pem')
  writeFileSync(file, text)
  return file
}

async function tlsHub(
  t: { after(end: () => Promise<void>): void },
  tls: { cert: string; key: string },
): Promise<number> {
  const bench = await Bench.start({ listen: { tls } })
  t.after(() => bench.stop())
  return bench.port
}

describe('a hub that cannot be reached', () => {
  it('because its URL is wrong', async (t) => {
    for (const url of ['http://hub', 'ws://', 'a b', 'hub:99999'])
      says(await problemOf(t, url), 'url', /hub\.url/, /expected for example/)
  })

  it('because nothing listens', async (t) => {
    const router = await scriptedRouter(t)
    await router.stop()
    const { host, port } = new URL(router.url)
    says(await problemOf(t, router.url), 'refused', new RegExp(host), /is the hub running/)
    for (const scheme of ['tcp', 'tls', 'wss'])
      says(await problemOf(t, `${scheme}://localhost:${port}`), 'refused', /hub\.url/)
  })

  it('because its name does not resolve, or nobody can tell', () => {
    const url = new URL('ws://hub.house:7330/clasp')
    const problem = (code: string, message = code) =>
      dialProblem(connectionError(Object.assign(new Error(message), { code }), url), url)
    says(problem('ENOTFOUND'), 'name', /no host called hub\.house/, /hub\.url/)
    says(problem('EAI_AGAIN'), 'name', /name server does not answer/)
    for (const code of ['EHOSTUNREACH', 'ENETUNREACH', 'ETIMEDOUT', 'EHOSTDOWN', 'EADDRNOTAVAIL'])
      says(problem(code), 'unreachable', /check the network/)
  })

  it('by a name that the machine does not know', async (t) => {
    // Too long for a name server: the answer does not depend on the network of the test.
    const host = `${'x'.repeat(64)}.invalid`
    says(await problemOf(t, `ws://${host}:7330`), 'name', new RegExp(host))
  })
})

describe('a connection whose TLS does not verify', () => {
  it('because the certificate is self-signed', async (t) => {
    const port = await tlsHub(t, localhostCertificate)
    for (const scheme of ['wss', 'tls'])
      says(await problemOf(t, `${scheme}://localhost:${port}`), 'tls', /self-signed/, /hub\.ca/)
  })

  it('because its authority is unknown, until hub.ca names it', async (t) => {
    const port = await tlsHub(t, hubCertificate)
    const ca = pemFile(t, authority)
    for (const scheme of ['wss', 'tls']) {
      for (const host of ['localhost', '127.0.0.1']) {
        const url = `${scheme}://${host}:${port}`
        says(await problemOf(t, url), 'tls', /authority/, /hub\.ca/)
        const { session } = await openSession(t, url, { ca })
        assert.equal((await session.set('/a', int(1))).kind, 'stored')
        session.close()
      }
    }
  })

  it('because it has expired', async (t) => {
    const port = await tlsHub(t, expiredCertificate)
    const ca = pemFile(t, authority)
    for (const scheme of ['wss', 'tls'])
      says(await problemOf(t, `${scheme}://localhost:${port}`, { ca }), 'tls', /expired/, /clock of this machine/)
  })

  it('because it is for another name', async (t) => {
    const port = await tlsHub(t, elsewhereCertificate)
    const ca = pemFile(t, authority)
    for (const scheme of ['wss', 'tls'])
      says(await problemOf(t, `${scheme}://localhost:${port}`, { ca }), 'tls', /another name than localhost/)
  })

  it('because the clock of the board is behind', () => {
    const url = new URL('wss://hub:7330/clasp')
    const error = connectionError(Object.assign(new Error('not yet'), { code: 'CERT_NOT_YET_VALID' }), url)
    says(dialProblem(error, url), 'tls', /clock of this machine/)
  })

  it('because there is no TLS', async (t) => {
    const port = await rawServer(t, (socket) => socket.once('data', () => socket.write('HTTP/1.1 400 Bad\r\n\r\n')))
    for (const [scheme, plain] of [
      ['wss', 'ws'],
      ['tls', 'tcp'],
    ])
      says(await problemOf(t, `${scheme}://localhost:${port}`), 'tls', /does not speak TLS/, new RegExp(` ${plain}://`))
  })

  it('because the file of the authority is missing or holds none', async (t) => {
    const missing = await problemOf(t, 'wss://localhost:1', { ca: '/no/such/file.pem' })
    says(missing, 'tls', /hub\.ca/, /\/no\/such\/file\.pem/)
    says(await problemOf(t, 'wss://localhost:1', { ca: pemFile(t, 'nonsense') }), 'tls', /holds no certificate/)
  })
})

describe('something that is no hub', () => {
  it('is told by how it answers', async (t) => {
    const answering = (answer: string) => rawServer(t, (socket) => socket.once('data', () => socket.end(answer)))
    const http = (status: string) => answering(`HTTP/1.1 ${status}\r\nContent-Length: 0\r\n\r\n`)
    says(await problemOf(t, `ws://127.0.0.1:${await http('404 Not Found')}`), 'not-clasp', /HTTP 404/, /hub\.url/)
    says(await problemOf(t, `ws://127.0.0.1:${await http('502 Bad Gateway')}`), 'unreachable', /502/, /not running/)
    says(await problemOf(t, `ws://127.0.0.1:${await answering('SSH-2.0-OpenSSH\r\n')}`), 'not-clasp', /does not speak/)
    says(await problemOf(t, `tcp://127.0.0.1:${await answering('SSH-2.0-OpenSSH\r\n')}`), 'not-clasp', /length prefix/)
  })

  it('or closes at once', async (t) => {
    const port = await rawServer(t, (socket) => socket.destroy())
    says(await problemOf(t, `ws://127.0.0.1:${port}`), 'closed', /CLASP router/)
    says(await problemOf(t, `tcp://127.0.0.1:${port}`), 'closed', /CLASP router/)
    says(await problemOf(t, `tls://127.0.0.1:${port}`), 'closed', /with TLS/)
  })
})

describe('a hub that refuses HELLO', () => {
  it('says whether a token is missing, unknown or expired', async (t) => {
    const scopes = ['read:/**', 'write:/**']
    const hub = await UpstreamHub.start(t, { auth: { old: { scopes, expiresAtUs: 1 }, good: { scopes } } })
    says(await problemOf(t, hub.url), 'unauthorized', /\(300\)/, /give a token/)
    says(await problemOf(t, hub.tcpUrl, { token: 'wrong' }), 'unauthorized', /\(300\)/, /get a valid one/)
    says(await problemOf(t, hub.url, { token: 'old' }), 'unauthorized', /\(302\)/, /get a new token/)
    await openSession(t, hub.url, { token: 'good' })
  })

  it('never shows the token', async (t) => {
    const hub = await UpstreamHub.start(t, { auth: {} })
    for (const token of ['cpsk_very-secret', `cpsk_very-secret${'x'.repeat(70_000)}`]) {
      const { kind, words } = await problemOf(t, hub.url, { token })
      assert.equal(kind, 'unauthorized')
      assert.doesNotMatch(words, /secret/)
    }
  })

  it('because it is misconfigured, full, or of another version', async (t) => {
    const url = new URL('ws://hub:7330/clasp')
    const refused = (code: number, message: string) => helloProblem({ code, message }, true, url)
    says(refused(500, 'Server misconfiguration'), 'unauthorized', /mend it there/)
    says(refused(102, 'Unsupported version'), 'not-clasp', /update/)
    says(refused(403, 'no'), 'closed', /log of the hub/)
    const bench = await Bench.start({ options: { maxSessions: 1 } })
    t.after(() => bench.stop())
    await bench.join()
    says(await problemOf(t, `ws://127.0.0.1:${bench.port}`), 'closed', /full/)
  })
})

describe('an attempt that is called off', () => {
  it('ends at once', async (t) => {
    const port = await rawServer(t)
    const aborter = new AbortController()
    const attempt = problemOf(t, `tcp://127.0.0.1:${port}`, { signal: aborter.signal })
    aborter.abort()
    says(await attempt, 'closed', /closed here/)
    says(await problemOf(t, `tcp://127.0.0.1:${port}`, { signal: aborter.signal }), 'closed', /closed here/)
  })
})
