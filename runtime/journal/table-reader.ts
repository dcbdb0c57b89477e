import type { SqliteConnection, SqliteStatement, SqlRow } from './sqlite.ts'
import { isUnreadable } from './store-problem.ts'

const PAGE_ROWS = 5000
/** A leaf holds more rows than this: no intact one between two damaged ones is jumped over … */
const STEP = 8
/** … in the first so many steps; then they double. */
const EVEN_STEPS = 512

/**
 * Reads a table in the order of its integer key, around pages that cannot be read. `sql` selects the key as first
 * column, where `key >= ?`, in ascending order, at most `?` rows.
 */
export class TableReader {
  /** Places that could not be read. */
  gaps = 0
  private readonly statement: SqliteStatement | null
  private readonly lastKey: number
  private readonly maxRows: number
  private after: number
  private rows: number

  constructor(
    connection: SqliteConnection,
    sql: string,
    { after = -1, lastKey = Number.MAX_SAFE_INTEGER, maxRows = PAGE_ROWS } = {},
  ) {
    this.after = after
    this.lastKey = lastKey
    this.maxRows = maxRows
    this.rows = maxRows
    this.statement = this.prepared(connection, sql)
  }

  /** The next rows, at least one; null at the end. Throws only what is not damage. */
  next(): SqlRow[] | null {
    while (this.statement !== null && this.after < this.lastKey) {
      const rows = this.attempt(this.after, this.rows)
      if (rows !== null) {
        if (rows.length === 0) return null
        this.after = rows[rows.length - 1][0] as number
        this.rows = Math.min(this.maxRows, this.rows * 2)
        return rows
      }
      if (this.rows > 1) this.rows = this.rows >> 1
      else if (!this.jump()) return null
    }
    return null
  }

  /** Finds the next key from which on there is something to read again; false at the end of the table. */
  private jump(): boolean {
    this.gaps++
    let bad = this.after
    let step = STEP
    for (let steps = 0; bad + step <= this.lastKey; steps++) {
      if (steps >= EVEN_STEPS) step *= 2
      let good = bad + step
      if (this.attempt(good, 1) === null) {
        bad = good
        continue
      }
      while (good - bad > 1) {
        const middle = bad + Math.floor((good - bad) / 2)
        if (this.attempt(middle, 1) === null) bad = middle
        else good = middle
      }
      this.after = good
      return true
    }
    this.after = this.lastKey
    return false
  }

  private attempt(after: number, rows: number): SqlRow[] | null {
    try {
      return this.statement?.all([after + 1, rows]) ?? null
    } catch (error) {
      if (isUnreadable(error)) return null
      throw error
    }
  }

  private prepared(connection: SqliteConnection, sql: string): SqliteStatement | null {
    try {
      return connection.prepare(sql)
    } catch (error) {
      if (!isUnreadable(error)) throw error
      this.gaps++
      return null
    }
  }
}
