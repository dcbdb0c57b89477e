import type { SqliteConnection } from './sqlite.ts'

/** Below this they are not worth reading the history for. */
const MIN_ORPHANS = 2000
const PAGE_ROWS = 5000
const DELETE_ROWS = 500

/** Whether there must be texts that neither a param nor an entry names: each entry names at most two. */
export function hasManyOrphans(connection: SqliteConnection, named: number, entries: number): boolean {
  const [[texts]] = connection
    .prepare('SELECT (SELECT count(*) FROM addresses) + (SELECT count(*) FROM authors)')
    .all([]) as [[number]]
  return texts - named > MIN_ORPHANS + entries / 2
}

/** Deletes addresses and authors that nothing names, inside the caller's transaction. */
export function removeOrphans(connection: SqliteConnection): void {
  const addresses = connection.prepare('SELECT id FROM params UNION SELECT DISTINCT address FROM entries').all([])
  remove(connection, 'addresses', new Set(addresses.map(([id]) => id as number)))
  // A packed record begins with the number of its author.
  const authors = connection
    .prepare('SELECT substr(record, 1, 4) FROM params UNION SELECT DISTINCT substr(record, 1, 4) FROM entries')
    .all([]) as [Uint8Array][]
  const number = ([bytes]: [Uint8Array]) => new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true)
  remove(connection, 'authors', new Set(authors.map(number)))
}

function remove(connection: SqliteConnection, table: 'addresses' | 'authors', named: ReadonlySet<number>): void {
  const page = connection.prepare(`SELECT id FROM ${table} WHERE id > ? ORDER BY id LIMIT ${PAGE_ROWS}`)
  let rows = page.all([-1]) as [number][]
  while (rows.length > 0) {
    const orphans = rows.map(([id]) => id).filter((id) => !named.has(id))
    for (let i = 0; i < orphans.length; i += DELETE_ROWS)
      connection.exec(`DELETE FROM ${table} WHERE id IN (${orphans.slice(i, i + DELETE_ROWS).join(', ')})`)
    rows = page.all([rows[rows.length - 1][0]]) as [number][]
  }
}
