import {
  closeSync,
  copyFileSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { APPLICATION_ID, PAGE_BYTES, SCHEMA, SCHEMA_VERSION } from './schema.ts'
import type { Sqlite, SqliteConnection } from './sqlite.ts'

const MAX_DAMAGED = 3
/** SQLite finds the log and its index by these endings, under whatever name the database has. */
const PARTS = ['', '-wal', '-shm'] as const

/**
 * The files of a journal in its folder: `journal.db` with `-wal` and `-shm`; `journal.db.new`, which is being made and
 * worthless after a crash; `journal.db.repaired`, which is complete and takes the place of a missing `journal.db`; and
 * `journal.db.damaged-<UTC time>`.
 */
export class DatabaseFiles {
  readonly folder: string
  readonly path: string
  private readonly newPath: string
  private readonly repairedPath: string

  constructor(folder: string) {
    this.folder = folder
    this.path = join(folder, 'journal.db')
    this.newPath = `${this.path}.new`
    this.repairedPath = `${this.path}.repaired`
  }

  /** Makes the folder, and finishes a repair that a crash interrupted. Throws the error of the file system. */
  prepare(): void {
    mkdirSync(this.folder, { recursive: true })
    if (!existsSync(this.path) && existsSync(this.repairedPath)) renameSync(this.repairedPath, this.path)
    for (const path of [this.newPath, this.repairedPath]) if (existsSync(path)) removeParts(path)
  }

  exists(): boolean {
    return existsSync(this.path)
  }

  /** Identity of the file, 0 = there is none. */
  inode(): number {
    return statSync(this.path, { throwIfNoEntry: false })?.ino ?? 0
  }

  /** Bytes of the database and its log. */
  size(): number {
    return sizeOf(this.path) + this.logSize()
  }

  isZeroLength(): boolean {
    return sizeOf(this.path) === 0
  }

  logSize(): number {
    return sizeOf(`${this.path}-wal`)
  }

  /**
   * Makes a `journal.db` where there is none. It is complete under another name first, so that a power cut leaves none or
   * a whole one.
   */
  create(sqlite: Sqlite): void {
    this.build(sqlite, () => {})
    // The log of an older database must not be taken for that of this one.
    for (const part of PARTS.slice(1)) rmSync(`${this.path}${part}`, { force: true })
    this.install()
  }

  /**
   * Replaces a damaged database by one that `fill` makes of it, in one transaction; the damaged one stays at the returned
   * path, and goes there only when the new one is complete.
   */
  replace(sqlite: Sqlite, now: Date, fill: (connection: SqliteConnection) => void): string {
    this.build(sqlite, fill)
    const aside = this.moveAside(now)
    this.install()
    return aside
  }

  private build(sqlite: Sqlite, fill: (connection: SqliteConnection) => void): void {
    removeParts(this.newPath)
    try {
      const connection = sqlite.open(this.newPath)
      try {
        connection.exec(`PRAGMA page_size = ${PAGE_BYTES}`)
        connection.exec('PRAGMA auto_vacuum = INCREMENTAL')
        connection.exec('PRAGMA journal_mode = MEMORY')
        connection.exec('PRAGMA synchronous = OFF')
        connection.exec('BEGIN')
        connection.exec(SCHEMA)
        connection.exec(`PRAGMA application_id = ${APPLICATION_ID}`)
        connection.exec(`PRAGMA user_version = ${SCHEMA_VERSION}`)
        fill(connection)
        connection.exec('COMMIT')
      } finally {
        connection.close()
      }
      syncPath(this.newPath)
    } catch (error) {
      removeParts(this.newPath)
      throw error
    }
    renameSync(this.newPath, this.repairedPath)
    syncPath(this.folder)
  }

  private install(): void {
    renameSync(this.repairedPath, this.path)
    syncPath(this.folder)
  }

  private moveAside(now: Date): string {
    const stamp = now.toISOString().replace(/[-:]/g, '')
    let aside = `${this.path}.damaged-${stamp}`
    for (let n = 2; existsSync(aside); n++) aside = `${this.path}.damaged-${stamp}-${n}`
    for (const part of PARTS)
      if (existsSync(`${this.path}${part}`)) renameSync(`${this.path}${part}`, `${aside}${part}`)
    const old = readdirSync(this.folder)
      .filter((name) => /^journal\.db\.damaged-[^-]+(-\d+)?$/.test(name))
      .sort()
    for (const name of old.slice(0, Math.max(0, old.length - MAX_DAMAGED))) removeParts(join(this.folder, name))
    return aside
  }

  /**
   * A copy of the database and its log on another medium, to be read there when this one cannot even take the index of
   * the log. Null where there is no place for it either.
   */
  copyElsewhere(): { path: string; remove: () => void } | null {
    for (const place of ['/dev/shm', tmpdir()]) {
      let folder: string | undefined
      try {
        folder = mkdtempSync(join(place, 'clasp-edge-journal-'))
        const path = join(folder, 'journal.db')
        for (const part of PARTS.slice(0, 2))
          if (existsSync(`${this.path}${part}`)) copyFileSync(`${this.path}${part}`, `${path}${part}`)
        const made = folder
        return { path, remove: () => rmSync(made, { recursive: true, force: true }) }
      } catch {
        if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
      }
    }
    return null
  }
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}

function removeParts(path: string): void {
  for (const part of PARTS) rmSync(`${path}${part}`, { force: true })
}

/** Flushes a file or the names in a folder to the medium. */
function syncPath(path: string): void {
  const file = openSync(path, 'r')
  try {
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}
