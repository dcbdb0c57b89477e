/** Hot path: `add`. */

import { putBytes } from '../router/bytes.ts'
import type { Writer } from '../router/param.ts'
import type { Slot } from './slot.ts'

const CHUNK_ENTRIES = 1024
/** Any value fits. */
const CHUNK_BYTES = 65_536
/** What an entry takes besides its value. */
const ENTRY_BYTES = 48

class Chunk {
  readonly slots = new Array<Slot | null>(CHUNK_ENTRIES).fill(null)
  readonly authors = new Array<Writer | null>(CHUNK_ENTRIES).fill(null)
  /** Revision and time of each entry. */
  readonly numbers = new Float64Array(2 * CHUNK_ENTRIES)
  /** Signal and value code of each entry. */
  readonly codes = new Int8Array(2 * CHUNK_ENTRIES)
  readonly ends = new Uint32Array(CHUNK_ENTRIES)
  readonly bytes = new Uint8Array(CHUNK_BYTES)
  count = 0
  used = 0
}

/** Takes an entry out; the value is `source[start, end)`. */
export type TakeEntry = (
  slot: Slot,
  author: Writer,
  signal: number,
  code: number,
  revision: number,
  timestampUs: number,
  source: Uint8Array,
  start: number,
  end: number,
) => void

/**
 * Entries of the history on their way to the database: copies, in order, within a bound. They stay until they are stored,
 * so that a database that fails and comes back gets them again.
 */
export class HistoryQueue {
  private readonly maxBytes: number
  private readonly chunks: Chunk[] = [new Chunk()]
  private spare: Chunk | null = null
  /** Entries of the first chunk that are stored; entries from there on that are handed over. */
  private firstStored = 0
  private handedOver = 0
  /** Bytes that wait, the handed over included. */
  bytes = 0
  /** Entries ever added, and ever stored. */
  added = 0
  stored = 0
  /** Entries that did not fit. */
  lost = 0

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes
  }

  /** Entries that are not handed over. */
  get waiting(): number {
    return this.added - this.stored - this.handedOver
  }

  add(
    slot: Slot,
    author: Writer,
    signal: number,
    code: number,
    revision: number,
    timestampUs: number,
    source: Uint8Array,
    start: number,
    end: number,
  ): void {
    const size = ENTRY_BYTES + end - start
    if (this.bytes + size > this.maxBytes) {
      this.lost++
      return
    }
    let chunk = this.chunks[this.chunks.length - 1]
    if (chunk.count === CHUNK_ENTRIES || chunk.used + end - start > CHUNK_BYTES) chunk = this.extend()
    const i = chunk.count++
    chunk.slots[i] = slot
    chunk.authors[i] = author
    chunk.numbers[2 * i] = revision
    chunk.numbers[2 * i + 1] = timestampUs
    chunk.codes[2 * i] = signal
    chunk.codes[2 * i + 1] = code
    putBytes(chunk.bytes, chunk.used, source, start, end)
    chunk.used += end - start
    chunk.ends[i] = chunk.used
    this.bytes += size
    this.added++
  }

  /** Hands over the next entries; they wait for `confirm` or `takeBack`. */
  handOver(maxEntries: number, take: TakeEntry): void {
    let at = this.firstStored + this.handedOver
    let c = 0
    while (c < this.chunks.length && at >= this.chunks[c].count) at -= this.chunks[c++].count
    for (let left = maxEntries; left > 0 && c < this.chunks.length; left--) {
      const { slots, authors, numbers, codes, ends, bytes, count } = this.chunks[c]
      if (at === count) break
      const start = at === 0 ? 0 : ends[at - 1]
      const [slot, author] = [slots[at] as Slot, authors[at] as Writer]
      take(slot, author, codes[2 * at], codes[2 * at + 1], numbers[2 * at], numbers[2 * at + 1], bytes, start, ends[at])
      this.handedOver++
      if (++at < count) continue
      at = 0
      c++
    }
  }

  /** What was handed over is stored. */
  confirm(): void {
    let left = this.handedOver
    this.stored += left
    this.handedOver = 0
    while (left > 0) {
      const chunk = this.chunks[0]
      const stop = Math.min(chunk.count, this.firstStored + left)
      left -= stop - this.firstStored
      const from = this.firstStored === 0 ? 0 : chunk.ends[this.firstStored - 1]
      this.bytes -= (stop - this.firstStored) * ENTRY_BYTES + chunk.ends[stop - 1] - from
      this.firstStored = stop
      if (stop === chunk.count) this.release(chunk)
    }
  }

  /** What was handed over is not stored. */
  takeBack(): void {
    this.handedOver = 0
  }

  private extend(): Chunk {
    const chunk = this.spare ?? new Chunk()
    this.spare = null
    this.chunks.push(chunk)
    return chunk
  }

  /** All entries of the first chunk are stored. */
  private release(chunk: Chunk): void {
    chunk.slots.fill(null)
    chunk.authors.fill(null)
    chunk.count = 0
    chunk.used = 0
    this.firstStored = 0
    if (this.chunks.length === 1) return
    this.chunks.shift()
    this.spare = chunk
  }
}
