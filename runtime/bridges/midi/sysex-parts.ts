import { MAX_SYSEX_BYTES } from './midi-parser.ts'
import { SYSEX_END, SYSEX_START } from './midi-status.ts'

/** A frame of the router holds 65 535 bytes, of which the address is a part. */
const PART_BYTES = 60_000

/** SysEx as values of events: what is too long for one comes in two, of which the first has F0 and the last one F7. */
export function sysExParts(sysEx: Uint8Array): readonly Uint8Array[] {
  const first = sysEx.slice(0, PART_BYTES)
  return sysEx.length > PART_BYTES ? [first, sysEx.slice(PART_BYTES)] : [first]
}

/** Puts together what `sysExParts` took apart. */
export class SysExParts {
  private parts: Uint8Array[] = []
  private length = 0

  /** The whole message; null: its end is awaited; undefined: this is no SysEx. */
  take(part: Uint8Array): Uint8Array | null | undefined {
    const isFirst = part[0] === SYSEX_START
    if (isFirst) this.clear()
    const isLast = part[part.length - 1] === SYSEX_END
    const data = part.subarray(isFirst ? 1 : 0, isLast ? -1 : undefined)
    const isNext = isFirst || this.parts.length > 0
    if (
      part.length === 0 ||
      !isNext ||
      this.length + part.length > MAX_SYSEX_BYTES ||
      data.some((byte) => byte > 0x7f)
    ) {
      this.clear()
      return undefined
    }
    // The value belongs to the router's message.
    this.parts.push(part.slice())
    this.length += part.length
    if (!isLast) return null
    const [whole] = this.parts.length === 1 ? this.parts : [Buffer.concat(this.parts)]
    this.clear()
    return whole
  }

  private clear(): void {
    this.parts = []
    this.length = 0
  }
}
