/** Hot path. */

import { ExtendedBit, Op } from './constants.ts'
import { valueEnd } from './link-value.ts'

/**
 * A cursor over the records of one frame's body. `next` reads one record into the fields; which of them count depends
 * on `op` (see the table of records in firmware-protocol/README.md). It never reads past the body.
 */
export class RecordReader {
  op = 0
  /** Lower four bits of the first byte: type of the value, or kind of the record. */
  type = 0
  id = 0
  /** Flags of an extended value; of a declaration. */
  flags = 0
  /** Expected revision of an extended value. */
  revision = 0
  ttl = 0
  phase = 0
  gesture = 0
  /** The value, or the whole rest of a record that is read by its own codec, is `bytes[valueAt, valueEnd)`. */
  valueAt = 0
  valueEnd = 0
  /** Code of a RESULT; count of a BLOCK; interval of a BLOCK (10 µs); sid of a SUBSCRIBE; key of an INFO. */
  code = 0
  count = 0
  interval = 0
  /** Where the record starts. */
  start = 0
  bytes: Uint8Array = EMPTY
  /** Where the next record starts. */
  at = 0
  end = 0

  open(bytes: Uint8Array, start: number, end: number): void {
    this.bytes = bytes
    this.at = start
    this.end = end
  }

  /** True: a record was read. False: there is none any more (`at === end`), or the next one is malformed (`at < end`). */
  next(): boolean {
    const { bytes, end } = this
    let at = this.at
    if (at >= end) return false
    this.start = at
    const first = bytes[at++]
    const op = first >>> 4
    const type = first & 0x0f
    this.op = op
    this.type = type
    if (op === Op.nothing) {
      this.at = at
      return true
    }
    if (op >= Op.time) return this.other(op, type, at)
    if (at >= end) return false
    let id = bytes[at++]
    if (id >= 0x80) {
      if (at >= end) return false
      id = ((id & 0x7f) << 8) | bytes[at++]
    }
    this.id = id
    this.flags = 0
    if (op === Op.extended) {
      if (at >= end) return false
      this.flags = bytes[at++]
      if ((this.flags & ExtendedBit.revision) !== 0) {
        if (at + 4 > end) return false
        this.revision = u32(bytes, at)
        at += 4
      }
      if ((this.flags & ExtendedBit.ttl) !== 0) {
        if (at + 4 > end) return false
        this.ttl = u32(bytes, at)
        at += 4
      }
    } else if (op === Op.gesture) {
      if (at + 2 > end) return false
      this.phase = bytes[at++]
      this.gesture = bytes[at++]
    } else if (op === Op.block) {
      return this.block(at, type)
    }
    const stop = valueEnd(bytes, at, end, type)
    if (stop < 0) return false
    this.valueAt = at
    this.valueEnd = stop
    this.at = stop
    return true
  }

  private block(start: number, type: number): boolean {
    const { bytes, end } = this
    let at = start
    if (at + 3 > end) return false
    this.count = bytes[at]
    this.interval = (bytes[at + 1] << 8) | bytes[at + 2]
    at += 3
    this.valueAt = at
    for (let left = this.count; left > 0; left--) {
      at = valueEnd(bytes, at, end, type)
      if (at < 0) return false
    }
    this.valueEnd = at
    this.at = at
    return true
  }

  private other(op: number, type: number, start: number): boolean {
    const { bytes, end } = this
    let at = start
    if (op === Op.time) {
      if (type > 3) return false
      this.valueAt = at
      return this.take(at, type === 0 ? 4 : type === 2 ? 0 : 8)
    }
    if (op === Op.declared) return this.take(at, 4)
    if (op === Op.clasp) {
      if (at + 2 > end) return false
      return this.take(at + 2, (bytes[at] << 8) | bytes[at + 1])
    }
    if (op === Op.info) {
      if (at + 2 > end) return false
      this.code = bytes[at]
      return this.take(at + 2, bytes[at + 1])
    }
    if (op === Op.subscribe) {
      if (at >= end) return false
      this.code = bytes[at++]
      if (type !== 0) return this.take(at, 0)
      if (at >= end) return false
      const length = bytes[at++]
      if (!this.take(at, length + 2)) return false
      this.valueEnd -= 2
      this.interval = (bytes[this.valueEnd] << 8) | bytes[this.valueEnd + 1]
      return true
    }
    if (at >= end) return false
    let id = bytes[at++]
    if (id >= 0x80) {
      if (at >= end) return false
      id = ((id & 0x7f) << 8) | bytes[at++]
    }
    this.id = id
    if (op === Op.get) return this.take(at, 0)
    if (op === Op.result) {
      if (!this.take(at, 2)) return false
      this.code = (bytes[at] << 8) | bytes[at + 1]
      return true
    }
    if (op === Op.configure) {
      if (!this.take(at, 6)) return false
      this.interval = (bytes[at] << 8) | bytes[at + 1]
      return true
    }
    // DECL: read by descriptor.ts, which says where it ends.
    this.valueAt = at
    this.valueEnd = end
    this.at = end
    return op === Op.declare
  }

  private take(at: number, count: number): boolean {
    if (at + count > this.end) return false
    this.valueAt = at
    this.valueEnd = at + count
    this.at = at + count
    return true
  }
}

const EMPTY = new Uint8Array(0)

function u32(bytes: Uint8Array, at: number): number {
  return ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0
}
