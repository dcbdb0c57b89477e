/** Between the router's thread (`recorder.ts`) and the thread that owns the database (`journal-worker.ts`). */

export interface Retention {
  /** Entries older than this are forgotten; 0 = kept. */
  maxAgeMs: number
  /** 0 = unlimited. */
  maxEntries: number
  /** Size of the database file with its log; 0 = unlimited. History gives way, the state never does. */
  maxBytes: number
}

/** The worker's start-up data. */
export interface JournalFile {
  /** Folder of the database `journal.db`; it is created when missing. */
  folder: string
  retention: Retention
}

export type ToWorker =
  /** (Re)opens the database: at the start, and while it cannot be written to every so often. */
  | { type: 'open' }
  /**
   * One transaction, flushed to the medium before `committed` (synchronous=FULL). Addresses and authors come before the
   * records that name them, once for each opened database.
   */
  | { type: 'commit'; id: number; batch: ArrayBuffer }
  /** The next page of history, at most `maxEntries` matching entries or 64 KiB, after `afterSeq`. */
  | { type: 'replay'; id: number; query: HistoryQuery; afterSeq: number; maxEntries: number }
  | { type: 'stats'; id: number }
  /** Deletes what retention no longer keeps, in slices between commits. The worker also does so by itself every minute. */
  | { type: 'retain' }
  /** Marks the state as complete (a clean stop), writes the log back and closes. */
  | { type: 'close' }

export interface HistoryQuery {
  pattern: string
  /** Signal names; empty = all. */
  types: string[]
  fromUs: number
  toUs: number
}

export type FromWorker =
  /** The stored state: batches of address, author, param, event and meta records (tombstones included), then `opened`. */
  | { type: 'stored'; batch: ArrayBuffer }
  | { type: 'opened'; summary: OpenSummary }
  /**
   * Could not be opened, or is of no use any more (deleted, damaged): the disk is full, read-only, not permitted, or the
   * database library is missing. Ask for `open` again.
   */
  | { type: 'unavailable'; problem: StoreProblem }
  /**
   * `bytes` = what was written to files since the last report, in whole file-system pages: for this commit, and for
   * checkpoints and retention before it.
   */
  | { type: 'committed'; id: number; bytes: number }
  /** Nothing of this batch is stored. The worker takes no commits until the next `open`. */
  | { type: 'failed'; id: number; problem: StoreProblem }
  /** A page as a batch of address, author and entry records; `lastSeq` = where the next page begins; `isLast` = no more. */
  | {
      type: 'page'
      id: number
      batch: ArrayBuffer
      seqs: Float64Array
      lastSeq: number
      isLast: boolean
      problem?: string
    }
  | { type: 'stats'; id: number; stats: JournalStats }
  | { type: 'closed' }

export interface OpenSummary {
  params: number
  tombstones: number
  entries: number
  lastSeq: number
  /** Ids that the next new address, author and event get. */
  nextAddress: number
  nextAuthor: number
  nextEvent: number
  /** The last stop was not a clean one (also true for a database that was repaired). */
  wasCrash: boolean
  /** Counts crashes: revisions of this start begin above `era * 2^32` where they were not stored. */
  era: number
  /** A damaged database was moved here; absent when all was well. */
  movedTo?: string
  /** Of the damaged one. */
  recovered?: { params: number; entries: number; events: number; lost: string }
  /** Bytes that opening wrote. */
  bytes: number
  /** The stored state came back, but nothing can be written: as `unavailable`. */
  problem?: StoreProblem
}

export interface StoreProblem {
  kind: 'full' | 'read-only' | 'permission' | 'io' | 'gone' | 'corrupt' | 'library' | 'busy'
  /** For the operator: what happened, where, what to do. */
  words: string
}

export interface JournalStats {
  entries: number
  params: number
  tombstones: number
  events: number
  firstSeq: number
  lastSeq: number
  /** µs; 0 = none. */
  oldestUs: number
  newestUs: number
  /** Database and its log. */
  fileBytes: number
  freeBytes: number
}

/** Of a database that is not there. */
export const NO_STATS: JournalStats = {
  entries: 0,
  params: 0,
  tombstones: 0,
  events: 0,
  firstSeq: 0,
  lastSeq: 0,
  oldestUs: 0,
  newestUs: 0,
  fileBytes: 0,
  freeBytes: 0,
}
