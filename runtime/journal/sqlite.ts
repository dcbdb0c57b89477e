import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** What binds to a parameter and comes out of a column. Integers are exact up to 2^53 − 1. */
export type SqlValue = number | string | Uint8Array | null
export type SqlRow = SqlValue[]

/** The part of a database library that the journal needs. Every call is synchronous and throws SqliteFailure. */
export interface SqliteConnection {
  /** One or several statements without parameters. */
  exec(sql: string): void
  prepare(sql: string): SqliteStatement
  /** The file is let go a little later when statements were prepared. */
  close(): void
}

export interface SqliteStatement {
  run(values: readonly SqlValue[]): void
  /** Rows as lists of columns; two columns of one name would become one. */
  all(values: readonly SqlValue[]): SqlRow[]
}

export interface Sqlite {
  readonly library: string
  open(path: string): SqliteConnection
}

export class SqliteFailure extends Error {
  /** Name of the primary or extended result code: SQLITE_FULL, SQLITE_IOERR_READ, … */
  readonly code: string

  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}

/** The first library that loads: `libsql`, or the one that newer Nodes bring. Rejects with what to install. */
export async function loadSqlite(): Promise<Sqlite> {
  try {
    return await loadLibsql()
  } catch (error) {
    const reason = (error as Error).message.split('\n')[0]
    const builtIn = await loadBuiltIn()
    if (builtIn !== null) return builtIn
    throw new SqliteFailure(
      'LIBRARY',
      `the package "libsql" cannot be loaded (${reason}): install it with "npm install libsql", or use Node 22.13 or newer`,
    )
  }
}

interface LibsqlStatement {
  raw(): LibsqlStatement
  run(values: readonly SqlValue[]): void
  all(values: readonly SqlValue[]): SqlRow[]
}

interface LibsqlDatabase {
  exec(sql: string): void
  prepare(sql: string): LibsqlStatement
  close(): void
}

async function loadLibsql(): Promise<Sqlite> {
  const module: { default: unknown } = await import('libsql')
  const Database = module.default as new (path: string) => LibsqlDatabase
  return {
    library: 'libsql',
    open(path) {
      const database = translated(() => new Database(path))
      return {
        exec: (sql) => translated(() => database.exec(sql)),
        prepare(sql) {
          const statement = translated(() => database.prepare(sql))
          // Only statements with columns can give them as lists.
          const reader = /^\s*(select|pragma|with)/i.test(sql) ? statement.raw() : statement
          // The list itself is the one argument: a lone Buffer as argument would abort the process.
          return {
            run: (values) => translated(() => statement.run(values)),
            all: (values) => translated(() => reader.all(values)),
          }
        },
        close() {
          database.close()
          // Its statements hold the file, and the space of a deleted one, until they are collected as garbage.
          setImmediate(collectGarbage)
        },
      }
    },
  }
}

/** Of this thread, at once. */
export function collectGarbage(): void {
  setFlagsFromString('--expose-gc')
  const collect: () => void = runInNewContext('gc')
  collect()
}

interface BuiltInDatabase {
  exec(sql: string): void
  prepare(sql: string): {
    run(...values: readonly SqlValue[]): unknown
    all(...values: readonly SqlValue[]): Record<string, SqlValue>[]
  }
  close(): void
}

/** Null where this Node has none. */
async function loadBuiltIn(): Promise<Sqlite | null> {
  // A name that the compiler cannot resolve: the types of the oldest supported Node do not have it.
  const name: string = 'node:sqlite'
  const module = (await import(name).catch(() => null)) as {
    DatabaseSync: new (path: string) => BuiltInDatabase
  } | null
  if (module === null) return null
  return {
    library: name,
    open(path) {
      const database = translated(() => new module.DatabaseSync(path))
      return {
        exec: (sql) => translated(() => database.exec(sql)),
        prepare(sql) {
          const statement = translated(() => database.prepare(sql))
          return {
            run: (values) => translated(() => statement.run(...values)),
            all: (values) => translated(() => statement.all(...values).map((row) => Object.values(row))),
          }
        },
        close: () => database.close(),
      }
    },
  }
}

function translated<T>(call: () => T): T {
  try {
    return call()
  } catch (error) {
    const { code, errcode, message } = error as Error & { code?: string; errcode?: number }
    if (code?.startsWith('SQLITE_')) throw new SqliteFailure(code, message)
    // libsql tells the number of a failed open only in the text, node:sqlite in a field.
    const number = errcode ?? Number(/: (\d+)"/.exec(message)?.[1])
    throw new SqliteFailure(RESULT_CODES[number & 0xff] ?? 'SQLITE_ERROR', message)
  }
}

/** Names of the primary result codes. Source: sqlite.org/rescode.html. */
const RESULT_CODES: Record<number, string> = {
  3: 'SQLITE_PERM',
  5: 'SQLITE_BUSY',
  6: 'SQLITE_LOCKED',
  7: 'SQLITE_NOMEM',
  8: 'SQLITE_READONLY',
  10: 'SQLITE_IOERR',
  11: 'SQLITE_CORRUPT',
  13: 'SQLITE_FULL',
  14: 'SQLITE_CANTOPEN',
  23: 'SQLITE_AUTH',
  26: 'SQLITE_NOTADB',
}
