import { existsSync } from 'node:fs'
import { SIGNALS } from '../../firmware-protocol/wire/codes.ts'
import { Reader } from '../../firmware-protocol/wire/reader.ts'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import { readValue } from '../../firmware-protocol/wire/value-codec.ts'
import { DatabaseFiles } from './database-files.ts'
import { DatabaseLock } from './database-lock.ts'
import type { ExportEntry, ExportLine, ExportParam } from './export-line.ts'
import { Importer } from './importer.ts'
import type { JournalStats, StoreProblem } from './messages.ts'
import { OpenDatabase } from './open-database.ts'
import { SCHEMA_VERSION } from './schema.ts'
import { loadSqlite, type Sqlite, type SqliteConnection, SqliteFailure } from './sqlite.ts'
import { problemOf } from './store-problem.ts'
import { StoredState } from './stored-state.ts'

export type { ExportEntry, ExportLine, ExportParam } from './export-line.ts'

const IMPORT_LINES = 2000

/** The words are for the operator. */
export class JournalError extends Error {
  readonly kind: StoreProblem['kind'] | 'missing'

  constructor(kind: StoreProblem['kind'] | 'missing', words: string) {
    super(words)
    this.kind = kind
  }
}

/** A journal that is only read, also while a router writes to it. Damaged rows are left out and counted. */
export interface JournalReader {
  stats(): JournalStats
  /** In the order of seq, from behind `afterSeq`. */
  entries(afterSeq?: number): Generator<ExportEntry>
  /** Without those that were removed. */
  params(): Generator<ExportParam>
  /** Rows and places left out so far. */
  damaged(): number
  close(): void
}

/** Rejects with a JournalError. */
export async function openJournalForReading(folder: string): Promise<JournalReader> {
  const sqlite = await library(folder)
  return guarded(folder, () => {
    const files = existing(folder)
    try {
      return reader(sqlite, files, files.path, () => {})
    } catch (error) {
      // A medium that does not take the index of the log.
      const copy = /CANTOPEN|IOERR|READONLY/.test((error as SqliteFailure).code) ? files.copyElsewhere() : null
      if (copy === null) throw error
      return reader(sqlite, files, copy.path, copy.remove)
    }
  })
}

/**
 * Adds entries at the end of the history, and sets params that are missing or older (by time) in the journal; makes one
 * where there is none. Rejects with a JournalError of kind `busy` while a router owns it.
 */
export async function importEntries(
  folder: string,
  lines: AsyncIterable<ExportLine> | Iterable<ExportLine>,
): Promise<{ entries: number; params: number; olderParams: number }> {
  const sqlite = await library(folder)
  const files = new DatabaseFiles(folder)
  const lock = guarded(folder, () => {
    files.prepare()
    return new DatabaseLock(sqlite, folder)
  })
  try {
    const importer = guarded(folder, () => {
      if (!files.exists()) files.create(sqlite)
      return new Importer(connected(sqlite, files))
    })
    try {
      let batch: ExportLine[] = []
      for await (const line of lines) {
        batch.push(line)
        if (batch.length < IMPORT_LINES) continue
        const full = batch
        guarded(folder, () => importer.add(full))
        batch = []
      }
      guarded(folder, () => importer.add(batch))
      return importer.counts
    } finally {
      importer.close()
    }
  } finally {
    lock.release()
  }
}

/** Gives free pages back to the file system; returns the sizes in bytes. Rejects as `importEntries` does. */
export async function vacuum(folder: string): Promise<{ before: number; after: number }> {
  const sqlite = await library(folder)
  return guarded(folder, () => {
    const files = existing(folder)
    const lock = new DatabaseLock(sqlite, folder)
    try {
      const before = files.size()
      const connection = connected(sqlite, files)
      try {
        connection.exec('VACUUM')
        connection.exec('PRAGMA wal_checkpoint(TRUNCATE)')
      } finally {
        connection.close()
      }
      return { before, after: files.size() }
    } finally {
      lock.release()
    }
  })
}

function reader(sqlite: Sqlite, files: DatabaseFiles, path: string, remove: () => void): JournalReader {
  const connection = sqlite.open(path)
  const number = (sql: string) => (connection.prepare(sql).all([])[0][0] as number | null) ?? 0
  let state: StoredState
  try {
    connection.exec('PRAGMA busy_timeout = 2000')
    connection.exec('PRAGMA query_only = 1')
    checkVersion(number('PRAGMA user_version'))
    state = new StoredState(connection)
  } catch (error) {
    connection.close()
    remove()
    throw error
  }
  const addresses = new Map<number, string>()
  const nameAddresses = () => {
    for (const [id, text] of state.texts('addresses')) addresses.set(id, text)
  }
  return {
    stats() {
      let tombstones = 0
      let params = 0
      for (const { record } of state.params()) {
        if (record.isRemoved) tombstones++
        else params++
      }
      return {
        entries: number('SELECT count(*) FROM entries'),
        params,
        tombstones,
        events: number('SELECT count(*) FROM events'),
        firstSeq: number('SELECT min(seq) FROM entries'),
        lastSeq: number('SELECT max(seq) FROM entries'),
        oldestUs: number('SELECT min(time) FROM entries'),
        newestUs: number('SELECT max(time) FROM entries'),
        fileBytes: files.size(),
        freeBytes: number('PRAGMA freelist_count') * number('PRAGMA page_size'),
      }
    },
    *entries(afterSeq = 0) {
      for (const { seq, record } of state.entries(afterSeq)) {
        // Also when a router has added one since.
        if (!addresses.has(record.address)) nameAddresses()
        const address = addresses.get(record.address)
        const value = record.code < 0 ? null : decoded(record.code, record.value)
        if (address === undefined || value === undefined) state.lost.entries++
        else {
          const { timestampUs: timeUs, revision } = record
          yield {
            kind: 'entry',
            seq,
            timeUs,
            author: state.author(record.author),
            address,
            signal: SIGNALS[record.signal],
            value,
            revision,
          }
        }
      }
    },
    *params() {
      for (const { address, record } of state.params()) {
        if (record.isRemoved) continue
        const { timestampUs: timeUs, revision, ttlMode, ttlMs } = record
        const value = decoded(record.code, record.value)
        if (value === undefined) state.lost.params++
        else
          yield { kind: 'param', timeUs, author: state.author(record.author), address, value, revision, ttlMode, ttlMs }
      }
    },
    damaged: () => Object.values(state.lost).reduce((sum, count) => sum + count, 0),
    close() {
      connection.close()
      remove()
    },
  }
}

/** undefined = no value of this type. */
function decoded(code: number, bytes: Uint8Array): Value | undefined {
  // A plain array: what the library gives is a Buffer, and the pieces of one are Buffers too.
  const reader = new Reader(Uint8Array.from(bytes), 0, bytes.length)
  const value = readValue(reader, code)
  return reader.failure === undefined && reader.left === 0 ? value : undefined
}

function connected(sqlite: Sqlite, files: DatabaseFiles): SqliteConnection {
  const connection = sqlite.open(files.path)
  try {
    checkVersion(connection.prepare('PRAGMA user_version').all([])[0][0] as number)
    OpenDatabase.configure(connection)
    return connection
  } catch (error) {
    connection.close()
    throw error
  }
}

function checkVersion(version: number): void {
  if (version !== SCHEMA_VERSION)
    throw new SqliteFailure('SQLITE_NOTADB', `schema ${version}, this program writes schema ${SCHEMA_VERSION}`)
}

function existing(folder: string): DatabaseFiles {
  if (!existsSync(folder)) throw new JournalError('missing', `${folder} does not exist: name the folder of the journal`)
  const files = new DatabaseFiles(folder)
  if (!files.exists())
    throw new JournalError('missing', `there is no journal.db in ${folder}: name the folder of the journal`)
  return files
}

async function library(folder: string): Promise<Sqlite> {
  try {
    return await loadSqlite()
  } catch (error) {
    throw journalError(error, folder)
  }
}

function guarded<T>(folder: string, call: () => T): T {
  try {
    return call()
  } catch (error) {
    throw journalError(error, folder)
  }
}

function journalError(error: unknown, folder: string): Error {
  if (error instanceof JournalError) return error
  if (!(error instanceof SqliteFailure) && (error as NodeJS.ErrnoException).code === undefined) return error as Error
  const { kind, words } = problemOf(error, folder)
  return new JournalError(kind, words)
}
