/** Steps that the npm scripts share: install what is missing, build what is stale. Runs on plain Node, before any dependency is there. */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ensureDmxLine, ensureI2cBus, ensureInputReader, ensureLineHolder, ensureNative } from './native.mjs'

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
  attempt('no DMX512 by FTDI and UART', () => ensureDmxLine(root))
}

function attempt(consequence, compile) {
  try {
    const { reason } = compile()
    if (reason !== undefined) console.log(`${consequence}: ${reason}`)
  } catch (error) {
    console.log(`${consequence}: ${error.message}`)
  }
}

/** In modules, what was CommonJS asks for the built-in ones so. */
const REQUIRE = "import{createRequire as requireFrom}from'node:module';const require=requireFrom(import.meta.url);"

/**
 * The program for the device: `clasp-edge.cjs` with its parts in `app/`, of which each command and each configured driver
 * or bridge loads its own, and the thread of the journal. Native add-ons stay outside.
 */
export async function build() {
  const esbuild = await import('esbuild')
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const app = join(root, 'dist', 'app')
  mkdirSync(app, { recursive: true })
  const before = readdirSync(app)
  const options = {
    absWorkingDir: root,
    bundle: true,
    platform: 'node',
    target: 'node20',
    define: { CLASP_EDGE_VERSION: JSON.stringify(version) },
    external: ['bufferutil', 'utf-8-validate', '@serialport/bindings-cpp', '@julusian/midi', 'libsql', 'node:sqlite'],
    logLevel: 'warning',
  }
  await esbuild.build({
    ...options,
    format: 'cjs',
    entryPoints: ['runtime/journal/journal-worker.ts'],
    outfile: join(root, 'dist', 'journal-worker.cjs'),
  })
  const { metafile } = await esbuild.build({
    ...options,
    format: 'esm',
    splitting: true,
    banner: { js: REQUIRE },
    // A quarter less to read at each start; names stay, for the traces of defects.
    minifyWhitespace: true,
    entryPoints: { main: 'runtime/cli/main.ts' },
    outdir: app,
    outExtension: { '.js': '.mjs' },
    metafile: true,
  })
  // The start file is the newest: its time tells whether everything is up to date.
  writeFileSync(bundle, "#!/usr/bin/env node\nimport('./app/main.mjs')\n", { mode: 0o755 })
  const built = Object.keys(metafile.outputs).map((path) => basename(path))
  // A router that was started a moment ago may still want some of the old parts.
  const longAgo = Date.now() - 3_600_000
  for (const name of before) {
    const path = join(app, name)
    if (!built.includes(name) && statSync(path).mtimeMs < longAgo) rmSync(path)
  }
  const schema = spawnSync(process.execPath, [bundle, 'check', '--schema'], { encoding: 'utf8' })
  if (schema.status !== 0) fail(`the bundle does not run: ${schema.stderr}`)
  writeFileSync(join(root, 'dist', 'config.schema.json'), schema.stdout)
  buildNative()
}
