import { ExtendedBit, Op } from '../../firmware-protocol/link/constants.ts'
import { naturalType, putLinkValue, readLinkValue } from '../../firmware-protocol/link/link-value.ts'
import type { RecordReader } from '../../firmware-protocol/link/record-reader.ts'
import { TTL_ABSOLUTE_BIT } from '../../firmware-protocol/wire/constants.ts'
import type { Phase, Publish, SetParam, Signal, Ttl } from '../../firmware-protocol/wire/message.ts'
import type { Value } from '../../firmware-protocol/wire/value.ts'

/**
 * Records of a device as CLASP messages and the other way round, for what is not on the hot path.
 * Layouts: firmware-protocol/README.md, "Records".
 */

const PHASES: readonly Phase[] = ['start', 'move', 'end', 'cancel']
const LARGEST_EVENT_BYTES = 512

/** The record on which the reader stands, an EVENT, STREAM, BLOCK or GESTURE, as PUBLISH. */
export function publishOf(reader: RecordReader, address: string, signal: Signal): Publish {
  const { bytes, op, type, valueAt } = reader
  if (op === Op.block) {
    const samples: number[] = []
    const size = reader.count === 0 ? 0 : (reader.valueEnd - valueAt) / reader.count
    for (let i = 0; i < reader.count; i++) {
      const value = readLinkValue(bytes, valueAt + i * size, type)
      samples.push('value' in value ? Number(value.value) : 0)
    }
    const rate = reader.interval === 0 ? undefined : Math.round(100_000 / reader.interval)
    return { type: 'PUBLISH', address, signal, samples, rate }
  }
  const value = type === 0 ? undefined : readLinkValue(bytes, valueAt, type)
  // An event's value is its payload (router reference §4.3); streams and gestures carry theirs in the same place.
  const message: Publish = { type: 'PUBLISH', address, signal, ...(value !== undefined && { value }) }
  if (op === Op.gesture) {
    message.phase = PHASES[reader.phase & 3]
    message.id = reader.gesture
  }
  return message
}

/** A VALX as SET. */
export function setOf(reader: RecordReader, address: string): SetParam {
  const { flags } = reader
  return {
    type: 'SET',
    address,
    value: readLinkValue(reader.bytes, reader.valueAt, reader.type),
    // What the device had when it connected counts only where the router has nothing: revision 0.
    ...((flags & ExtendedBit.initial) !== 0 && { revision: 0 }),
    ...((flags & ExtendedBit.revision) !== 0 && { revision: reader.revision }),
    ...((flags & ExtendedBit.lock) !== 0 && { lock: true }),
    ...((flags & ExtendedBit.unlock) !== 0 && { unlock: true }),
    ...((flags & ExtendedBit.ttl) !== 0 && { ttl: ttlOf(reader.ttl) }),
  }
}

/** An event or gesture for a signal of this type; the value is left out where it cannot be that type. */
export function eventRecord(
  id: number,
  declaredType: number,
  message: Publish,
  value: Value | undefined,
): { record: Uint8Array; isConverted: boolean } {
  const record = new Uint8Array(LARGEST_EVENT_BYTES)
  const isGesture = message.signal === 'gesture'
  const op = (isGesture ? Op.gesture : Op.event) << 4
  record[0] = op
  let at = putId(record, 1, id)
  if (isGesture) {
    record[at++] = Math.max(0, PHASES.indexOf(message.phase ?? 'start'))
    record[at++] = (message.id ?? 0) & 0xff
  }
  const end =
    value === undefined ? at : putLinkValue(record, 0, at, record.length, declaredType || naturalType(value), value)
  if (end < 0) record[0] = op
  return { record: record.subarray(0, Math.max(end, at)), isConverted: end >= 0 }
}

/** RESULT: what became of a write; 0: stored, else a CLASP error code. */
export function resultRecord(id: number, code: number): Uint8Array {
  const record = new Uint8Array(id < 0x80 ? 4 : 5)
  record[0] = Op.result << 4
  const at = putId(record, 1, id)
  record[at] = code >>> 8
  record[at + 1] = code
  return record
}

/** CONFIGURE: sampling interval in ms, deadband in the signal's unit. */
export function configureRecord(id: number, interval: number, deadband: number): Uint8Array {
  const record = new Uint8Array(id < 0x80 ? 8 : 9)
  const view = new DataView(record.buffer)
  record[0] = Op.configure << 4
  const at = putId(record, 1, id)
  view.setUint16(at, Math.min(65_535, Math.max(0, Math.round(interval))))
  view.setFloat32(at + 2, deadband)
  return record
}

/** DECL of an address that a pattern of the device has matched. `address` has at most 255 bytes. */
export function declareRecord(id: number, type: number, kind: Signal, address: Uint8Array): Uint8Array {
  const record = new Uint8Array(5 + address.length)
  record[0] = (Op.declare << 4) | type
  const at = putId(record, 1, id)
  record[at] = kind === 'event' ? 1 : kind === 'stream' ? 2 : 0
  record[at + 1] = address.length
  record.set(address, at + 2)
  return record
}

/** As SET has it: 0 never, highest bit: counted from this write. */
function ttlOf(raw: number): Ttl {
  if (raw === 0) return { mode: 'never' }
  return raw >= TTL_ABSOLUTE_BIT
    ? { mode: 'absolute', seconds: raw - TTL_ABSOLUTE_BIT }
    : { mode: 'sliding', seconds: raw }
}

function putId(out: Uint8Array, at: number, id: number): number {
  if (id < 0x80) {
    out[at] = id
    return at + 1
  }
  out[at] = 0x80 | (id >>> 8)
  out[at + 1] = id
  return at + 2
}
