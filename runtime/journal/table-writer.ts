import type { BatchVisitor, EntryRecord, ParamRecord } from './batch.ts'
import type { SqliteConnection, SqliteStatement } from './sqlite.ts'
import { encodeEntry, encodeParam, rowSum } from './stored-record.ts'

/** Writes the records of a batch into the tables; the caller begins and commits. Throws SqliteFailure. */
export class TableWriter implements BatchVisitor {
  /** Told of every entry with its number, and of every param. */
  onEntry: (seq: number, timeUs: number) => void = () => {}
  onParam: (record: ParamRecord) => void = () => {}
  /** The next entry gets the number behind it. */
  lastSeq: number
  private readonly addresses: SqliteStatement
  private readonly authors: SqliteStatement
  private readonly params: SqliteStatement
  private readonly entries: SqliteStatement
  private readonly events: SqliteStatement
  private readonly eventsDone: SqliteStatement
  private readonly metas: SqliteStatement

  constructor(connection: SqliteConnection, lastSeq: number) {
    this.lastSeq = lastSeq
    this.addresses = connection.prepare('INSERT OR REPLACE INTO addresses (id, text, sum) VALUES (?, ?, ?)')
    this.authors = connection.prepare('INSERT OR REPLACE INTO authors (id, text, sum) VALUES (?, ?, ?)')
    this.params = connection.prepare('INSERT OR REPLACE INTO params (id, record) VALUES (?, ?)')
    this.entries = connection.prepare('INSERT OR REPLACE INTO entries (seq, address, time, record) VALUES (?, ?, ?, ?)')
    this.events = connection.prepare('INSERT OR REPLACE INTO events (id, expires, frame, sum) VALUES (?, ?, ?, ?)')
    this.eventsDone = connection.prepare('DELETE FROM events WHERE id = ?')
    this.metas = connection.prepare('INSERT OR REPLACE INTO meta (name, value, sum) VALUES (?, ?, ?)')
  }

  address(id: number, text: string): void {
    this.addresses.run([id, text, rowSum(id, text)])
  }

  author(id: number, text: string): void {
    this.authors.run([id, text, rowSum(id, text)])
  }

  param(record: ParamRecord): void {
    this.params.run([record.address, encodeParam(record.address, record)])
    this.onParam(record)
  }

  entry(record: EntryRecord): void {
    this.entryAt(this.lastSeq + 1, record)
  }

  /** An entry that has its number: `seq` is above the last one. */
  entryAt(seq: number, record: EntryRecord): void {
    this.lastSeq = seq
    this.entries.run([seq, record.address, record.timestampUs, encodeEntry(seq, record)])
    this.onEntry(seq, record.timestampUs)
  }

  event(id: number, expiresAtUs: number, frame: Uint8Array): void {
    this.events.run([id, expiresAtUs, frame, rowSum(id + expiresAtUs, frame)])
  }

  eventDone(id: number): void {
    this.eventsDone.run([id])
  }

  meta(name: string, value: string): void {
    this.metas.run([name, value, metaSum(name, value)])
  }
}

export function metaSum(name: string, value: string): number {
  return rowSum(name.length, `${name}\n${value}`)
}
