import { type FSWatcher, watch } from 'node:fs'
import { lstat, readdir, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Clock, Timer } from '../router/clock.ts'

export interface SerialWatchOptions {
  clock: Clock
  /** Ports by path, wherever they are: links of udev or of somebody else, pseudo-terminals. */
  paths?: readonly string[]
  /** Where /dev is. Default `/`. */
  root?: string
}

/** udev makes a device, its rights and its links within some milliseconds of each other. */
const DEBOUNCE_MS = 50
/** The safety net: some changes make no event, and some folders cannot be watched. */
const POLL_MS = 1000
/** For a second after a change, because rights that udev grants late make no event that can be told from a write. */
const SETTLING_POLL_MS = 200
const SETTLING_POLLS = 5
const PORT_NAME = /^(tty[A-Z]+\d+|rfcomm\d+)$/

/**
 * Calls back, until the signal, when a serial port has come or gone or its rights have changed: what is in /dev and
 * /dev/serial, and what the paths lead to. Resolves when the state to compare with has been taken. Never rejects.
 */
export async function watchSerialPorts(
  options: SerialWatchOptions,
  onChange: () => void,
  signal: AbortSignal,
): Promise<void> {
  const watched = new SerialWatch(options, onChange, signal)
  await watched.check()
}

class SerialWatch {
  private readonly clock: Clock
  private readonly paths: readonly string[]
  private readonly folders: readonly string[]
  private readonly onChange: () => void
  private readonly signal: AbortSignal
  private readonly watchers = new Map<string, FolderWatcher>()
  private timer: Timer | undefined
  /** An event came while a check was under way. */
  private isStale = false
  private isChecking = false
  private settlingPolls = 0
  private state: string | undefined

  constructor(options: SerialWatchOptions, onChange: () => void, signal: AbortSignal) {
    const { clock, root = '/', paths = [] } = options
    this.clock = clock
    this.paths = paths.map((path) => join(root, path))
    const own = ['dev', 'dev/serial', 'dev/serial/by-id', 'dev/serial/by-path'].map((folder) => join(root, folder))
    this.folders = [...new Set([...own, ...this.paths.map((path) => dirname(path))])]
    this.onChange = onChange
    this.signal = signal
    signal.addEventListener('abort', this.stop, { once: true })
  }

  readonly check = async (): Promise<void> => {
    this.isChecking = true
    this.isStale = false
    await this.followFolders()
    const state = await this.readState()
    this.isChecking = false
    if (this.signal.aborted) {
      this.stop()
      return
    }
    const isChanged = this.state !== undefined && this.state !== state
    this.state = state
    if (isChanged) this.settlingPolls = SETTLING_POLLS
    const pollMs = this.settlingPolls-- > 0 ? SETTLING_POLL_MS : POLL_MS
    this.timer = this.clock.timer(this.isStale ? DEBOUNCE_MS : pollMs, this.check)
    if (isChanged) this.onChange()
  }

  private readonly stop = (): void => {
    this.signal.removeEventListener('abort', this.stop)
    this.timer?.cancel()
    for (const { watcher } of this.watchers.values()) watcher.close()
    this.watchers.clear()
  }

  private readonly noticed = (kind: string): void => {
    // Writing to a device is a change of its file on older kernels, and happens all the time.
    if (kind !== 'rename' || this.isStale) return
    this.isStale = true
    if (this.isChecking) return
    this.timer?.cancel()
    this.timer = this.clock.timer(DEBOUNCE_MS, this.check)
  }

  /** Folders come and go: /dev/serial is there only while there is a USB port. */
  private async followFolders(): Promise<void> {
    for (const folder of this.folders) {
      const inode = (await stat(folder).catch(() => undefined))?.ino
      const known = this.watchers.get(folder)
      if (known?.inode === inode) continue
      known?.watcher.close()
      this.watchers.delete(folder)
      if (inode === undefined || this.signal.aborted) continue
      const watcher = this.open(folder)
      if (watcher !== undefined) this.watchers.set(folder, { watcher, inode })
    }
  }

  private open(folder: string): FSWatcher | undefined {
    try {
      const watcher = watch(folder, { persistent: false }, this.noticed)
      watcher.on('error', () => watcher.close())
      return watcher
    } catch {
      // Gone again, or no more watches to be had: the poll remains.
      return undefined
    }
  }

  private async readState(): Promise<string> {
    const names = await Promise.all(
      this.folders.slice(0, 4).map((folder, index) =>
        readdir(folder).then(
          (entries) => entries.filter((name) => index > 0 || PORT_NAME.test(name)).map((name) => join(folder, name)),
          () => [],
        ),
      ),
    )
    const paths = [...names.flat().sort(), ...this.paths]
    return (await Promise.all(paths.map(fingerprint))).join('\n')
  }
}

interface FolderWatcher {
  watcher: FSWatcher
  inode: number
}

/** Differs when the path leads to another device, or when others may open it. */
async function fingerprint(path: string): Promise<string> {
  try {
    const [link, target] = await Promise.all([lstat(path), stat(path)])
    // Numbers of inodes and terminals are used again, times are not. Writing to a device leaves its ctime alone.
    const numbers = [link.ino, link.ctimeMs, target.dev, target.ino, target.rdev, target.ctimeMs]
    return `${path} ${numbers.join(' ')}`
  } catch {
    return path
  }
}
