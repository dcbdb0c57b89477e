import { MAX_PAYLOAD_BYTES } from '../../../firmware-protocol/wire/constants.ts'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import { MAX_SYSEX_BYTES } from './midi-parser.ts'
import { SYSEX_END, SYSEX_START } from './midi-status.ts'
import { bytesIn, int, memberIn, numberIn } from './midi-value.ts'

/** Of a PUBLISH besides address and bytes: type, flags, two lengths u16, indicator, type of the value, time u64. */
const PUBLISH_BYTES = 16
const PART_BYTES = 60_000
/** Messages of which parts have come, from as many senders. */
const MAX_UNFINISHED = 4

/**
 * SysEx as values of events. What fits a frame of the router is bytes, F0 … F7. What does not is cut into maps:
 *
 * | key | value |
 * |---|---|
 * | id | i64: the same for all parts of a message, another one for the next |
 * | part | i64: 0 … parts − 1, told in this order |
 * | parts | i64 |
 * | bytes | the first ones begin with F0, the last ones end with F7 |
 */
export function sysExValues(sysEx: Uint8Array, address: string, id: number): readonly Value[] {
  if (sysEx.length <= MAX_PAYLOAD_BYTES - PUBLISH_BYTES - Buffer.byteLength(address)) {
    return [{ type: 'bytes', value: sysEx.slice() }]
  }
  const parts = Math.ceil(sysEx.length / PART_BYTES)
  return Array.from({ length: parts }, (_, part) => ({
    type: 'map',
    value: [
      ['id', int(id)],
      ['part', int(part)],
      ['parts', int(parts)],
      ['bytes', { type: 'bytes', value: sysEx.slice(part * PART_BYTES, (part + 1) * PART_BYTES) }],
    ],
  }))
}

/** Puts together what `sysExValues` took apart; also bytes of which only the first have F0, and only the last F7. */
export class SysExParts {
  /** By id; bytes without a map have none. */
  private readonly unfinished = new Map<number | undefined, Uint8Array[]>()

  /** The whole message; null: more is awaited; undefined: this is no SysEx. */
  take(value: Value): Uint8Array | null | undefined {
    return value.type === 'map' ? this.takePart(value) : this.takeBytes(value)
  }

  private takePart(value: Value): Uint8Array | null | undefined {
    const [id, part, parts] = ['id', 'part', 'parts'].map((name) => numberIn(memberIn(value, name)))
    const bytes = bytesIn(memberIn(value, 'bytes'))
    if (id === undefined || part === undefined || parts === undefined || bytes === undefined) return undefined
    if (part === 0) this.unfinished.delete(id)
    if (part !== (this.unfinished.get(id)?.length ?? 0)) {
      this.unfinished.delete(id)
      return undefined
    }
    return this.add(id, bytes, part === parts - 1)
  }

  private takeBytes(value: Value): Uint8Array | null | undefined {
    const bytes = bytesIn(value)
    if (bytes?.[0] === SYSEX_START) this.unfinished.delete(undefined)
    else if (bytes === undefined || bytes.length === 0 || !this.unfinished.has(undefined)) {
      this.unfinished.delete(undefined)
      return undefined
    }
    return this.add(undefined, bytes, bytes.at(-1) === SYSEX_END)
  }

  private add(id: number | undefined, bytes: Uint8Array, isLast: boolean): Uint8Array | null | undefined {
    const parts = this.unfinished.get(id) ?? []
    this.unfinished.delete(id)
    // The value belongs to the router's message.
    parts.push(bytes.slice())
    if (!isPiece(parts, isLast)) return undefined
    if (isLast) return parts.length === 1 ? parts[0] : Buffer.concat(parts)
    if (this.unfinished.size >= MAX_UNFINISHED) {
      this.unfinished.delete(this.unfinished.keys().next().value)
    }
    this.unfinished.set(id, parts)
    return null
  }
}

/** Whether the parts are SysEx, or the beginning of one where the last part is still to come. */
function isPiece(parts: readonly Uint8Array[], isLast: boolean): boolean {
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  const last = parts[parts.length - 1]
  if (parts[0][0] !== SYSEX_START || length > MAX_SYSEX_BYTES || last.length === 0) return false
  const data = last.subarray(parts.length === 1 ? 1 : 0, isLast ? -1 : undefined)
  return (!isLast || last[last.length - 1] === SYSEX_END) && data.every((byte) => byte <= 0x7f)
}
