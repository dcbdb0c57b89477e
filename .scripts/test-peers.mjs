/**
 * `npm run test:peers`: the tests against programs of others, with those from Debian installed where that is possible.
 * A test of which the program is missing nevertheless says NOT TESTED, and with CLASP_REQUIRE_PEERS=1 that is a failure.
 */
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join, relative } from 'node:path'
import { ensurePrograms } from '../test/vm/packages.mjs'
import { Unavailable } from '../test/vm/unavailable.mjs'
import { root, run } from './prepare.mjs'

const PROGRAMS = {
  oscsend: 'liblo-tools',
  mosquitto: 'mosquitto',
  mosquitto_pub: 'mosquitto-clients',
  olad: 'ola',
  tshark: 'tshark',
  curl: 'curl',
  openssl: 'openssl',
  chromium: 'chromium',
}

try {
  ensurePrograms(PROGRAMS, (text) => console.log(text))
} catch (error) {
  if (!(error instanceof Unavailable)) throw error
  console.log(`some tests will be skipped: ${error.message}`)
}

function strangersBelow(folder) {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('-strangers.test.ts'))
    .map((entry) => relative(root, join(entry.parentPath ?? entry.path, entry.name)))
}

const files = ['test/peers', ...strangersBelow(join(root, 'test'))]
const test = join(root, '.scripts', 'test.mjs')
if (process.env.CLASP_REQUIRE_PEERS !== '1') process.exit(run(process.execPath, [test, ...files]))
const { status, stdout } = spawnSync(process.execPath, [test, ...files], {
  cwd: root,
  encoding: 'utf8',
  stdio: ['ignore', 'pipe', 'inherit'],
})
process.stdout.write(stdout)
const untested = stdout.split('\n').filter((line) => line.includes('NOT TESTED'))
if (untested.length > 0) console.log(`${untested.length} tests had no program`)
process.exit(untested.length > 0 ? 1 : (status ?? 1))
