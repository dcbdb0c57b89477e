/** Hot path. */

import { PhaseCode, PublishFlag, PublishIndicator, SignalCode } from '../../firmware-protocol/wire/constants.ts'
import { canonicalBytes, canonicalCode, isCanonical, valueEnd } from '../../firmware-protocol/wire/value-bytes.ts'
import { putBytes, readU16, readU32 } from './bytes.ts'

/**
 * A PUBLISH as it lies in its frame: `read` finds the fields and copies nothing, unless the message is to be forwarded in
 * another form than it came (narrow numbers, unassigned codes). One view is used again for every message.
 *
 * PUBLISH (0x20): type, flags, address, indicator, [value | samples], [timestamp u64], [id u32], [rate u32].
 * Source: wire reference §6.7; forwarded form: router reference §3.4.
 */
export class PublishView {
  /** The message to forward: `source[at, end)`, the type byte first. */
  source: Uint8Array = new Uint8Array(0)
  at = 0
  end = 0
  signal = 0
  /** By which subscribers are chosen: the signal code, unless a legacy peer named no signal. */
  audience = 0
  phase = 0
  addressAt = 0
  addressEnd = 0
  /** The value's type code and data in `source`; -1 when there is no value. */
  code = -1
  valueAt = 0
  valueEnd = 0
  /** Gesture id, 0 when absent. */
  id = 0

  /** False when the message `bytes[at, stop)` is malformed. */
  read(bytes: Uint8Array, at: number, stop: number): boolean {
    if (stop - at < 5) return false
    const flags = bytes[at + 1]
    const addressEnd = at + 4 + readU16(bytes, at + 2)
    if (addressEnd >= stop) return false
    const indicator = bytes[addressEnd]
    let end = addressEnd + 1
    this.code = -1
    if (indicator === PublishIndicator.value) {
      if (end >= stop) return false
      this.code = bytes[end]
      this.valueAt = end + 1
      end = valueEnd(bytes, this.code, end + 1, stop)
      if (end === 0) return false
      this.valueEnd = end
    } else if (indicator === PublishIndicator.samples) {
      if (end + 2 > stop) return false
      end += 2 + 8 * readU16(bytes, end)
    }
    if ((flags & PublishFlag.timestamp) !== 0) end += 8
    if ((flags & PublishFlag.id) !== 0) {
      if (end + 4 > stop) return false
      this.id = readU32(bytes, end)
      end += 4
    } else {
      this.id = 0
    }
    if (end > stop) return false
    // The rate has no flag: four bytes that are left are it, fewer are ignored.
    if (stop - end >= 4) end += 4
    const signal = flags >>> 5
    const phase = flags & PublishFlag.phaseMask
    this.signal = signal > SignalCode.timeline ? SignalCode.event : signal
    this.audience = this.signal
    this.phase = phase > PhaseCode.cancel ? PhaseCode.start : phase
    this.source = bytes
    this.at = at
    this.end = end
    this.addressAt = at + 4
    this.addressEnd = addressEnd
    const isOrdinary = this.signal === signal && this.phase === phase && indicator <= PublishIndicator.samples
    if (!isOrdinary || (this.code >= 0 && !isCanonical(bytes, this.code, this.valueAt, this.valueEnd))) this.rewrite()
    return true
  }

  /** Copies the message in its canonical form. */
  private rewrite(): void {
    const { source, at, end, addressEnd } = this
    const hasValue = this.code >= 0
    const value = hasValue ? canonicalBytes(source, this.code, this.valueAt, this.valueEnd) : source.subarray(0, 0)
    const rest = hasValue ? this.valueEnd : addressEnd + 1
    const head = addressEnd - at
    const copy = new Uint8Array(head + (hasValue ? 2 : 1) + value.length + (end - rest))
    putBytes(copy, 0, source, at, addressEnd)
    copy[1] = (this.signal << 5) | (source[at + 1] & (PublishFlag.timestamp | PublishFlag.id)) | this.phase
    let to = head
    if (hasValue) {
      copy[to++] = PublishIndicator.value
      copy[to++] = canonicalCode(this.code)
      copy.set(value, to)
      this.code = canonicalCode(this.code)
      this.valueAt = to
      this.valueEnd = to + value.length
      to += value.length
    } else {
      const indicator = source[addressEnd]
      copy[to++] = indicator === PublishIndicator.samples ? indicator : PublishIndicator.nothing
    }
    copy.set(source.subarray(rest, end), to)
    this.source = copy
    this.at = 0
    this.end = copy.length
    this.addressAt = 4
    this.addressEnd = head
  }
}
