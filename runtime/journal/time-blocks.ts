import type { SqliteConnection, SqliteStatement } from './sqlite.ts'
import { keySum } from './stored-record.ts'

const BLOCK_ENTRIES = 4096

interface Span {
  oldestUs: number
  newestUs: number
}

/** A block of which nothing is known may hold any time. */
const UNKNOWN: Span = { oldestUs: -Infinity, newestUs: Infinity }

/**
 * Earliest and latest time of each 4096 entries, so that a range of time is found without an index and whatever the wall
 * clock did: one small row for a complete block, the last block is kept in memory. A span may be too wide, never too narrow.
 */
export class TimeBlocks {
  private readonly spans = new Map<number, Span>()
  private readonly unstored = new Set<number>()
  private readonly insert: SqliteStatement
  private last = 0

  constructor(connection: SqliteConnection, lastSeq: number) {
    for (const [id, oldestUs, newestUs, sum] of connection
      .prepare('SELECT id, oldest, newest, sum FROM blocks')
      .all([]) as number[][])
      if (sum === keySum(id, oldestUs, newestUs)) this.spans.set(id, { oldestUs, newestUs })
    this.last = blockOf(lastSeq)
    this.spans.delete(this.last)
    const [oldestUs, newestUs] = connection
      .prepare('SELECT min(time), max(time) FROM entries WHERE seq >= ?')
      .all([this.last * BLOCK_ENTRIES])[0] as (number | null)[]
    if (oldestUs !== null && newestUs !== null) this.spans.set(this.last, { oldestUs, newestUs })
    this.insert = connection.prepare('INSERT OR REPLACE INTO blocks (id, oldest, newest, sum) VALUES (?, ?, ?, ?)')
  }

  /** An entry is being stored. */
  add(seq: number, timeUs: number): void {
    const block = blockOf(seq)
    if (block !== this.last) {
      this.unstored.add(this.last)
      this.last = block
      if (!this.spans.has(block)) this.spans.set(block, { oldestUs: timeUs, newestUs: timeUs })
    }
    const span = this.spans.get(block)
    if (span === undefined) this.spans.set(block, { oldestUs: timeUs, newestUs: timeUs })
    else {
      span.oldestUs = Math.min(span.oldestUs, timeUs)
      span.newestUs = Math.max(span.newestUs, timeUs)
    }
  }

  /** Writes the blocks that were completed, inside the transaction that completes them. */
  store(): void {
    for (const id of this.unstored) {
      const span = this.spans.get(id)
      if (span !== undefined)
        this.insert.run([id, span.oldestUs, span.newestUs, keySum(id, span.oldestUs, span.newestUs)])
    }
  }

  committed(): void {
    this.unstored.clear()
  }

  /** The last seq of the block that `seq` is in, and whether a time in the range may be in it. */
  around(seq: number, fromUs: number, toUs: number): { lastSeq: number; mayMatch: boolean } {
    const block = blockOf(seq)
    const span = this.spans.get(block) ?? UNKNOWN
    return { lastSeq: (block + 1) * BLOCK_ENTRIES - 1, mayMatch: span.oldestUs <= toUs && span.newestUs >= fromUs }
  }

  /** Of all entries; 0 = none. */
  range(): Span {
    let oldestUs = Infinity
    let newestUs = 0
    for (const span of this.spans.values()) {
      oldestUs = Math.min(oldestUs, span.oldestUs)
      newestUs = Math.max(newestUs, span.newestUs)
    }
    return { oldestUs: oldestUs === Infinity ? 0 : oldestUs, newestUs }
  }

  /** Entries up to `seq` are gone: forgets the blocks that are wholly among them. */
  forget(connection: SqliteConnection, seq: number): void {
    const block = blockOf(seq + 1)
    for (const id of this.spans.keys()) if (id < block) this.spans.delete(id)
    connection.exec(`DELETE FROM blocks WHERE id < ${block}`)
  }
}

function blockOf(seq: number): number {
  return Math.floor(seq / BLOCK_ENTRIES)
}
