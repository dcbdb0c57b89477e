import { readdir, readFile, readlink } from 'node:fs/promises'

/**
 * Which process has a port open, as `node (pid 123)`, for an error message. Linux only and as far as permissions allow:
 * undefined when it cannot be found. Never throws.
 */
export async function portHolder(protocol: 'tcp' | 'udp', port: number): Promise<string | undefined> {
  try {
    const inodes = new Set<string>()
    for (const table of [`/proc/net/${protocol}`, `/proc/net/${protocol}6`]) {
      for (const inode of await boundInodes(table, protocol === 'tcp' ? LISTEN_STATE : UDP_STATE, port))
        inodes.add(inode)
    }
    return inodes.size === 0 ? undefined : await processWithSocket(inodes)
  } catch {
    return undefined
  }
}

/** Socket states in /proc/net/tcp and /proc/net/udp: listening, unconnected. */
const LISTEN_STATE = '0A'
const UDP_STATE = '07'

/** Columns: number, local address:port (hexadecimal), remote address:port, state, …, inode as the tenth. See proc(5). */
async function boundInodes(table: string, state: string, port: number): Promise<string[]> {
  const portText = port.toString(16).toUpperCase().padStart(4, '0')
  const lines = (await readFile(table, 'latin1').catch(() => '')).split('\n')
  return lines
    .map((line) => line.trim().split(/\s+/))
    .filter((columns) => columns[1]?.endsWith(`:${portText}`) && columns[3] === state)
    .map((columns) => columns[9])
}

async function processWithSocket(inodes: ReadonlySet<string>): Promise<string | undefined> {
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue
    // Other users' processes cannot be looked into, and processes end while we look.
    const descriptors = await readdir(`/proc/${pid}/fd`).catch(() => [])
    for (const descriptor of descriptors) {
      const target = await readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => '')
      const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1]
      if (inode === undefined || !inodes.has(inode)) continue
      const name = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => 'a process')
      return `${name.trim()} (pid ${pid})`
    }
  }
  return undefined
}
