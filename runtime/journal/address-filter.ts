import type { Pattern } from '../../firmware-protocol/wire/pattern.ts'
import type { SqliteConnection, SqliteStatement } from './sqlite.ts'

const PAGE_ROWS = 2000
/** Beyond this the database is not asked for single addresses any more. */
const MAX_LISTED = 200

/** The numbers of the addresses that a pattern matches, found page by page; addresses that are added later are found too. */
export class AddressFilter {
  private readonly pattern: Pattern
  private readonly candidates: SqliteStatement
  private readonly newest: SqliteStatement
  private readonly prefix: string
  private readonly ids = new Set<number>()
  private seenUpTo = -1
  /** Has seen every address once. */
  isComplete = false

  constructor(connection: SqliteConnection, pattern: Pattern) {
    this.pattern = pattern
    // `**` also matches no segment at all, and then there is no slash in front of it.
    this.prefix = pattern.text.split(/\/\*\*(?:\/|$)|\*/)[0]
    // What comes before the first wildcard is compared by the database; code points, as JavaScript's do not count.
    this.candidates = connection.prepare(
      'SELECT id, text FROM addresses WHERE id > ? AND substr(text, 1, ?) = ? ORDER BY id LIMIT ?',
    )
    this.newest = connection.prepare('SELECT max(id) FROM addresses')
  }

  get matchesAll(): boolean {
    return this.pattern.text === '/**'
  }

  /** Looks at the next addresses; false = there are more. */
  extend(): boolean {
    if (this.matchesAll) return true
    const [[newest]] = this.newest.all([]) as [[number | null]]
    if (newest === null || newest <= this.seenUpTo) {
      this.isComplete = true
      return true
    }
    const rows = this.candidates.all([this.seenUpTo, [...this.prefix].length, this.prefix, PAGE_ROWS]) as [
      number,
      string,
    ][]
    for (const [id, text] of rows) if (this.pattern.matches(text)) this.ids.add(id)
    const isAtEnd = rows.length < PAGE_ROWS
    this.seenUpTo = isAtEnd ? newest : rows[rows.length - 1][0]
    this.isComplete ||= isAtEnd
    return isAtEnd
  }

  has(id: number): boolean {
    return this.matchesAll || this.ids.has(id)
  }

  /** Nothing matches. */
  get isEmpty(): boolean {
    return !this.matchesAll && this.ids.size === 0
  }

  /** A condition for the database, empty where there are too many. */
  condition(): string {
    if (this.matchesAll || this.ids.size > MAX_LISTED) return ''
    return `AND address IN (${[...this.ids].join(', ')})`
  }
}
