/** `npm run dev [-- OPTIONS]`: rebuilds on every change of a source and restarts the router with it. */
import { spawn } from 'node:child_process'
import { watch } from 'node:fs'
import { join } from 'node:path'
import { build, bundle, ensureInstalled, root, sourceFolders } from './prepare.mjs'

const QUIET_MS = 200

ensureInstalled()
let router
let timer

async function restart() {
  try {
    await build()
  } catch {
    // esbuild has printed what is wrong; the next change tries again.
    return
  }
  if (router !== undefined && router.exitCode === null) {
    const gone = new Promise((resolve) => router.once('exit', resolve))
    router.kill('SIGTERM')
    await gone
  }
  router = spawn(process.execPath, [bundle, 'run', ...process.argv.slice(2)], { stdio: 'inherit' })
}

for (const folder of sourceFolders) {
  watch(join(root, folder), { recursive: true }, () => {
    clearTimeout(timer)
    timer = setTimeout(restart, QUIET_MS)
  })
}
for (const name of ['SIGINT', 'SIGTERM']) {
  process.on(name, () => {
    router?.once('exit', () => process.exit(0))
    if (router === undefined || router.exitCode !== null) process.exit(0)
    router.kill('SIGTERM')
  })
}
await restart()
