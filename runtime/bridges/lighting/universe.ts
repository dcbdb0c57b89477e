import { SLOTS } from './slot-address.ts'

/** One universe of several sources. Pure: time comes in with each call. Source: bridges.md §5.5, E1.31 §6.2.3. */

/**
 * Among sources of equal priority. `htp`: the highest level of each slot; `ltp`: the level that changed last;
 * `latest-frame`: the source that sent last; `first`: the source that came first, until it goes.
 */
export type Merge = 'htp' | 'ltp' | 'latest-frame' | 'first'

/** Who asserts levels. Written to only by its universe. */
export interface Source {
  readonly key: string
  /** Monotonic ms of its last frame. */
  lastAt: number
  /** 0…200. */
  priority: number
  /** After so long without a frame it goes; Infinity: never. */
  readonly timeoutMs: number
  /** It asserts slots one by one, and does not take away those that it leaves out. */
  readonly isSparse: boolean
  /** Of slots that are not asserted: 0. */
  readonly levels: Uint8Array
  /** 1: asserted. */
  readonly asserted: Uint8Array
  /** How many slots are asserted. */
  count: number
  /** Priorities of single slots, 0: not asserted; null: `priority` is that of all. */
  slotPriorities: Uint8Array | null
  /** When it came, and when each slot last changed, in the order of all writes. */
  readonly opened: number
  readonly changed: Float64Array
  lastWrite: number
}

export interface SourceOptions {
  readonly priority: number
  readonly timeoutMs: number
  readonly isSparse?: boolean
}

export class Universe {
  private merge: Merge
  private readonly maxSources: number
  private readonly sources = new Map<string, Source>()
  private readonly merged = new Uint8Array(SLOTS)
  private readonly best = new Int16Array(SLOTS)
  private readonly rank = new Float64Array(SLOTS)
  private writes = 0
  private isStale = false

  constructor(merge: Merge, maxSources: number) {
    this.merge = merge
    this.maxSources = maxSources
  }

  get mergeMode(): Merge {
    return this.merge
  }

  set mergeMode(merge: Merge) {
    this.merge = merge
    this.isStale = true
  }

  get sourceCount(): number {
    return this.sources.size
  }

  get all(): Iterable<Source> {
    return this.sources.values()
  }

  /** Some source asserts something. */
  get isLive(): boolean {
    for (const { count } of this.sources.values()) if (count > 0) return true
    return false
  }

  /** Of the live source with the most; 0: there is none. */
  get priority(): number {
    let top = 0
    for (const { count, priority } of this.sources.values()) if (count > 0) top = Math.max(top, priority)
    return top
  }

  /** Slots of the longest source. */
  get length(): number {
    let length = 0
    for (const { count } of this.sources.values()) length = Math.max(length, count)
    return length
  }

  /** When the next source will have been silent for too long; Infinity: never. */
  get expiresAt(): number {
    let earliest = Number.POSITIVE_INFINITY
    for (const { lastAt, timeoutMs } of this.sources.values()) earliest = Math.min(earliest, lastAt + timeoutMs)
    return earliest
  }

  find(key: string): Source | undefined {
    return this.sources.get(key)
  }

  /** Undefined: there are too many. */
  open(key: string, { priority, timeoutMs, isSparse = false }: SourceOptions, now: number): Source | undefined {
    if (this.sources.size >= this.maxSources) return undefined
    const source: Source = {
      key,
      priority,
      timeoutMs,
      isSparse,
      lastAt: now,
      levels: new Uint8Array(SLOTS),
      asserted: new Uint8Array(SLOTS),
      count: 0,
      slotPriorities: null,
      opened: this.writes++,
      changed: new Float64Array(SLOTS),
      lastWrite: 0,
    }
    this.sources.set(key, source)
    return source
  }

  close(source: Source): void {
    if (this.sources.delete(source.key)) this.isStale = true
  }

  /** Removes sources that have been silent for too long, and tells how many these were. */
  expire(now: number): number {
    let gone = 0
    for (const source of this.sources.values()) {
      if (now < source.lastAt + source.timeoutMs) continue
      this.close(source)
      gone++
    }
    return gone
  }

  /** A whole frame of 1…512 slots; those behind its end are no longer asserted. */
  frame(source: Source, data: Uint8Array, now: number): void {
    const { levels, asserted, changed } = source
    const count = Math.min(data.length, SLOTS)
    source.lastAt = now
    source.lastWrite = ++this.writes
    for (let i = 0; i < count; i++) {
      if (levels[i] !== data[i] || asserted[i] === 0) {
        levels[i] = data[i]
        asserted[i] = 1
        changed[i] = this.writes
      }
    }
    // A source that asserts slots one by one never sends whole frames.
    if (source.count > count) {
      levels.fill(0, count)
      asserted.fill(0, count)
    }
    source.count = count
    this.isStale = true
  }

  /** `index`: 0…511. */
  set(source: Source, index: number, level: number, now: number): void {
    source.lastAt = now
    source.lastWrite = ++this.writes
    source.changed[index] = this.writes
    source.levels[index] = level
    if (source.asserted[index] === 0) {
      source.asserted[index] = 1
      source.count++
    }
    this.isStale = true
  }

  release(source: Source, index: number): void {
    if (source.asserted[index] === 0) return
    source.asserted[index] = 0
    source.levels[index] = 0
    source.count--
    this.isStale = true
  }

  /** Priorities of single slots (0…200, 0: not asserted); null: the source's own one for all. */
  prioritise(source: Source, priority: number, slotPriorities: Uint8Array | null): void {
    if (source.priority === priority && source.slotPriorities === slotPriorities) return
    source.priority = priority
    source.slotPriorities = slotPriorities
    this.isStale = true
  }

  /** Of all 512 slots, 0 where nobody asserts any. Valid until the next write. */
  get levels(): Uint8Array {
    if (this.isStale) this.mergeAll()
    return this.merged
  }

  private mergeAll(): void {
    this.isStale = false
    // Frames compete as a whole (E1.31 §6.2.3), unless single slots have a priority of their own.
    let top = -1
    let participants = 0
    let last: Source | undefined
    for (const source of this.sources.values()) {
      if (source.count === 0) continue
      if (!source.isSparse && source.slotPriorities === null) top = Math.max(top, source.priority)
    }
    for (const source of this.sources.values()) {
      if (!participates(source, top)) continue
      participants++
      last = source
    }
    if (participants === 1 && last !== undefined && last.slotPriorities === null) {
      this.merged.set(last.levels)
      return
    }
    this.merged.fill(0)
    this.best.fill(-1)
    for (const source of this.sources.values()) if (participates(source, top)) this.mergeIn(source)
  }

  private mergeIn(source: Source): void {
    const { merged, best, rank, merge } = this
    const { levels, asserted, slotPriorities, changed } = source
    for (let i = 0; i < SLOTS; i++) {
      if (asserted[i] === 0) continue
      const priority = slotPriorities === null ? source.priority : slotPriorities[i]
      if (priority < best[i] || (slotPriorities !== null && priority === 0)) continue
      const own =
        merge === 'htp'
          ? levels[i]
          : merge === 'ltp'
            ? changed[i]
            : merge === 'first'
              ? -source.opened
              : source.lastWrite
      if (priority === best[i] && own <= rank[i]) continue
      best[i] = priority
      rank[i] = own
      merged[i] = levels[i]
    }
  }
}

function participates({ count, isSparse, slotPriorities, priority }: Source, top: number): boolean {
  return count > 0 && (isSparse || slotPriorities !== null || priority === top)
}
