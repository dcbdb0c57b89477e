import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type Sqlite, type SqliteConnection, SqliteFailure } from './sqlite.ts'

const LOCK_FILE = 'journal.lock'

/**
 * Keeps a second router from the same database, while others may read it: SQLite's own exclusive lock on an empty file
 * beside it. The kernel drops it with the process, so that nothing is left to clean up after a crash.
 */
export class DatabaseLock {
  private readonly connection: SqliteConnection
  private readonly path: string
  private readonly inode: number

  /** Throws SqliteFailure; SQLITE_BUSY tells who holds it. */
  constructor(sqlite: Sqlite, folder: string) {
    this.path = join(folder, LOCK_FILE)
    this.connection = sqlite.open(this.path)
    try {
      // Without a rollback file beside it.
      this.connection.exec('PRAGMA journal_mode = MEMORY')
      this.connection.exec('BEGIN EXCLUSIVE')
    } catch (error) {
      this.connection.close()
      throw error instanceof SqliteFailure && error.code.startsWith('SQLITE_BUSY') ? busy(this.path) : error
    }
    this.inode = statSync(this.path).ino
  }

  /** False when the file has been deleted: another process may hold the lock of a new one. */
  get isHeld(): boolean {
    return statSync(this.path, { throwIfNoEntry: false })?.ino === this.inode
  }

  release(): void {
    try {
      this.connection.exec('ROLLBACK')
    } finally {
      this.connection.close()
    }
  }
}

function busy(path: string): SqliteFailure {
  const pid = holderOf(path)
  const who = pid === undefined ? 'another process' : `process ${pid}${nameOf(pid)}`
  const what = pid === process.pid ? 'this process itself' : who
  return new SqliteFailure(
    'OWNED',
    `the journal beside ${path} belongs to ${what}: one router at a time may write to it; stop the other, or give this one its own folder`,
  )
}

/** Columns of /proc/locks: number, kind, mode, access, pid, device:inode, start, end. See proc(5). */
function holderOf(path: string): number | undefined {
  try {
    const { ino } = statSync(path)
    const lines = readFileSync('/proc/locks', 'latin1').split('\n')
    const columns = lines
      .map((line) => line.split(/\s+/))
      .find(([, , , access, , file]) => {
        return access === 'WRITE' && file?.split(':').at(-1) === String(ino)
      })
    const pid = Number(columns?.[4])
    return pid > 0 ? pid : undefined
  } catch {
    return undefined
  }
}

function nameOf(pid: number): string {
  try {
    return ` (${readFileSync(`/proc/${pid}/comm`, 'utf8').trim()})`
  } catch {
    return ''
  }
}
