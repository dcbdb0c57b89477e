/** Hot path: `add` runs for every SET and PUBLISH. */

import { decodeUtf8 } from '../../firmware-protocol/wire/utf8.ts'
import { putBytes, putU16, readU16 } from './bytes.ts'

/** In front of each record: u16 length of the frame, f64 time. */
const RECORD_HEADER = 10
/** A length that says: nothing more up to the end of the ring, go on at its start. */
const WRAP = 0xffff

/**
 * The most recent SET and PUBLISH frames, in a ring of bytes: for subscriptions that ask for `history` (the last n
 * messages of each address) or `window` (not older than so many ms). Nothing is allocated once the ring is there.
 */
export class History {
  private readonly capacity: number
  private ring: Uint8Array | null = null
  private times: DataView | null = null
  private head = 0
  private tail = 0
  private records = 0

  constructor(capacity: number) {
    this.capacity = capacity
  }

  /** Remembers a bare frame; too large ones are left out. */
  add(frame: Uint8Array, start: number, frameBytes: number, now: number): void {
    const size = RECORD_HEADER + frameBytes
    if (size * 4 > this.capacity || frameBytes >= WRAP) return
    if (this.ring === null || this.times === null) {
      this.ring = new Uint8Array(this.capacity)
      this.times = new DataView(this.ring.buffer)
    }
    const ring = this.ring
    if (this.head + size > this.capacity) {
      while (this.records > 0 && this.tail >= this.head) this.forgetOldest()
      if (this.head + 2 <= this.capacity) putU16(ring, this.head, WRAP)
      this.head = 0
    }
    while (this.records > 0 && this.tail >= this.head && this.tail < this.head + size) this.forgetOldest()
    if (this.records === 0) this.tail = this.head
    putU16(ring, this.head, frameBytes)
    this.times.setFloat64(this.head + 2, now)
    putBytes(ring, this.head + RECORD_HEADER, frame, start, start + frameBytes)
    this.head += size
    this.records++
  }

  /**
   * The frames that pass, oldest first: at most `limit` per address, none older than `since`.
   * `accepts` gets the frame's payload offset and its address.
   */
  select(
    limit: number,
    since: number,
    accepts: (ring: Uint8Array, payload: number, address: string) => boolean,
  ): Uint8Array[] {
    const ring = this.ring
    if (ring === null || this.times === null) return []
    const found: { at: number; bytes: number; address: string }[] = []
    let at = this.tail
    for (let left = this.records; left > 0; left--) {
      at = this.wrapped(at)
      const bytes = readU16(ring, at)
      if (this.times.getFloat64(at + 2) >= since) {
        const payload = at + RECORD_HEADER + 4
        const address = decodeUtf8(ring, payload + 4, payload + 4 + readU16(ring, payload + 2))
        if (accepts(ring, payload, address)) found.push({ at: at + RECORD_HEADER, bytes, address })
      }
      at += RECORD_HEADER + bytes
    }
    const counts = new Map<string, number>()
    const selected: Uint8Array[] = []
    for (let i = found.length - 1; i >= 0; i--) {
      const { at: start, bytes, address } = found[i]
      const count = counts.get(address) ?? 0
      if (count >= limit) continue
      counts.set(address, count + 1)
      selected.push(ring.slice(start, start + bytes))
    }
    return selected.reverse()
  }

  private forgetOldest(): void {
    const ring = this.ring as Uint8Array
    this.tail = this.wrapped(this.tail)
    this.tail += RECORD_HEADER + readU16(ring, this.tail)
    if (this.tail + 2 > this.capacity || readU16(ring, this.tail) === WRAP) this.tail = this.wrapped(this.tail)
    this.records--
  }

  private wrapped(at: number): number {
    return at + 2 > this.capacity || readU16(this.ring as Uint8Array, at) === WRAP ? 0 : at
  }
}
