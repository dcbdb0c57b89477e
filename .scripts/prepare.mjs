/** Steps that the npm scripts share: install what is missing, build what is stale. Runs on plain Node, before any dependency is there. */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ensureI2cBus, ensureInputReader, ensureLineHolder, ensureNative } from './native.mjs'

export const root = dirname(dirname(fileURLToPath(import.meta.url)))
export const bundle = join(root, 'dist', 'clasp-edge.cjs')
export const sourceFolders = ['runtime', 'firmware-protocol', 'devices', 'boards']

/** Prints one line and exits: for what the person at the keyboard has to mend. */
export function fail(message) {
  console.error(message)
  process.exit(1)
}

/** Runs a command in the project's folder, with its output shown; returns its exit code. */
export function run(command, args, options = {}) {
  const result = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options })
  if (result.error) fail(`cannot run ${command}: ${result.error.message}`)
  return result.status ?? 1
}

/** Runs a command until it ends or this process is told to stop; passes signals on and ends with its exit code. */
export function runToEnd(command, args) {
  const child = spawn(command, args, { cwd: root, stdio: 'inherit' })
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(name, () => child.kill(name))
  child.on('exit', (code, signal) => process.exit(code ?? (signal ? 1 : 0)))
}

/** Path of an executable that a dependency brought. */
export function tool(name) {
  return join(root, 'node_modules', '.bin', name)
}

/** Installs the dependencies exactly as the lock file says, unless that has been done. */
export function ensureInstalled() {
  const [major, minor] = process.versions.node.split('.').map(Number)
  if (major < 20 || (major === 20 && minor < 19))
    fail(`Node 20.19 or newer is needed, this is ${process.versions.node}`)
  const lock = readFileSync(join(root, 'package-lock.json'), 'utf8')
  const stamp = join(root, 'node_modules', '.clasp-edge-lock')
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lock) return
  console.log('installing dependencies')
  if (run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']) !== 0)
    fail('npm ci failed: check the network and the lines above, then try again')
  writeFileSync(stamp, lock)
}

function newest(path) {
  const stat = statSync(path)
  if (!stat.isDirectory()) return stat.mtimeMs
  return Math.max(0, ...readdirSync(path).map((name) => newest(join(path, name))))
}

/** Builds the bundle for the device, unless it is newer than every source. */
export async function ensureBuilt() {
  const sources = [...sourceFolders, '.scripts', 'package.json'].map((name) => join(root, name)).filter(existsSync)
  if (existsSync(bundle) && statSync(bundle).mtimeMs > Math.max(...sources.map(newest))) return buildNative()
  console.log('building')
  await build()
}

/**
 * The programs in C, where there is a compiler: without the simulated microcontroller the simulated board runs inside the
 * router, without those that hold lines and buses there is no GPIO and no I2C.
 */
function buildNative() {
  attempt('no simulated microcontroller', () => ensureNative(root))
  attempt('no GPIO', () => ensureLineHolder(root))
  attempt('no I2C', () => ensureI2cBus(root))
  attempt('no keypads', () => ensureInputReader(root))
}

function attempt(consequence, compile) {
  try {
    const { reason } = compile()
    if (reason !== undefined) console.log(`${consequence}: ${reason}`)
  } catch (error) {
    console.log(`${consequence}: ${error.message}`)
  }
}

/** Libraries of bridges: files of their own beside the bundle, which stays small, for it is read at every start. */
const BRIDGE_LIBRARIES = ['@msgpack/msgpack', 'mqtt', 'mqtt-packet', 'socket.io', 'socket.io-client']

const fileOf = (library) => `./lib/${library.replace(/^@[^/]+\//, '')}.cjs`

const bridgeLibraries = {
  name: 'bridge-libraries',
  setup(build) {
    const names = BRIDGE_LIBRARIES.map((name) => name.replace(/[/.]/g, '\\$&')).join('|')
    build.onResolve({ filter: new RegExp(`^(${names})$`) }, ({ path }) => ({ path: fileOf(path), external: true }))
  },
}

/** The bundle for the device; native add-ons stay outside and are loaded only when the configuration asks for them. */
export async function build() {
  const esbuild = await import('esbuild')
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  mkdirSync(join(root, 'dist'), { recursive: true })
  const options = {
    absWorkingDir: root,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    define: { CLASP_EDGE_VERSION: JSON.stringify(version) },
    external: ['bufferutil', 'utf-8-validate', '@serialport/bindings-cpp', '@julusian/midi', 'libsql', 'node:sqlite'],
    logLevel: 'warning',
  }
  await esbuild.build({
    ...options,
    entryPoints: ['runtime/journal/journal-worker.ts'],
    outfile: join(root, 'dist', 'journal-worker.cjs'),
  })
  for (const library of BRIDGE_LIBRARIES) {
    await esbuild.build({
      ...options,
      minify: true,
      entryPoints: [library],
      outfile: join(root, 'dist', fileOf(library)),
    })
  }
  // The bundle is the newest: its time tells whether everything is up to date.
  await esbuild.build({
    ...options,
    plugins: [bridgeLibraries],
    entryPoints: ['runtime/cli/main.ts'],
    outfile: bundle,
    banner: { js: '#!/usr/bin/env node' },
  })
  const schema = spawnSync(process.execPath, [bundle, 'check', '--schema'], { encoding: 'utf8' })
  if (schema.status !== 0) fail(`the bundle does not run: ${schema.stderr}`)
  writeFileSync(join(root, 'dist', 'config.schema.json'), schema.stdout)
  buildNative()
}
