/** `npm run bench [-- --json]`: the router in its own process against a load generator in another. */
import { join } from 'node:path'
import { ensureBuilt, ensureInstalled, root, run } from './prepare.mjs'

ensureInstalled()
await ensureBuilt()
const esbuild = await import('esbuild')
await esbuild.build({
  absWorkingDir: root,
  entryPoints: ['test/bench/bench.ts'],
  outfile: 'dist/bench.mjs',
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  packages: 'external',
  logLevel: 'warning',
})
process.exit(run(process.execPath, [join(root, 'dist', 'bench.mjs'), ...process.argv.slice(2)]))
