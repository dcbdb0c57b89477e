import type { Clock } from '../router/clock.ts'
import { readBatch } from './batch.ts'
import type { DatabaseFiles } from './database-files.ts'
import { type HistoryPage, HistoryPages } from './history-pages.ts'
import type { HistoryQuery, JournalStats, Retention } from './messages.ts'
import { hasManyOrphans, removeOrphans } from './orphans.ts'
import { Retainer } from './retention.ts'
import { PAGE_BYTES } from './schema.ts'
import type { SqliteConnection } from './sqlite.ts'
import { TableWriter } from './table-writer.ts'
import { TimeBlocks } from './time-blocks.ts'
import type { WriteMeter } from './write-meter.ts'

/** The log goes back into the database at this length: the longer, the more often a page was overwritten in the meantime. */
const CHECKPOINT_FRAMES = 1000
/** The log takes at most this part of the size that the journal may have. */
const LOG_SHARE = 8
/** A reader may keep the log from being emptied: it is tried again after so many more. */
const CHECKPOINT_RETRY_FRAMES = 500
/** Others may only read; what a tool might write is waited for. */
const BUSY_MS = 2000

/** A healthy database that can be written to. Every call throws SqliteFailure; after that it is of no use any more. */
export class OpenDatabase {
  readonly retainer: Retainer
  readonly meter: WriteMeter
  private readonly connection: SqliteConnection
  private readonly files: DatabaseFiles
  private readonly inode: number
  private readonly writer: TableWriter
  private readonly blocks: TimeBlocks
  private readonly pages: HistoryPages
  private readonly clock: Clock
  private readonly maxFrames: number
  private checkpointAt: number
  private storedForgotten = 0

  constructor(
    connection: SqliteConnection,
    files: DatabaseFiles,
    retention: Retention,
    clock: Clock,
    meter: WriteMeter,
  ) {
    this.connection = connection
    this.files = files
    this.clock = clock
    this.meter = meter
    this.inode = files.inode()
    const maxFrames =
      retention.maxBytes > 0 ? Math.ceil(retention.maxBytes / LOG_SHARE / PAGE_BYTES) : CHECKPOINT_FRAMES
    this.maxFrames = Math.min(CHECKPOINT_FRAMES, maxFrames)
    this.checkpointAt = this.maxFrames
    this.writer = new TableWriter(connection, this.number('SELECT max(seq) FROM entries'))
    this.blocks = new TimeBlocks(connection, this.writer.lastSeq)
    this.pages = new HistoryPages(connection, this.blocks, clock)
    this.retainer = new Retainer(connection, retention, this.blocks)
    this.writer.onEntry = (seq, timeUs) => this.blocks.add(seq, timeUs)
    this.writer.onParam = (record) => this.retainer.onParam(record)
  }

  /** Sets up a connection for writing. */
  static configure(connection: SqliteConnection): void {
    connection.exec(`PRAGMA busy_timeout = ${BUSY_MS}`)
    connection.exec('PRAGMA journal_mode = WAL')
    connection.exec('PRAGMA synchronous = FULL')
    connection.exec('PRAGMA wal_autocheckpoint = 0')
  }

  get lastSeq(): number {
    return this.writer.lastSeq
  }

  /** By number: what a damage took out of the middle is counted too. */
  get entries(): number {
    const first = this.number('SELECT min(seq) FROM entries')
    return first === 0 ? 0 : this.lastSeq - first + 1
  }

  /** The number for the next new address or author. */
  nextId(table: 'addresses' | 'authors'): number {
    return this.number(`SELECT max(id) FROM ${table}`) + 1
  }

  /** The database has been deleted or replaced: what is written goes nowhere. */
  get isGone(): boolean {
    return this.files.inode() !== this.inode
  }

  /** Stores a batch, flushed when this returns. */
  commit(batch: ArrayBuffer): void {
    this.inTransaction(() => {
      readBatch(batch, this.writer)
      this.blocks.store()
    })
    this.blocks.committed()
  }

  setMeta(values: Readonly<Record<string, string>>): void {
    this.inTransaction(() => {
      for (const [name, value] of Object.entries(values)) this.writer.meta(name, value)
    })
  }

  /** Writes the log back when it has become long. */
  checkpointIfDue(): void {
    if (this.meter.frames < this.checkpointAt) return
    this.checkpoint()
    this.checkpointAt = this.meter.frames === 0 ? this.maxFrames : this.meter.frames + CHECKPOINT_RETRY_FRAMES
  }

  /** One slice of retention; true = there may be more. */
  retain(): boolean {
    let isMore = false
    this.inTransaction(() => {
      isMore = this.retainer.slice(this.clock.wallUs(), this.lastSeq, this.files.logSize())
      const { forgottenRevision } = this.retainer
      if (forgottenRevision > this.storedForgotten) this.writer.meta('forgotten', String(forgottenRevision))
    })
    this.storedForgotten = this.retainer.forgottenRevision
    return isMore
  }

  /** Texts that nothing names any more; only while no number is in use outside. `named` = those that params name. */
  removeOrphans(named: number): void {
    if (hasManyOrphans(this.connection, named, this.entries)) this.inTransaction(() => removeOrphans(this.connection))
  }

  page(query: HistoryQuery, afterSeq: number, maxEntries: number): HistoryPage {
    return this.pages.page(query, afterSeq, maxEntries, this.lastSeq)
  }

  stats(): JournalStats {
    const tombstones = this.retainer.tombstoneCount
    const { oldestUs, newestUs } = this.blocks.range()
    return {
      entries: this.entries,
      params: this.number('SELECT count(*) FROM params') - tombstones,
      tombstones,
      events: this.number('SELECT count(*) FROM events'),
      firstSeq: this.number('SELECT min(seq) FROM entries'),
      lastSeq: this.lastSeq,
      oldestUs,
      newestUs,
      fileBytes: this.files.size(),
      freeBytes: this.number('PRAGMA freelist_count') * PAGE_BYTES,
    }
  }

  /** Marks a clean stop and writes the log back. */
  finish(): void {
    this.setMeta({ clean: '1' })
    this.checkpoint()
  }

  close(): void {
    this.connection.close()
  }

  private checkpoint(): void {
    this.meter.beforeCheckpoint()
    // Readers are not waited for.
    this.connection.exec('PRAGMA busy_timeout = 0')
    this.connection.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    this.connection.exec(`PRAGMA busy_timeout = ${BUSY_MS}`)
    this.meter.afterCheckpoint()
  }

  private inTransaction(work: () => void): void {
    this.connection.exec('BEGIN IMMEDIATE')
    try {
      work()
      this.connection.exec('COMMIT')
    } catch (error) {
      rollBack(this.connection)
      throw error
    }
    this.meter.afterCommit()
  }

  private number(sql: string): number {
    return (this.connection.prepare(sql).all([])[0][0] as number | null) ?? 0
  }
}

/** SQLite has rolled back by itself after some failures. */
function rollBack(connection: SqliteConnection): void {
  try {
    connection.exec('ROLLBACK')
  } catch {}
}
