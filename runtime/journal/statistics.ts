/**
 * What the journal tells of itself. `durable`: everything is stored as promised; `sparing`: the write budget is used up,
 * and what no rule promises waits longer; `repaired`: durable, after a damaged database was moved aside at the start;
 * `memory`: nothing can be stored for now.
 */
export type JournalState = 'durable' | 'sparing' | 'repaired' | 'memory'

export interface JournalStatistics {
  state: JournalState
  /** When this state began, µs of the wall clock. */
  sinceUs: number
  /** Why, for an operator; empty when all is well. */
  reason: string
  /** How long a change of an address without a rule may wait for the medium; null = as long as the state is `memory`. */
  durableWithinMs: number | null
  /** In the database, as of its last report. */
  params: number
  tombstones: number
  entries: number
  fileBytes: number
  /** Params that came back at the start. */
  restored: number
  /** Params and entries that wait for a commit. */
  pendingParams: number
  pendingEntries: number
  queueBytes: number
  /** Stored since the start; whether one is under way. */
  commits: number
  isCommitting: boolean
  lastCommitMs: number
  /** Since the start; `bytesToday` since midnight UTC, if that was later. */
  bytesWritten: number
  bytesToday: number
  /** States that were not written because the database had them already. */
  unchanged: number
  /** Messages without an entry of their own, by the rules or for the write budget. */
  thinned: number
  /** Entries that a database that was away did not get, because too many waited. */
  lost: number
  /** Where a damaged database was moved; empty = there was none. */
  movedTo: string
}
