import type { EntryRecord, ParamRecord } from './batch.ts'
import type { SqliteConnection } from './sqlite.ts'
import { isUnreadable } from './store-problem.ts'
import { decodeEntry, decodeParam, rowSum } from './stored-record.ts'
import { TableReader } from './table-reader.ts'
import { metaSum } from './table-writer.ts'

/** Name for a writer whose record is damaged: the value is worth more. */
const UNKNOWN_AUTHOR = 'unknown'

/**
 * Reads a database whatever state it is in: rows that cannot be read, or are not what was written, are left out and
 * counted in `lost`.
 */
export class StoredState {
  /** Rows that were there and are not good, by table; a gap counts as one, whatever it held. */
  readonly lost = { params: 0, entries: 0, events: 0, texts: 0, gaps: 0 }
  private readonly connection: SqliteConnection
  private readonly authorTexts = new Map<number, string>()
  private authorReader: ReturnType<SqliteConnection['prepare']> | null | undefined

  constructor(connection: SqliteConnection) {
    this.connection = connection
  }

  get isDamaged(): boolean {
    const { params, entries, events, texts, gaps } = this.lost
    return params + entries + events + texts + gaps > 0
  }

  *params(): Generator<{ address: string; record: ParamRecord }> {
    // A text that cannot be read makes its param useless, so the two are read as one row.
    const sql =
      'SELECT p.id, p.record, a.text, a.sum FROM params p LEFT JOIN addresses a ON a.id = p.id WHERE p.id >= ? ORDER BY p.id LIMIT ?'
    for (const [id, bytes, text, sum] of this.rows(sql)) {
      const record = typeof id === 'number' && bytes instanceof Uint8Array ? decodeParam(id, bytes) : null
      if (record === null || typeof text !== 'string' || sum !== rowSum(record.address, text)) this.lost.params++
      else yield { address: text, record }
    }
  }

  author(id: number): string {
    let text = this.authorTexts.get(id)
    if (text === undefined) {
      text = this.readAuthor(id)
      this.authorTexts.set(id, text)
    }
    return text
  }

  *texts(table: 'addresses' | 'authors'): Generator<[id: number, text: string]> {
    for (const [id, text, sum] of this.rows(`SELECT id, text, sum FROM ${table} WHERE id >= ? ORDER BY id LIMIT ?`)) {
      if (typeof id === 'number' && typeof text === 'string' && sum === rowSum(id, text)) yield [id, text]
      else this.lost.texts++
    }
  }

  *entries(after = 0): Generator<{ seq: number; record: EntryRecord }> {
    const sql = 'SELECT seq, address, time, record FROM entries WHERE seq >= ? ORDER BY seq LIMIT ?'
    for (const [seq, address, time, bytes] of this.rows(sql, { after, maxRows: 1000 })) {
      const isWhole = typeof address === 'number' && typeof time === 'number' && bytes instanceof Uint8Array
      const record = isWhole ? decodeEntry(seq as number, address, time, bytes) : null
      if (record === null) this.lost.entries++
      else yield { seq: seq as number, record }
    }
  }

  *events(): Generator<{ id: number; expiresAtUs: number; frame: Uint8Array }> {
    for (const [id, expires, frame, sum] of this.rows(
      'SELECT id, expires, frame, sum FROM events WHERE id >= ? ORDER BY id LIMIT ?',
      { maxRows: 500 },
    )) {
      const isWhole = typeof id === 'number' && typeof expires === 'number' && frame instanceof Uint8Array
      if (isWhole && sum === rowSum(id + expires, frame)) yield { id, expiresAtUs: expires, frame }
      else this.lost.events++
    }
  }

  metas(): Map<string, string> {
    const metas = new Map<string, string>()
    try {
      for (const [name, value, sum] of this.connection.prepare('SELECT name, value, sum FROM meta').all([])) {
        if (typeof name === 'string' && typeof value === 'string' && sum === metaSum(name, value))
          metas.set(name, value)
        else this.lost.texts++
      }
    } catch (error) {
      if (!isUnreadable(error)) throw error
      this.lost.gaps++
    }
    return metas
  }

  private *rows(sql: string, options: { after?: number; maxRows?: number } = {}) {
    const reader = new TableReader(this.connection, sql, options)
    for (let rows = reader.next(); rows !== null; rows = reader.next()) yield* rows
    this.lost.gaps += reader.gaps
  }

  private readAuthor(id: number): string {
    try {
      this.authorReader ??= this.connection.prepare('SELECT text, sum FROM authors WHERE id = ?')
      const [text, sum] = this.authorReader.all([id])[0] ?? []
      if (typeof text === 'string' && sum === rowSum(id, text)) return text
    } catch (error) {
      if (!isUnreadable(error)) throw error
    }
    this.lost.texts++
    return UNKNOWN_AUTHOR
  }
}
