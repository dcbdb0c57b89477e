/**
 * Everything that `npm test` promises: install, type-check, lint, build, run every test.
 * `npm test -- test/router` (paths of folders or files) skips the checks and runs just those tests.
 */
import { existsSync, readdirSync, rmSync, statSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join, relative } from 'node:path'
import { ensureBuilt, ensureInstalled, fail, root, run, tool } from './prepare.mjs'

const chosen = process.argv.slice(2)
ensureInstalled()
if (chosen.length === 0) {
  console.log('type-checking')
  if (run(tool('tsc'), ['-p', '.']) !== 0) process.exit(1)
  console.log('linting')
  if (run(tool('biome'), ['check', '--error-on-warnings', '.']) !== 0) process.exit(1)
}
await ensureBuilt()

/** Benchmarks, long runs and the tests that need a virtual machine have their own commands. */
const separate = ['bench', 'torture', 'vm', 'node_modules']
function testsBelow(path) {
  if (!existsSync(path)) fail(`no such test: ${relative(root, path)}`)
  if (!statSync(path).isDirectory()) return [path]
  return readdirSync(path).flatMap((name) => {
    const child = join(path, name)
    if (statSync(child).isDirectory()) return separate.includes(name) ? [] : testsBelow(child)
    return name.endsWith('.test.ts') ? [child] : []
  })
}

const tests = (chosen.length > 0 ? chosen : ['test']).flatMap((path) => testsBelow(join(root, path)))
// A folder of its own for chosen tests, so that several runs do not get in each other's way.
const out = join(root, 'dist', chosen.length > 0 ? `test-${process.pid}` : 'test')
rmSync(out, { recursive: true, force: true })

/** They wait for long, so they go first: others have the processors meanwhile. The runner takes files by their names. */
const LONG =
  /(journal\/(pull-the-plug|file-damage|disk-faults|review-wear|recorder)|router\/(snapshots|slow-session|ttl)|robustness\/(floods|slow-reader|hostile-frames)|federation\/(proof-hub-away|proof-bad-hubs|leaf-limits)|firmware\/(c-library|hostile-devices|proof-noise)|cli\/commands)[.-]/
const nameOf = (path) => {
  const name = relative(join(root, 'test'), path).replace(/\.ts$/, '')
  return `${LONG.test(name) ? 'long' : 'others'}/${name}`
}
const esbuild = await import('esbuild')
await esbuild.build({
  absWorkingDir: root,
  entryPoints: tests.map((path) => ({ in: path, out: nameOf(path) })),
  outdir: out,
  outExtension: { '.js': '.mjs' },
  bundle: true,
  splitting: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  packages: 'external',
  define: { CLASP_EDGE_VERSION: '"test"' },
  sourcemap: 'inline',
  logLevel: 'warning',
})
const files = tests.map((path) => join(out, `${nameOf(path)}.mjs`))
const code = run(process.execPath, [
  '--enable-source-maps',
  '--test',
  `--test-timeout=${process.env.CLASP_TEST_TIMEOUT_MS ?? 120_000}`,
  // Much of their time tests wait, for a condition or a process.
  `--test-concurrency=${availableParallelism() + 1}`,
  '--test-reporter=spec',
  ...files,
])
if (chosen.length > 0) rmSync(out, { recursive: true, force: true })
process.exit(code)
