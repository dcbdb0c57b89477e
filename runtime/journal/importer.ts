import { SIGNALS } from '../../firmware-protocol/wire/codes.ts'
import { ValueCode } from '../../firmware-protocol/wire/constants.ts'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import { canonicalBytes, canonicalCode } from '../../firmware-protocol/wire/value-bytes.ts'
import { writeValue } from '../../firmware-protocol/wire/value-codec.ts'
import { Writer } from '../../firmware-protocol/wire/writer.ts'
import type { ExportLine } from './export-line.ts'
import { type SqliteConnection, SqliteFailure } from './sqlite.ts'
import { StoredState } from './stored-state.ts'
import { TableWriter } from './table-writer.ts'

/** Adds exported lines to a database; addresses and authors keep the numbers they have there. */
export class Importer {
  readonly counts = { entries: 0, params: 0, olderParams: 0 }
  private readonly connection: SqliteConnection
  private readonly writer: TableWriter
  private readonly addresses = new Map<string, number>()
  private readonly authors = new Map<string, number>()
  /** Time and revision of the stored param, by number of its address. */
  private readonly times = new Map<number, number>()
  private readonly revisions = new Map<number, number>()
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
      this.revisions.set(record.address, record.revision)
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
      const known = this.revisions.get(address)
      this.writer.param({
        address,
        author,
        code,
        isRemoved: false,
        // Clients have seen the one that is there: it does not go back.
        revision: known === undefined ? revision : Math.max(revision, known + 1),
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
