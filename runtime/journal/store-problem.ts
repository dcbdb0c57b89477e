import { accessSync, constants, existsSync } from 'node:fs'
import { dirname } from 'node:path'
import type { StoreProblem } from './messages.ts'
import { SqliteFailure } from './sqlite.ts'

/** What failed, as kind and words for the operator; `folder` is where the database is. */
export function problemOf(error: unknown, folder: string): StoreProblem {
  const code = error instanceof SqliteFailure ? error.code : ((error as NodeJS.ErrnoException).code ?? '')
  const message = error instanceof Error ? error.message : String(error)
  if (code === 'LIBRARY') return { kind: 'library', words: message }
  if (code === 'OWNED') return { kind: 'busy', words: message }
  if (code === 'GONE')
    return {
      kind: 'gone',
      words: `${folder}/journal.db was deleted while in use: a new one is made of the state in memory`,
    }
  // SQLite says only that it cannot open or write a file; the folder tells why.
  const kind = kindOf(/^(SQLITE_(CANTOPEN|IOERR)|ENOENT)/.test(code) ? (folderProblem(folder) ?? code) : code)
  if (/^(ENOTDIR|EEXIST)$/.test(code))
    return { kind: 'io', words: `${folder} is not a folder, or is below a file: name another one as journal.folder` }
  switch (kind) {
    case 'full':
      return { kind, words: `no space left in ${folder}: free some, or give the journal another folder` }
    case 'read-only':
      return {
        kind,
        words: `${folder} is read-only: mount it writable ("dmesg" tells why it is not), or give the journal another folder`,
      }
    case 'permission':
      return { kind, words: `not allowed to write in ${folder}: make it belong to the user of this process` }
    case 'corrupt':
      return {
        kind,
        words: `the database in ${folder} is damaged (${message}): what can be read is recovered at the next opening`,
      }
    case 'busy':
      return {
        kind,
        words: `the database in ${folder} is locked by another process: "fuser ${folder}/journal.db" shows which; stop it`,
      }
    default:
      return {
        kind: 'io',
        words: `the medium of ${folder} fails (${code === '' ? message : code}): look at "dmesg", replace the medium`,
      }
  }
}

/** True for what is read from a damaged file or a failing sector: the rest of the file may still be good. */
export function isUnreadable(error: unknown): boolean {
  if (!(error instanceof SqliteFailure)) return false
  return /^SQLITE_(CORRUPT|NOTADB|IOERR$|IOERR_READ|IOERR_SHORT_READ|ERROR$|FORMAT)/.test(error.code)
}

/** Why nothing can be written in the folder, or made where it should be. */
function folderProblem(folder: string): string | undefined {
  try {
    accessSync(existsSync(folder) ? folder : dirname(folder), constants.W_OK | constants.X_OK)
    return undefined
  } catch (error) {
    return (error as NodeJS.ErrnoException).code
  }
}

function kindOf(code: string): StoreProblem['kind'] {
  if (/^SQLITE_FULL|^ENOSPC|^EDQUOT|^SQLITE_IOERR_SHMSIZE/.test(code)) return 'full'
  if (/^SQLITE_READONLY|^EROFS/.test(code)) return 'read-only'
  if (/^EACCES|^EPERM|^SQLITE_PERM|^SQLITE_AUTH/.test(code)) return 'permission'
  if (/^SQLITE_CORRUPT|^SQLITE_NOTADB/.test(code)) return 'corrupt'
  if (/^SQLITE_BUSY|^SQLITE_LOCKED/.test(code)) return 'busy'
  return 'io'
}
