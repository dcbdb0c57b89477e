/**
 * Fuzzes the firmware library with sanitizers, for CLASP_FUZZ_SECONDS (default 60) altogether: with libFuzzer where clang
 * is there, and with random scripts where any compiler is. What goes wrong names its seed or its file.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { basename } from 'node:path'
import { compile, findCompiler, LIBRARY, sizes } from './native.mjs'

const TEST = 'firmware-protocol/c/test'
const SOURCES = [`${TEST}/fuzz.c`, `${TEST}/fuzz_check.c`, `${LIBRARY}/clasp_link.c`]
const SANITIZERS = ['-g', '-O1', '-fno-sanitize-recover=all']

/** Sizes of the library that differ most. */
export const builds = {
  default: {},
  smallest: { SIGNALS: 4, WINDOW: 1, EVENTS: 1, SUBSCRIPTIONS: 0, SAMPLING: 0, BUNDLES: 0, TIME: 0 },
  datagram: { MTU: 128, MRU: 128, DATAGRAM: 1, AUTH: 1 },
  largest: { SIGNALS: 160, MTU: 1024, MRU: 1024, WINDOW: 8, EVENTS: 16, '64BIT': 1, DATAGRAM: 1, AUTH: 1 },
}

/** The program that runs random scripts, for one of the builds: { path } or { reason }. */
export function ensureFuzz(name) {
  const sources = [`${TEST}/fuzz_main.c`, ...SOURCES]
  return compile(`fuzz/${name}`, sources, [...SANITIZERS, '-fsanitize=address,undefined', ...sizes(builds[name])])
}

function ensureLibFuzzer(name) {
  const compiler = findCompiler(['clang'])
  if (compiler === undefined) return { reason: 'no clang: apt install clang' }
  const flags = [...SANITIZERS, '-fsanitize=fuzzer,address,undefined', ...sizes(builds[name])]
  return compile(`fuzz/${name}-libfuzzer`, SOURCES, flags, { compiler })
}

function torture() {
  const seconds = Number(process.env.CLASP_FUZZ_SECONDS ?? 60)
  const share = Math.max(1, Math.round(seconds / Object.keys(builds).length / 2))
  const seed = String(Date.now())
  let failures = 0
  const run = (title, { path, reason }, args) => {
    if (path === undefined) {
      console.log(`${title}: not run, ${reason}`)
      return
    }
    const { status, stdout, stderr } = spawnSync(path, args, { encoding: 'utf8', maxBuffer: 2 ** 28 })
    const [done] = /Done \d+ runs|\d+ scripts/.exec(stdout + stderr) ?? ['']
    console.log(`${title}: ${status === 0 ? done : 'FAILED'} in ${share} s`)
    if (status === 0) return
    failures++
    console.log(stderr.split('\n').slice(-60).join('\n'))
  }
  for (const name of Object.keys(builds)) {
    run(`random scripts, ${name}`, ensureFuzz(name), [String(share), seed])
    const corpus = `dist/fuzz/corpus-${name}`
    mkdirSync(corpus, { recursive: true })
    const limits = [`-max_total_time=${share}`, '-max_len=2048', '-print_funcs=0']
    run(`libFuzzer, ${name}`, ensureLibFuzzer(name), [...limits, `-artifact_prefix=dist/fuzz/${name}-`, corpus])
  }
  process.exit(failures > 0 ? 1 : 0)
}

// Also when it is bundled into a test, nothing is run there.
if (basename(process.argv[1] ?? '') === 'torture-native.mjs') torture()
