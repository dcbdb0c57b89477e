/** A kernel of Debian with all its modules, unpacked into the cache. */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import { capture, Suite } from './packages.mjs'
import { Unavailable } from './unavailable.mjs'

/** Older ones have no gpio-sim (images.md §6). Other architectures lack i2c-stub and snd-virmidi. */
const SUITE = 'trixie-backports'
const ARCHITECTURE = 'amd64'
const META = 'linux-image-amd64'

/** The newest of the cache, or else the one that the suite has now. Throws Unavailable when there is neither. */
export function ensureKernel(cache, say) {
  const kernels = join(cache, 'kernel')
  const kept = existsSync(kernels) ? readdirSync(kernels).sort(byVersion) : []
  const name = kept.pop() ?? fetchKernel(cache, kernels, say)
  return new Kernel(join(kernels, name), name)
}

const byVersion = (a, b) => a.localeCompare(b, 'en', { numeric: true })

function fetchKernel(cache, kernels, say) {
  say(`fetching the kernel of ${SUITE}, about 175 MB`)
  const draft = join(cache, `draft-${process.pid}`)
  try {
    const suite = new Suite(join(cache, 'apt'), SUITE, ARCHITECTURE)
    suite.update()
    // Newer ones come as several packages; what else it depends on is for an installation.
    const isPart = (name) => /^linux-(image|binary|modules)-/.test(name)
    const [image] = suite.dependencies(META).filter(isPart)
    const parts = [image, ...suite.dependencies(image).filter(isPart)]
    suite.unpack(parts, draft)
    const name = image.replace('linux-image-', '')
    mkdirSync(kernels, { recursive: true })
    renameSync(draft, join(kernels, name))
    return name
  } catch (error) {
    if (error instanceof Unavailable) throw error
    throw new Unavailable(`no kernel: ${error.message}`)
  } finally {
    rmSync(draft, { recursive: true, force: true })
  }
}

export class Kernel {
  constructor(folder, version) {
    this.version = version
    this.folder = folder
    this.modules = ['usr/lib/modules', 'lib/modules'].map((path) => join(folder, path, version)).find(existsSync)
    if (this.modules === undefined) throw new Unavailable(`${folder} is no kernel: remove it and start again`)
    this.files = new Map(
      readdirSync(join(this.modules, 'kernel'), { recursive: true })
        .filter((path) => /\.ko(\.xz)?$/.test(path))
        .map((path) => [moduleName(path), join(this.modules, 'kernel', path)]),
    )
  }

  /** What a boot loader starts. */
  get image() {
    const places = [join(this.modules, 'vmlinuz'), join(this.folder, 'boot', `vmlinuz-${this.version}`)]
    const found = places.find(existsSync)
    if (found === undefined) throw new Unavailable(`no vmlinuz in ${this.folder}: remove it and start again`)
    return found
  }

  /**
   * Modules with those that they need, each before what needs it: [name, bytes]. What is no module is part of the kernel,
   * or it lacks it: the packages have no list that could tell.
   */
  load(names) {
    const loaded = new Map()
    const visit = (name) => {
      const file = this.files.get(name)
      if (file === undefined || loaded.has(name)) return
      const bytes = file.endsWith('.xz') ? capture('xz', ['-dc', file], { encoding: 'buffer' }) : readFileSync(file)
      for (const other of dependenciesOf(bytes)) visit(other)
      loaded.set(name, bytes)
    }
    for (const name of names) visit(moduleName(name))
    return [...loaded]
  }
}

function moduleName(path) {
  return basename(path)
    .replace(/\.ko(\.xz)?$/, '')
    .replaceAll('-', '_')
}

/** From the section .modinfo, which is texts `key=value` that end with 0; each module has one `depends`. */
function dependenciesOf(bytes) {
  const key = '\0depends='
  const at = bytes.indexOf(key)
  if (at < 0) return []
  const from = at + key.length
  const names = bytes.toString('latin1', from, bytes.indexOf(0, from))
  return names === '' ? [] : names.split(',').map(moduleName)
}
