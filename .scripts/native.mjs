/**
 * Compiles the small C programs of this project, when a source is newer than the program.
 * Paths are relative to the folder of the project, which is the current one unless `root` says otherwise.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'

export const LIBRARY = 'firmware-protocol/c/src'
const HOST = 'firmware-protocol/c/host'
const STRICT = ['-std=c99', '-Wall', '-Wextra', '-Wpedantic', '-Werror']

/** Sizes of the library in the simulated microcontroller: more than most boards have, so that everything can be tried. */
const SIMULATED = {
  SIGNALS: 256,
  MRU: 256,
  MTU: 256,
  WINDOW: 4,
  EVENTS: 8,
  SUBSCRIPTIONS: 4,
  '64BIT': 1,
  DATAGRAM: 1,
  AUTH: 1,
}

/** Flags that set the sizes of the library. */
export function sizes(values) {
  return Object.entries(values).map(([name, value]) => `-DCLASP_LINK_${name}=${value}`)
}

/** Path of the simulated microcontroller; { reason } where it cannot be compiled. */
export function ensureNative(root = '.') {
  const sources = [`${LIBRARY}/clasp_link.c`, ...cFilesOf(root, HOST)]
  return compile('simulated-node', sources, ['-O2', ...sizes(SIMULATED), '-lm'], { root })
}

/** What the programs beside the router share. */
const PROGRAM = 'devices/process/c'
const LINE_HOLDER = 'devices/io/c'
const I2C_BUS = 'devices/i2c/c'
const DMX_LINE = 'runtime/bridges/dmx/c'

/** Path of the program that holds GPIO lines, Linux only; `isFake`: one whose lines are files, for tests. */
export function ensureLineHolder(root = '.', isFake = false) {
  if (process.platform !== 'linux') return { reason: 'GPIO lines need Linux' }
  const from = isFake ? ['lines_fake'] : ['lines_kernel', 'lines_sysfs']
  const own = ['clasp-io', 'edges', 'outputs', 'gpio_request', ...from]
  const sources = [...own.map((name) => `${LINE_HOLDER}/${name}.c`), ...cFilesOf(root, PROGRAM)]
  return compile(isFake ? 'clasp-io-fake' : 'clasp-io', sources, ['-O2'], { root })
}

/** Path of the program of an I2C bus, Linux only; `isFake`: one whose buses are folders, for tests. */
export function ensureI2cBus(root = '.', isFake = false) {
  if (process.platform !== 'linux') return { reason: 'I2C needs Linux' }
  const own = ['clasp-i2c', 'guards', 'transfer', isFake ? 'bus_fake' : 'bus_kernel']
  const sources = [...own.map((name) => `${I2C_BUS}/${name}.c`), ...cFilesOf(root, PROGRAM)]
  return compile(isFake ? 'clasp-i2c-fake' : 'clasp-i2c', sources, ['-O2'], { root })
}

/** Path of the program that reads keypads, Linux only. */
export function ensureInputReader(root = '.') {
  if (process.platform !== 'linux') return { reason: 'input devices need Linux' }
  return compile('clasp-input', ['devices/hid/c/clasp-input.c'], ['-O2'], { root })
}

/** Path of the program that makes the timing of DMX512, Linux only. */
export function ensureDmxLine(root = '.') {
  if (process.platform !== 'linux') return { reason: 'DMX512 at a serial port needs Linux' }
  return compile('clasp-dmx', [...cFilesOf(root, DMX_LINE), ...cFilesOf(root, PROGRAM)], ['-O2'], { root })
}

export function cFilesOf(root, folder) {
  return readdirSync(join(root, folder))
    .filter((name) => name.endsWith('.c'))
    .map((name) => `${folder}/${name}`)
}

/**
 * Compiles dist/NAME, unless it is newer than all files in the folders of its sources. Returns { path }, or { reason }
 * that says what to install. Throws what the compiler says when it is not content.
 */
export function compile(name, sources, flags, { root = '.', compiler = findCompiler(), strict = STRICT } = {}) {
  if (compiler === undefined) return { reason: 'no C compiler: apt install gcc libc6-dev' }
  const path = join(root, 'dist', name)
  const folders = [LIBRARY, ...sources.map((source) => dirname(source))]
  const files = [...new Set(folders)].flatMap((folder) => cAndHeaders(join(root, folder)))
  const own = join(root, '.scripts', 'native.mjs')
  if (existsSync(own)) files.push(own)
  if (existsSync(path) && files.every((file) => statSync(file).mtimeMs < statSync(path).mtimeMs)) return { path }
  mkdirSync(dirname(path), { recursive: true })
  // Several processes may compile it at once, and somebody may be running it.
  const draft = `${path}.${process.pid}`
  const libraries = flags.filter((flag) => flag.startsWith('-l'))
  const others = flags.filter((flag) => !flag.startsWith('-l'))
  const args = [...strict, ...others, '-o', draft, ...sources.map((source) => join(root, source)), ...libraries]
  const { status, stderr, error } = spawnSync(compiler, args, { encoding: 'utf8' })
  if (status !== 0) {
    rmSync(draft, { force: true })
    throw new Error(`${compiler} refuses ${name}:\n${error?.message ?? stderr}`)
  }
  renameSync(draft, path)
  return { path }
}

export function findCompiler(names = ['cc', 'gcc', 'clang']) {
  return names.find((name) => spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0)
}

function cAndHeaders(folder) {
  return readdirSync(folder)
    .filter((name) => /\.(c|h)$/.test(name))
    .map((name) => join(folder, name))
}
