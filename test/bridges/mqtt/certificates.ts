import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

/** PEM files of an authority of the test's own, and of a server that it vouches for as localhost and 127.0.0.1. */
export function certificates(t: TestContext): { ca: string; cert: string; key: string } {
  const folder = mkdtempSync(join(tmpdir(), 'mqtt-tls-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const file = (name: string) => join(folder, name)
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe' })
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  openssl(
    'req',
    '-x509',
    ...curve,
    '-keyout',
    file('ca.key'),
    '-out',
    file('ca.pem'),
    '-subj',
    '/CN=test',
    '-days',
    '2',
  )
  openssl('req', ...curve, '-keyout', file('key.pem'), '-out', file('request.pem'), '-subj', '/CN=localhost')
  writeFileSync(file('names'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n')
  const authority = ['-CA', file('ca.pem'), '-CAkey', file('ca.key'), '-CAcreateserial', '-extfile', file('names')]
  openssl('x509', '-req', '-in', file('request.pem'), ...authority, '-out', file('cert.pem'), '-days', '2')
  return { ca: file('ca.pem'), cert: file('cert.pem'), key: file('key.pem') }
}
