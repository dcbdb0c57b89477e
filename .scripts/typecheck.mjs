import { ensureInstalled, run, tool } from './prepare.mjs'

ensureInstalled()
process.exit(run(tool('tsc'), ['-p', '.']))
