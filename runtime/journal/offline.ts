import { existsSync } from 'node:fs'
import { SIGNALS } from '../../firmware-protocol/wire/codes.ts'
import { ValueCode } from '../../firmware-protocol/wire/constants.ts'
import type { Signal } from '../../firmware-protocol/wire/message.ts'
import { Reader } from '../../firmware-protocol/wire/reader.ts'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import { canonicalBytes, canonicalCode } from '../../firmware-protocol/wire/value-bytes.ts'
import { readValue, writeValue } from '../../firmware-protocol/wire/value-codec.ts'
import { Writer } from '../../firmware-protocol/wire/writer.ts'
import { DatabaseFiles } from './database-files.ts'
import { DatabaseLock } from './database-lock.ts'
import type { JournalStats, StoreProblem } from './messages.ts'
import { OpenDatabase } from './open-database.ts'
import { SCHEMA_VERSION } from './schema.ts'
import { loadSqlite, type Sqlite, type SqliteConnection, SqliteFailure } from './sqlite.ts'
import { problemOf } from './store-problem.ts'
import { StoredState } from './stored-state.ts'
import { TableWriter } from './table-writer.ts'

const IMPORT_LINES = 2000

/** One entry of the history. Times are µs since the Unix epoch. */
export interface ExportEntry {
  kind: 'entry'
  /** Ignored by an import, which numbers anew. */
  seq: number
  timeUs: number
  author: string
  address: string
  signal: Signal
  /** null = the message had none, unlike a value of the type null. */
  value: Value | null
  /** 0 = not a SET. */
  revision: number
}

/** The newest state of an address. */
export interface ExportParam {
  kind: 'param'
  timeUs: number
  author: string
  address: string
  value: Value
  revision: number
  /** `TtlMode`, and its duration. */
  ttlMode: number
  ttlMs: number
}

export type ExportLine = ExportEntry | ExportParam

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

/** Names addresses and authors by the numbers they have, or by new ones. */
class Importer {
  readonly counts = { entries: 0, params: 0, olderParams: 0 }
  private readonly connection: SqliteConnection
  private readonly writer: TableWriter
  private readonly addresses = new Map<string, number>()
  private readonly authors = new Map<string, number>()
  /** Time of the stored param, by number of its address. */
  private readonly times = new Map<number, number>()
  private lastAddress = 0
  private lastAuthor = 0

  constructor(connection: SqliteConnection) {
    this.connection = connection
    const state = new StoredState(connection)
    for (const [id, text] of state.texts('addresses')) {
      this.addresses.set(text, id)
      this.lastAddress = id
    }
    for (const [id, text] of state.texts('authors')) {
      this.authors.set(text, id)
      this.lastAuthor = id
    }
    for (const { address, record } of state.params()) {
      // Of several numbers of one text that of the param counts.
      this.addresses.set(address, record.address)
      this.times.set(record.address, record.timestampUs)
    }
    if (state.isDamaged)
      throw new SqliteFailure('SQLITE_CORRUPT', 'rows are not what was written; start the router once to repair it')
    const [[lastSeq]] = connection.prepare('SELECT max(seq) FROM entries').all([]) as [[number | null]]
    this.writer = new TableWriter(connection, lastSeq ?? 0)
  }

  /** In one transaction. */
  add(lines: readonly ExportLine[]): void {
    this.connection.exec('BEGIN IMMEDIATE')
    try {
      for (const line of lines) this.line(line)
      this.connection.exec('COMMIT')
    } catch (error) {
      this.connection.exec('ROLLBACK')
      throw error
    }
  }

  close(): void {
    this.connection.close()
  }

  private line(line: ExportLine): void {
    const { code, bytes: value } = encoded(line.value)
    const { revision, timeUs: timestampUs } = line
    const address = this.addressId(line.address)
    const author = this.authorId(line.author)
    if (line.kind === 'entry') {
      const signal = SIGNALS.indexOf(line.signal)
      this.writer.entry({ address, author, signal, code, revision, timestampUs, value })
      this.counts.entries++
    } else if ((this.times.get(address) ?? -1) >= timestampUs) this.counts.olderParams++
    else {
      const { ttlMode, ttlMs } = line
      this.writer.param({
        address,
        author,
        code,
        isRemoved: false,
        revision,
        timestampUs,
        ttlMode,
        ttlMs,
        value,
        mark: null,
      })
      this.times.set(address, timestampUs)
      this.counts.params++
    }
  }

  private addressId(text: string): number {
    const known = this.addresses.get(text)
    if (known !== undefined) return known
    this.writer.address(++this.lastAddress, text)
    this.addresses.set(text, this.lastAddress)
    return this.lastAddress
  }

  private authorId(text: string): number {
    const known = this.authors.get(text)
    if (known !== undefined) return known
    this.writer.author(++this.lastAuthor, text)
    this.authors.set(text, this.lastAuthor)
    return this.lastAuthor
  }
}

/** In canonical form, as the router stores values. Throws an EncodeError for what has no encoding. */
function encoded(value: Value | null): { code: number; bytes: Uint8Array } {
  if (value === null) return { code: -1, bytes: new Uint8Array(0) }
  const writer = new Writer()
  writeValue(writer, value)
  const bytes = writer.finish()
  const code = ValueCode[value.type]
  return { code: canonicalCode(code), bytes: canonicalBytes(bytes, code, 0, bytes.length) }
}

/** undefined = no value of this type. */
function decoded(code: number, bytes: Uint8Array): Value | undefined {
  const reader = new Reader(bytes, 0, bytes.length)
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
