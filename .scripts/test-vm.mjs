/**
 * `npm run test:vm`: the tests that need a kernel with simulated hardware, in a virtual machine with a kernel of Debian.
 * `npm run test:vm -- usb` runs those whose name has `usb` in it. Where it cannot run it says SKIP and why, and ends with
 * 0, or with 1 when CLASP_REQUIRE_VM=1 is set. Downloads stay in ~/.cache/clasp-edge/vm; remove it to renew the kernel.
 */
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { initramfs } from '../test/vm/initramfs.mjs'
import { ensureKernel } from '../test/vm/kernel.mjs'
import { runMachine } from '../test/vm/machine.mjs'
import { ensurePrograms } from '../test/vm/packages.mjs'
import { Unavailable } from '../test/vm/unavailable.mjs'
import { compile } from './native.mjs'
import { ensureBuilt, ensureInstalled, root } from './prepare.mjs'

const GUEST = join(root, 'test', 'vm', 'guest')
const WITHIN_MS = Number(process.env.CLASP_VM_TIMEOUT_MS ?? 600_000)
/** In this order; what they need comes by itself. */
const MODULES = {
  '9pnet_virtio': '',
  '9p': '',
  overlay: '',
  configfs: '',
  virtio_pci: '',
  'gpio-sim': '',
  'i2c-dev': '',
  'i2c-stub': 'chip_addr=0x48,0x76',
  uinput: '',
  evdev: '',
  'snd-seq': '',
  'snd-virmidi': 'midi_devs=2',
  dummy_hcd: '',
  'cdc-acm': '',
  libcomposite: '',
  usb_f_acm: '',
}

const chosen = process.argv.slice(2)
const startedAt = performance.now()
function say(text) {
  console.log(`[${((performance.now() - startedAt) / 1000).toFixed(1).padStart(5)} s] ${text}`)
}

async function main() {
  if (process.platform !== 'linux' || process.arch !== 'x64') throw new Unavailable('it needs Linux on an x86-64 PC')
  ensureInstalled()
  ensurePrograms({ 'qemu-system-x86_64': 'qemu-system-x86', busybox: 'busybox-static', xz: 'xz-utils' }, say)
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'clasp-edge', 'vm')
  mkdirSync(cache, { recursive: true })
  const kernel = ensureKernel(cache, say)
  await ensureBuilt()
  const work = mkdtempSync(join(root, 'dist', 'vm-'))
  process.once('exit', () => rmSync(work, { recursive: true, force: true }))
  copyPrograms(work)
  const tests = await bundleTests(work)
  const initrd = join(work, 'initrd.gz')
  writeFileSync(initrd, buildInitramfs(kernel, runScript(tests)))
  say(`starting kernel ${kernel.version} in a virtual machine`)
  const code = await runMachine({
    image: kernel.image,
    initrd,
    withinMs: WITHIN_MS,
    onLine: (line) => console.log(line),
  })
  say(code === 0 ? 'all passed in the virtual machine' : `failed in the virtual machine (${code})`)
  return code
}

/** The product and the programs of the tests: nothing of what runs in the guest may change meanwhile. */
function copyPrograms(folder) {
  const dist = join(root, 'dist')
  const own = readdirSync(dist).filter((name) => /^(clasp-[a-z0-9]+|simulated-node|app|.*\.cjs)$/.test(name))
  for (const name of own) cpSync(join(dist, name), join(folder, name), { recursive: true })
  for (const name of readdirSync(join(GUEST, 'c')).map((file) => file.replace(/\.c$/, ''))) {
    const { path, reason } = compile(`vm/${name}`, [`test/vm/guest/c/${name}.c`], [], { root })
    if (path === undefined) throw new Unavailable(reason)
    copyFileSync(path, join(folder, name))
  }
}

/** The tests as plain JavaScript, below the folder. */
async function bundleTests(folder) {
  const names = readdirSync(GUEST).filter((name) => name.endsWith('.test.ts'))
  const entryPoints = names.filter((name) => chosen.length === 0 || chosen.some((text) => name.includes(text)))
  if (entryPoints.length === 0) throw new Error(`no such test: there are ${names.join(', ')}`)
  const esbuild = await import('esbuild')
  await esbuild.build({
    absWorkingDir: GUEST,
    entryPoints,
    outdir: folder,
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
  return entryPoints.map((name) => join(folder, name.replace(/\.ts$/, '.mjs')))
}

function buildInitramfs(kernel, script) {
  const modules = kernel.load(Object.keys(MODULES))
  const files = {
    init: readFileSync(join(GUEST, 'init')),
    'run.sh': Buffer.from(script),
    'bin/busybox': readFileSync('/bin/busybox'),
    'modules/order': Buffer.from(modules.map(([name]) => name).join('\n')),
  }
  for (const [name, bytes] of modules) files[`modules/${name}.ko`] = bytes
  for (const [name, options] of Object.entries(MODULES)) {
    if (options !== '') files[`modules/${name.replaceAll('-', '_')}.options`] = Buffer.from(options)
  }
  return initramfs(files)
}

/** What runs in the guest, where the files of this machine are in the same places. */
function runScript(tests) {
  const flags = '--enable-source-maps --test --test-concurrency=2 --test-timeout=300000 --test-reporter=spec'
  return `cd '${root}'\nexec '${process.execPath}' ${flags} ${tests.map((path) => `'${path}'`).join(' ')}\n`
}

// Also then the machine ends with this process; see runMachine.
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(name, () => process.exit(1))

main().then(
  (code) => process.exit(code),
  (error) => {
    if (!(error instanceof Unavailable)) {
      console.error(error.message)
      process.exit(1)
    }
    console.log(`SKIP: ${error.message}`)
    process.exit(process.env.CLASP_REQUIRE_VM === '1' ? 1 : 0)
  },
)
