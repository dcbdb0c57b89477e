import type { ParamRecord } from './batch.ts'
import type { Retention } from './messages.ts'
import { PAGE_BYTES } from './schema.ts'
import type { SqliteConnection } from './sqlite.ts'
import type { TimeBlocks } from './time-blocks.ts'

/** Rows deleted in one transaction: it must not hold up a commit for long. */
const SLICE_ROWS = 2000
const MAX_TOMBSTONES = 10_000
/** Tombstones are deleted this many at a time, not one with each commit. */
const TOMBSTONE_SLACK = 500
/** Free pages are reused; only when they are this many, and a quarter of the file, do they go back to the file system. */
const MAX_FREE_PAGES = 1024
const VACUUM_PAGES = 256
/** A time so far ahead comes from a clock that was wrong. */
const IMPLAUSIBLE_US = 86_400_000_000

/**
 * Deletes what is not kept: history by age, count and size from its old end, the oldest tombstones beyond 10 000, texts
 * that nothing names. Each call does a slice inside the caller's transaction.
 */
export class Retainer {
  /** Greatest revision of the tombstones that were deleted here. */
  forgottenRevision = 0
  private readonly connection: SqliteConnection
  private readonly limits: Retention
  private readonly blocks: TimeBlocks
  /** Number of the address → revision, the oldest first. */
  private readonly tombstones = new Map<number, number>()

  constructor(connection: SqliteConnection, limits: Retention, blocks: TimeBlocks) {
    this.connection = connection
    this.limits = limits
    this.blocks = blocks
  }

  get tombstoneCount(): number {
    return this.tombstones.size
  }

  /** A param is being stored; at the start the tombstones come in the order of their age. */
  onParam(record: ParamRecord): void {
    this.tombstones.delete(record.address)
    if (record.isRemoved) this.tombstones.set(record.address, record.revision)
  }

  /** One slice; true = there may be more to do. */
  slice(nowUs: number, lastSeq: number, logBytes: number): boolean {
    return this.deleteEntries(nowUs, lastSeq, logBytes) || this.deleteTombstones() || this.vacuum()
  }

  private deleteEntries(nowUs: number, lastSeq: number, logBytes: number): boolean {
    const first = this.number('SELECT min(seq) FROM entries')
    if (first === 0) return false
    const keepFrom = Math.max(
      first,
      this.firstByAge(nowUs),
      this.limits.maxEntries > 0 ? lastSeq - this.limits.maxEntries + 1 : 0,
      this.limits.maxBytes > 0 && this.usedBytes() + logBytes > this.limits.maxBytes ? first + SLICE_ROWS : 0,
    )
    if (keepFrom <= first) return false
    const end = Math.min(keepFrom, first + SLICE_ROWS)
    this.connection.exec(`DELETE FROM entries WHERE seq < ${end}`)
    this.blocks.forget(this.connection, end - 1)
    return true
  }

  /** The oldest entry that age does not delete, within one slice. */
  private firstByAge(nowUs: number): number {
    if (this.limits.maxAgeMs === 0) return 0
    const oldestUs = nowUs - this.limits.maxAgeMs * 1000
    const isOld = (timeUs: number) => timeUs < oldestUs || timeUs > nowUs + IMPLAUSIBLE_US
    const rows = (limit: number) =>
      this.connection.prepare('SELECT seq, time FROM entries ORDER BY seq LIMIT ?').all([limit]) as [number, number][]
    const [head] = rows(1)
    if (head === undefined || !isOld(head[1])) return 0
    const slice = rows(SLICE_ROWS)
    return slice.find(([, timeUs]) => !isOld(timeUs))?.[0] ?? slice[slice.length - 1][0] + 1
  }

  private deleteTombstones(): boolean {
    if (this.tombstones.size <= MAX_TOMBSTONES + TOMBSTONE_SLACK) return false
    const ids: number[] = []
    for (const [id, revision] of this.tombstones) {
      if (ids.length >= Math.min(SLICE_ROWS, this.tombstones.size - MAX_TOMBSTONES)) break
      ids.push(id)
      this.forgottenRevision = Math.max(this.forgottenRevision, revision)
    }
    this.connection.exec(`DELETE FROM params WHERE id IN (${ids.join(', ')})`)
    for (const id of ids) this.tombstones.delete(id)
    return true
  }

  private vacuum(): boolean {
    const free = this.number('PRAGMA freelist_count')
    if (free <= MAX_FREE_PAGES || free * 4 <= this.number('PRAGMA page_count')) return false
    this.connection.exec(`PRAGMA incremental_vacuum(${VACUUM_PAGES})`)
    return true
  }

  private usedBytes(): number {
    return (this.number('PRAGMA page_count') - this.number('PRAGMA freelist_count')) * PAGE_BYTES
  }

  private number(sql: string): number {
    return (this.connection.prepare(sql).all([])[0][0] as number | null) ?? 0
  }
}
