import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { describe, it, type TestContext } from 'node:test'
import { promisify } from 'node:util'
import { configurations, measure, missing, targets } from '../../.scripts/footprint.mjs'
import { LIBRARY, sizes } from '../../.scripts/native.mjs'
import { ensureFuzz } from '../../.scripts/torture-native.mjs'
import { isLongRun } from '../long-run.ts'

const SOURCE = `${LIBRARY}/clasp_link.c`
const EXAMPLES = 'firmware-protocol/c/examples'
const STUB = 'firmware-protocol/c/test/arduino-stub'
const WARNINGS = ['-Wall', '-Wextra', '-Wpedantic', '-Werror']
const DATAGRAM = { DATAGRAM: 1, MTU: 128, MRU: 128 }
const NOTHING = { SIGNALS: 1, WINDOW: 1, EVENTS: 1, SUBSCRIPTIONS: 0, SAMPLING: 0, BUNDLES: 0, TIME: 0 }
const EVERYTHING = { SIGNALS: 16_383, WINDOW: 8, MTU: 1024, MRU: 1024, '64BIT': 1, DATAGRAM: 1, AUTH: 1 }
/** Each macro on and off, and the ends of its range. */
const BUILDS: Record<string, number>[] = [
  {},
  { SUBSCRIPTIONS: 0 },
  { SAMPLING: 0 },
  { BUNDLES: 0 },
  { TIME: 0 },
  { '64BIT': 1 },
  DATAGRAM,
  { ...DATAGRAM, AUTH: 1 },
  { ...DATAGRAM, AUTH: 1, TIME: 0, SAMPLING: 0 },
  NOTHING,
  EVERYTHING,
]
/** For slow or many compilers: the ends and the middle. */
const FEW_BUILDS = [{}, NOTHING, { ...DATAGRAM, AUTH: 1, '64BIT': 1 }]

const HOSTS: { command: string; flags: string[]; builds: Record<string, number>[]; install: string }[] = [
  {
    command: 'gcc',
    flags: ['-std=c99', '-Wconversion'],
    builds: isLongRun ? BUILDS : FEW_BUILDS,
    install: 'gcc libc6-dev',
  },
  { command: 'clang', flags: ['-std=c99', '-Wconversion'], builds: isLongRun ? BUILDS : FEW_BUILDS, install: 'clang' },
  { command: 'g++', flags: ['-x', 'c++', '-std=c++11'], builds: FEW_BUILDS, install: 'g++' },
  { command: 'g++', flags: ['-x', 'c++'], builds: FEW_BUILDS, install: 'g++' },
]

const compilers = [
  ...HOSTS,
  ...targets.map(({ prefix, flags, install }) => ({
    command: `${prefix}gcc`,
    flags: ['-std=c99', ...flags],
    builds: FEW_BUILDS,
    install,
  })),
]

/** False, and the test is skipped with the reason, where the compiler is missing. */
function has(command: string, install: string, t: TestContext): boolean {
  if (spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0) return true
  t.skip(`no ${command}: apt install ${install}`)
  return false
}

/** Compiles without leaving anything; resolves to what the compiler complains about. */
async function complaints(command: string, args: string[]): Promise<string> {
  return promisify(execFile)(command, [...WARNINGS, '-O1', ...args, '-c', '-o', '/dev/null']).then(
    ({ stderr }) => stderr,
    (error) => `${command} ${args.join(' ')}\n${error.stderr ?? error}`,
  )
}

/** As many at a time as there are processors. */
async function allClean(jobs: (() => Promise<string>)[]): Promise<void> {
  const waiting = [...jobs]
  const found: string[] = []
  const work = async () => {
    for (let job = waiting.shift(); job !== undefined; job = waiting.shift()) {
      const complaint = await job()
      if (complaint !== '') found.push(complaint)
    }
  }
  await Promise.all(Array.from({ length: availableParallelism() }, work))
  assert.deepEqual(found, [])
}

describe('the firmware library', () => {
  for (const { command, flags, builds, install } of compilers) {
    it(`compiles without a warning: ${command} ${flags.join(' ')}`, async (t) => {
      if (!has(command, install, t)) return
      await allClean(builds.map((build) => () => complaints(command, [...flags, ...sizes(build), SOURCE])))
    })
  }

  it('refuses sizes that cannot work', async (t) => {
    if (!has('cc', 'gcc libc6-dev', t)) return
    const wrongs: Record<string, number>[] = [
      { MTU: 63 },
      { MRU: 1025 },
      { WINDOW: 3 },
      { SIGNALS: 0 },
      { DATAGRAM: 1 },
      { AUTH: 1 },
    ]
    for (const wrong of wrongs) {
      const words = await complaints('cc', ['-std=c99', ...sizes(wrong), SOURCE])
      assert.match(words, /#error/, `it takes ${JSON.stringify(wrong)}`)
    }
  })

  it('takes at most 6.5 KB of flash and 1 KB of RAM besides its frames on a Cortex-M0+', (t) => {
    const target = targets[0]
    const problem = missing(target)
    if (problem !== null) {
      t.skip(`no ${target.prefix}gcc: ${problem}`)
      return
    }
    const { flash, total, buffers } = measure(target, configurations[0])
    assert.ok(flash <= 6656, `${flash} bytes of code and constants`)
    assert.ok(total - buffers <= 1024, `${total - buffers} bytes of RAM besides ${buffers} of frames`)
  })

  for (const target of targets) {
    it(`has no variables of its own on ${target.name}, with datagrams and keys`, (t) => {
      const problem = missing(target)
      if (problem !== null) {
        t.skip(`no ${target.prefix}gcc: ${problem}`)
        return
      }
      const { static: statics } = measure(target, configurations[configurations.length - 1])
      // On AVR, texts and small constants count as such.
      assert.ok(statics <= (target.prefix === 'avr-' ? 64 : 0), `${statics} bytes`)
    })
  }

  for (const build of ['default', 'largest'] as const) {
    it(`survives random scripts with sanitizers: ${build}`, async (t) => {
      const { path, reason } = ensureFuzz(build)
      if (path === undefined) {
        t.skip(reason)
        return
      }
      const { stdout } = await promisify(execFile)(path, ['3', '1'])
      assert.match(stdout, /^[1-9]\d* scripts\n$/)
    })
  }
})

describe('the Arduino package', () => {
  const names = readdirSync(EXAMPLES)
  const onAvr = (name: string) => !name.startsWith('WiFi')
  const flagsOf = (name: string) => {
    const options = readdirSync(`${EXAMPLES}/${name}`).includes('build_opt.h')
    return options ? readFileSync(`${EXAMPLES}/${name}/build_opt.h`, 'utf8').trim().split(/\s+/) : []
  }
  const sketch = (name: string) => [
    ...['-x', 'c++', '-include', 'Arduino.h', `-I${STUB}`, `-I${LIBRARY}`],
    ...flagsOf(name),
    `${EXAMPLES}/${name}/${name}.ino`,
  ]

  it('has examples that compile', async (t) => {
    assert.deepEqual(names, ['ButtonLed', 'DmxReceiver', 'Motor', 'SensorNode', 'WiFiSensor'])
    if (!has('g++', 'g++', t)) return
    const standards = ['-std=c++11', '-std=c++20']
    await allClean(standards.flatMap((flag) => names.map((name) => () => complaints('g++', [flag, ...sketch(name)]))))
  })

  it('has examples that compile for an AVR', async (t) => {
    if (!has('avr-g++', 'gcc-avr avr-libc', t)) return
    const flags = ['-std=gnu++11', '-mmcu=atmega32u4', '-DF_CPU=16000000UL']
    await allClean(names.filter(onAvr).map((name) => () => complaints('avr-g++', [...flags, ...sketch(name)])))
  })

  it('names one version everywhere', () => {
    const version = /CLASP_LINK_VERSION "(.+)"/.exec(readFileSync(`${LIBRARY}/clasp_link.h`, 'utf8'))?.[1]
    const { version: inJson, examples } = JSON.parse(readFileSync('firmware-protocol/c/library.json', 'utf8'))
    const inProperties = /^version=(.+)$/m.exec(readFileSync('firmware-protocol/c/library.properties', 'utf8'))?.[1]
    assert.deepEqual([inJson, inProperties], [version, version])
    assert.deepEqual(examples.map(({ name }: { name: string }) => name).sort(), names)
  })

  it('colours every function of the header in the Arduino editor', () => {
    const header = readFileSync(`${LIBRARY}/clasp_link.h`, 'utf8')
    const functions = [...header.matchAll(/^(?:clasp_result|void|int64_t|uint16_t) (clasp_\w+)\(/gm)].map(
      ([, name]) => name,
    )
    const keywords = readFileSync('firmware-protocol/c/keywords.txt', 'utf8')
    assert.ok(functions.length > 15)
    assert.deepEqual(
      functions.filter((name) => !keywords.includes(`${name}\tKEYWORD2\n`)),
      [],
    )
  })
})
