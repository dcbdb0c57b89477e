import { SIGNALS } from '../../firmware-protocol/wire/codes.ts'
import { Pattern } from '../../firmware-protocol/wire/pattern.ts'
import type { Clock } from '../router/clock.ts'
import { AddressFilter } from './address-filter.ts'
import { BatchWriter } from './batch.ts'
import type { HistoryQuery } from './messages.ts'
import type { SqliteConnection, SqliteStatement } from './sqlite.ts'
import { decodeEntry, rowSum } from './stored-record.ts'
import type { TimeBlocks } from './time-blocks.ts'

const MAX_PAGE_BYTES = 65_536
/** Rows asked for at once; a row may have 64 KiB. */
const MAX_ROWS = 256
/** A page that finds little comes back empty after this long, so that commits get in between. */
const MAX_SEARCH_MS = 20
const MAX_FILTERS = 8

export interface HistoryPage {
  batch: ArrayBuffer
  seqs: number[]
  lastSeq: number
  isLast: boolean
  problem?: string
}

/** Pages of history by pattern, kind and time, in the order of seq. */
export class HistoryPages {
  private readonly connection: SqliteConnection
  private readonly blocks: TimeBlocks
  private readonly clock: Clock
  private readonly texts: Record<'addresses' | 'authors', SqliteStatement>
  /** By pattern; the one used last goes last. */
  private readonly filters = new Map<string, AddressFilter>()

  constructor(connection: SqliteConnection, blocks: TimeBlocks, clock: Clock) {
    this.connection = connection
    this.blocks = blocks
    this.clock = clock
    this.texts = {
      addresses: connection.prepare('SELECT text, sum FROM addresses WHERE id = ?'),
      authors: connection.prepare('SELECT text, sum FROM authors WHERE id = ?'),
    }
  }

  /** Throws SqliteFailure. `newestSeq` = of the whole history. */
  page(query: HistoryQuery, afterSeq: number, maxEntries: number, newestSeq: number): HistoryPage {
    const pattern = Pattern.parse(query.pattern)
    if (typeof pattern === 'string') return { ...empty(afterSeq, true), problem: pattern }
    const deadline = this.clock.now() + MAX_SEARCH_MS
    const filter = this.filter(pattern)
    while (!filter.extend()) if (this.clock.now() >= deadline) return empty(afterSeq, false)
    if (filter.isEmpty) return empty(newestSeq, true)
    const page = new PageBuilder(this.texts)
    const rowsOf = this.connection.prepare(
      `SELECT seq, address, time, record FROM entries
       WHERE seq > ? AND seq <= ? AND time >= ? AND time <= ? ${filter.condition()} ORDER BY seq LIMIT ${MAX_ROWS}`,
    )
    const signals = new Set(query.types.map((type) => (SIGNALS as readonly string[]).indexOf(type)))
    let seq = Math.max(afterSeq, this.firstSeq() - 1)
    while (seq < newestSeq) {
      const block = this.blocks.around(seq + 1, query.fromUs, query.toUs)
      const rows = block.mayMatch ? rowsOf.all([seq, block.lastSeq, query.fromUs, query.toUs]) : []
      for (const [number, address, time, bytes] of rows as [number, number, number, Uint8Array][]) {
        seq = number
        if (!filter.has(address)) continue
        page.add(seq, address, time, bytes, signals)
        if (page.seqs.length >= maxEntries || page.size >= MAX_PAGE_BYTES) return page.finish(seq, seq >= newestSeq)
      }
      if (rows.length < MAX_ROWS) seq = block.lastSeq
      if (this.clock.now() >= deadline) break
    }
    return page.finish(Math.min(seq, newestSeq), seq >= newestSeq)
  }

  private firstSeq(): number {
    const [[first]] = this.connection.prepare('SELECT min(seq) FROM entries').all([]) as [[number | null]]
    return first ?? 1
  }

  private filter(pattern: Pattern): AddressFilter {
    const filter = this.filters.get(pattern.text) ?? new AddressFilter(this.connection, pattern)
    this.filters.delete(pattern.text)
    this.filters.set(pattern.text, filter)
    for (const [oldest, { isComplete }] of this.filters) {
      if (this.filters.size <= MAX_FILTERS) break
      // Those that are still being made would be made anew for ever.
      if (isComplete) this.filters.delete(oldest)
    }
    return filter
  }
}

class PageBuilder {
  readonly seqs: number[] = []
  private readonly batch = new BatchWriter()
  private readonly texts: Record<'addresses' | 'authors', SqliteStatement>
  private readonly addresses = new Map<number, boolean>()
  private readonly authors = new Map<number, boolean>()
  private damaged = 0

  constructor(texts: Record<'addresses' | 'authors', SqliteStatement>) {
    this.texts = texts
  }

  get size(): number {
    return this.batch.size
  }

  /** `signals` empty = all. */
  add(seq: number, address: number, time: number, bytes: Uint8Array, signals: ReadonlySet<number>): void {
    const record = decodeEntry(seq, address, time, bytes)
    if (record === null) {
      this.damaged++
      return
    }
    if (signals.size > 0 && !signals.has(record.signal)) return
    if (!this.name('addresses', record.address)) {
      this.damaged++
      return
    }
    this.name('authors', record.author)
    this.seqs.push(seq)
    const { author, signal, code, revision, value } = record
    this.batch.entry(address, author, signal, code, revision, time, value, 0, value.length)
  }

  finish(lastSeq: number, isLast: boolean): HistoryPage {
    const page: HistoryPage = { batch: this.batch.take(), seqs: this.seqs, lastSeq, isLast }
    if (this.damaged > 0) page.problem = `${this.damaged} damaged entries up to number ${lastSeq} were left out`
    return page
  }

  /** Puts the text into the page, once. False when it is damaged or missing; a writer gets an empty name then. */
  private name(table: 'addresses' | 'authors', id: number): boolean {
    const known = table === 'addresses' ? this.addresses : this.authors
    const isKnown = known.get(id)
    if (isKnown !== undefined) return isKnown
    const [text, sum] = this.texts[table].all([id])[0] ?? []
    const isGood = typeof text === 'string' && sum === rowSum(id, text)
    known.set(id, isGood)
    if (table === 'authors') this.batch.author(id, isGood ? text : '')
    else if (isGood) this.batch.address(id, text)
    return isGood
  }
}

function empty(lastSeq: number, isLast: boolean): HistoryPage {
  return { batch: new ArrayBuffer(0), seqs: [], lastSeq, isLast }
}
