import { bundle, ensureBuilt, ensureInstalled, runToEnd } from './prepare.mjs'

ensureInstalled()
await ensureBuilt()
runToEnd(process.execPath, [bundle, 'run', ...process.argv.slice(2)])
