import type { DatabaseFiles } from './database-files.ts'
import { type Sqlite, type SqliteConnection, SqliteFailure } from './sqlite.ts'
import { type LoadedState, loadState } from './state-loader.ts'

/**
 * Reads the state of a database on a medium that takes nothing, from a copy elsewhere where it does not even take the
 * index of the log. Null where that fails too.
 */
export function loadWithoutWriting(
  sqlite: Sqlite,
  files: DatabaseFiles,
  send: (batch: ArrayBuffer) => void,
): LoadedState | null {
  const loaded = loadFrom(sqlite, files.path, send)
  if (loaded !== null) return loaded
  const copy = files.copyElsewhere()
  try {
    return copy === null ? null : loadFrom(sqlite, copy.path, send)
  } finally {
    copy?.remove()
  }
}

function loadFrom(sqlite: Sqlite, path: string, send: (batch: ArrayBuffer) => void): LoadedState | null {
  let connection: SqliteConnection | null = null
  try {
    connection = sqlite.open(path)
    // Before anything is handed out: a database that cannot be opened would look like an empty one.
    connection.prepare('SELECT count(*) FROM sqlite_master').all([])
    return loadState(connection, send)
  } catch (error) {
    if (error instanceof SqliteFailure) return null
    throw error
  } finally {
    connection?.close()
  }
}
