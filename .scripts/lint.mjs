import { ensureInstalled, run, tool } from './prepare.mjs'

ensureInstalled()
process.exit(run(tool('biome'), ['check', ...process.argv.slice(2), '.']))
