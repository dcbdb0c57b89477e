/** Programs of this machine, and packages that are unpacked and not installed, both from Debian by apt. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { Unavailable } from './unavailable.mjs'

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg'
const USUAL_MIRROR = 'http://deb.debian.org/debian'
const APT_TIMEOUT_MS = 300_000

/** What a command says on standard output. Throws an Error with what it complains of. */
export function capture(command, args, options = {}) {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
    timeout: APT_TIMEOUT_MS,
    ...options,
  })
  if (status === 0) return stdout
  throw new Error(`${command} failed: ${error?.message ?? String(stderr).trim().split('\n').slice(-3).join('; ')}`)
}

/** Whether a program can be started by its name. */
export function isInstalled(program) {
  return String(process.env.PATH)
    .split(delimiter)
    .some((folder) => existsSync(join(folder, program)))
}

/** Installs what is missing; `wanted`: packages by the program that each is for. Throws Unavailable where that is not possible. */
export function ensurePrograms(wanted, say) {
  const missing = [
    ...new Set(Object.entries(wanted).flatMap(([program, name]) => (isInstalled(program) ? [] : [name]))),
  ]
  if (missing.length === 0) return
  const command = `apt-get install -y --no-install-recommends ${missing.join(' ')}`
  if (!isInstalled('apt-get')) throw new Unavailable(`no ${missing.join(', ')}, and this is no Debian: install them`)
  if (process.getuid?.() !== 0) throw new Unavailable(`not installed, and only root may: sudo ${command}`)
  say(`installing ${missing.join(', ')}`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const install = () =>
    capture('apt-get', ['-qq', '-o', 'DPkg::Lock::Timeout=120', ...command.split(' ').slice(1)], { env })
  try {
    install()
  } catch {
    // The lists of packages may be old, or were never fetched.
    try {
      capture('apt-get', ['-qq', 'update'])
      install()
    } catch (error) {
      throw new Unavailable(`${error.message} (tried: ${command})`)
    }
  }
}

/** Packages of one suite of Debian, apart from those that this machine has installed or could install. */
export class Suite {
  /** `folder` keeps the lists. Nothing is fetched before `update`. */
  constructor(folder, suite, architecture) {
    if (!existsSync(KEYRING)) throw new Unavailable(`no ${KEYRING}: apt-get install debian-archive-keyring`)
    this.folder = folder
    this.suite = suite
    for (const name of ['lists/partial', 'archives/partial']) mkdirSync(join(folder, name), { recursive: true })
    const sources = join(folder, 'sources.list')
    const status = join(folder, 'status')
    writeFileSync(sources, `deb [signed-by=${KEYRING} arch=${architecture}] ${mirror()} ${suite} main\n`)
    writeFileSync(status, '')
    // The rest of the machine's own configuration stays, as its proxy.
    this.options = Object.entries({
      'APT::Architecture': architecture,
      'APT::Architectures': architecture,
      'APT::Sandbox::User': '',
      'Acquire::Languages': 'none',
      'Acquire::Retries': '3',
      'Dir::Cache': folder,
      'Dir::Cache::archives': join(folder, 'archives'),
      'Dir::Etc::sourcelist': sources,
      'Dir::Etc::sourceparts': '-',
      'Dir::Etc::preferences': '-',
      'Dir::Etc::preferencesparts': '-',
      'Dir::State': folder,
      'Dir::State::lists': join(folder, 'lists'),
      'Dir::State::status': status,
    }).flatMap(([name, value]) => ['-o', `${name}=${value}`])
  }

  /** Fetches the lists; apt checks the signature of the suite. */
  update() {
    // Without these, apt would call the missing of a list a warning and go on with nothing.
    capture('apt-get', ['-qq', ...this.options, '-o', 'APT::Update::Error-Mode=any', 'update'])
  }

  /** Names of the packages that one needs. Throws when the suite does not have it. */
  dependencies(name) {
    const record = capture('apt-cache', [...this.options, 'show', '--no-all-versions', name])
    const field = /^(?:Pre-)?Depends: (.*)$/m.exec(record)?.[1] ?? ''
    return field.split(',').map((one) => one.trim().split(/[ :|]/)[0])
  }

  /** Downloads and unpacks packages below a folder; apt checks their SHA-256. */
  unpack(names, folder) {
    const debs = join(this.folder, 'debs')
    rmSync(debs, { recursive: true, force: true })
    mkdirSync(debs, { recursive: true })
    capture('apt-get', ['-qq', ...this.options, 'download', ...names], { cwd: debs })
    for (const deb of readdirSync(debs)) capture('dpkg-deb', ['-x', join(debs, deb), folder])
    rmSync(debs, { recursive: true })
  }
}

/** The one that this machine is set to. */
function mirror() {
  if (!isInstalled('apt-get')) throw new Unavailable('no apt-get: Debian is needed')
  const targets = spawnSync('apt-get', ['indextargets', '--format', '$(REPO_URI) $(ORIGIN)'], { encoding: 'utf8' })
  const known = String(targets.stdout)
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([uri, origin]) => origin === 'Debian' && !uri.includes('security'))
  return known[0]?.[0] ?? USUAL_MIRROR
}
