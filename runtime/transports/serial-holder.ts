import { readdir, readFile, readlink, realpath, stat } from 'node:fs/promises'

/**
 * Which process has the port at `path` locked or, when none has, open: as `minicom (pid 123)`, for an error message.
 * Linux only and as far as permissions allow: undefined when it cannot be found. Never rejects.
 */
export async function serialPortHolder(path: string): Promise<string | undefined> {
  try {
    const device = await realpath(path)
    const pid = (await processWithLock(device)) ?? (await processWithFile(device))
    if (pid === undefined) return undefined
    if (pid === process.pid) return `this process (pid ${pid})`
    const name = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => 'a process')
    return `${name.trim()} (pid ${pid})`
  } catch {
    return undefined
  }
}

/** Columns: number, FLOCK, ADVISORY, WRITE, pid, major:minor:inode of the file. See proc_locks(5). */
async function processWithLock(device: string): Promise<number | undefined> {
  const { dev, ino } = await stat(device)
  // The kernel's encoding of device numbers, as in makedev(3).
  const major = (dev >> 8) & 0xfff
  const minor = (dev & 0xff) | ((dev >> 12) & 0xfff00)
  const hex = (value: number) => value.toString(16).padStart(2, '0')
  const file = `${hex(major)}:${hex(minor)}:${ino}`
  const lines = (await readFile('/proc/locks', 'latin1')).split('\n').map((line) => line.split(/\s+/))
  const pid = Number(lines.find((columns) => columns[1] === 'FLOCK' && columns[5] === file)?.[4])
  return pid > 0 ? pid : undefined
}

async function processWithFile(device: string): Promise<number | undefined> {
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) continue
    // Other users' processes cannot be looked into, and processes end while we look.
    for (const descriptor of await readdir(`/proc/${pid}/fd`).catch(() => [])) {
      const target = await readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => '')
      if (target === device) return Number(pid)
    }
  }
  return undefined
}
