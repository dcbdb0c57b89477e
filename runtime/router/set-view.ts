/** Hot path. */

import { SetFlag, ValueCode } from '../../firmware-protocol/wire/constants.ts'
import { canonicalBytes, canonicalCode, isCanonical, valueEnd } from '../../firmware-protocol/wire/value-bytes.ts'
import { readU16, readU32, readU64 } from './bytes.ts'
import { ABSENT } from './store.ts'

/**
 * A SET as it lies in its frame: `read` finds the fields and copies nothing. One view is used again for every message.
 *
 * SET (0x21): type, flags, address, value data, [revision u64], [ttl u32]. Source: wire reference §6.8.
 */
export class SetView {
  bytes: Uint8Array = new Uint8Array(0)
  flags = 0
  addressAt = 0
  addressEnd = 0
  /** The canonical value: integers as i64, floats as f64. It lies in `source`, which is `bytes` unless it was narrower. */
  code = 0
  source: Uint8Array = this.bytes
  valueAt = 0
  valueEnd = 0
  /** Expected revision and raw TTL field, or ABSENT. */
  expected = ABSENT
  ttl = ABSENT

  /** False when the message `bytes[at, stop)` is malformed. */
  read(bytes: Uint8Array, at: number, stop: number): boolean {
    if (stop - at < 4) return false
    const flags = bytes[at + 1]
    const code = flags & SetFlag.typeMask
    const valueAt = at + 4 + readU16(bytes, at + 2)
    if (valueAt > stop) return false
    let end: number
    if (code === ValueCode.f64 || code === ValueCode.i64) {
      end = valueAt + 8
    } else {
      end = valueEnd(bytes, code, valueAt, stop)
      if (end === 0) return false
    }
    this.valueEnd = end
    if ((flags & SetFlag.revision) !== 0) {
      if (end + 8 > stop) return false
      this.expected = readU64(bytes, end)
      end += 8
    } else {
      this.expected = ABSENT
    }
    if ((flags & SetFlag.ttl) !== 0) {
      if (end + 4 > stop) return false
      this.ttl = readU32(bytes, end)
      end += 4
    } else {
      this.ttl = ABSENT
    }
    if (end > stop) return false
    this.bytes = bytes
    this.source = bytes
    this.flags = flags
    this.addressAt = at + 4
    this.addressEnd = valueAt
    this.valueAt = valueAt
    this.code = code
    if (code !== ValueCode.f64 && code !== ValueCode.i64 && !isCanonical(bytes, code, valueAt, this.valueEnd))
      this.widen()
    return true
  }

  private widen(): void {
    this.source = canonicalBytes(this.bytes, this.code, this.valueAt, this.valueEnd)
    this.code = canonicalCode(this.code)
    this.valueAt = 0
    this.valueEnd = this.source.length
  }
}
