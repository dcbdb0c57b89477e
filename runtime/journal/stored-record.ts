import { crc32 } from '../../firmware-protocol/link/crc.ts'
import { ValueCode } from '../../firmware-protocol/wire/constants.ts'
import type { EntryRecord, ParamRecord } from './batch.ts'

/**
 * Packed records of the database, little-endian:
 *
 * | record | layout |
 * |---|---|
 * | param | author u32, code u8, flags u8 (1 removed, 2 mark, 4 TTL), TTL mode u8, revision f64, timestamp f64 µs, [TTL f64 ms], [hub revision f64, mark flags u8, edited f64 µs], value, CRC u32 |
 * | entry | author u32, signal u8 (80 has revision), code i8, [revision f64], value, CRC u32 |
 *
 * The CRC-32 also covers the key and the other columns of the row, as f64 each, in front. Encoders return a view that is
 * valid until the next call. Decoders return null for what nobody wrote.
 */
const REMOVED = 1
const MARKED = 2
const TTL = 4
const HAS_REVISION = 0x80
const CRC_BYTES = 4
const SMALLEST_PARAM = 23
const SMALLEST_ENTRY = 6
const MAX_TTL_MODE = 3
const MAX_SIGNAL = 4

let scratch = new Uint8Array(4096)
let view = new DataView(scratch.buffer)
const keys = new Float64Array(3)
const keyBytes = new Uint8Array(keys.buffer)
const encoder = new TextEncoder()

export function encodeParam(id: number, record: ParamRecord): Uint8Array {
  const { mark, value } = record
  reserve(64 + value.length)
  view.setUint32(0, record.author, true)
  scratch[4] = record.code
  scratch[5] = (record.isRemoved ? REMOVED : 0) | (mark === null ? 0 : MARKED) | (record.ttlMs === 0 ? 0 : TTL)
  scratch[6] = record.ttlMode
  view.setFloat64(7, record.revision, true)
  view.setFloat64(15, record.timestampUs, true)
  let at = SMALLEST_PARAM
  if (record.ttlMs !== 0) {
    view.setFloat64(at, record.ttlMs, true)
    at += 8
  }
  if (mark !== null) {
    view.setFloat64(at, mark.hubRevision, true)
    scratch[at + 8] = mark.flags
    view.setFloat64(at + 9, mark.editedAtUs, true)
    at += 17
  }
  scratch.set(value, at)
  return sealed(at + value.length, keySum(id))
}

/** `address` is the row's key. The value is a view of `bytes`. */
export function decodeParam(address: number, bytes: Uint8Array): ParamRecord | null {
  const end = bytes.length - CRC_BYTES
  if (end < SMALLEST_PARAM || !isSealed(bytes, keySum(address))) return null
  const flags = bytes[5]
  let at = SMALLEST_PARAM
  if (at + ((flags & TTL) === 0 ? 0 : 8) + ((flags & MARKED) === 0 ? 0 : 17) > end) return null
  let ttlMs = 0
  if ((flags & TTL) !== 0) {
    ttlMs = view.getFloat64(at, true)
    at += 8
  }
  let mark: ParamRecord['mark'] = null
  if ((flags & MARKED) !== 0) {
    const hubRevision = view.getFloat64(at, true)
    mark = { hubRevision, flags: bytes[at + 8], editedAtUs: view.getFloat64(at + 9, true) }
    at += 17
  }
  const record = {
    address,
    author: view.getUint32(0, true),
    code: bytes[4],
    isRemoved: (flags & REMOVED) !== 0,
    revision: view.getFloat64(7, true),
    timestampUs: view.getFloat64(15, true),
    ttlMode: bytes[6],
    ttlMs,
    value: bytes.subarray(at, end),
    mark,
  }
  const isInRange = record.code <= ValueCode.map && record.ttlMode <= MAX_TTL_MODE && isCount(record.revision)
  return isInRange && isCount(record.timestampUs) ? record : null
}

export function encodeEntry(seq: number, record: EntryRecord): Uint8Array {
  const { value, revision } = record
  reserve(32 + value.length)
  view.setUint32(0, record.author, true)
  scratch[4] = record.signal | (revision === 0 ? 0 : HAS_REVISION)
  view.setInt8(5, record.code)
  let at = SMALLEST_ENTRY
  if (revision !== 0) {
    view.setFloat64(at, revision, true)
    at += 8
  }
  scratch.set(value, at)
  return sealed(at + value.length, keySum(seq, record.address, record.timestampUs))
}

/** The value is a view of `bytes`. */
export function decodeEntry(seq: number, address: number, timeUs: number, bytes: Uint8Array): EntryRecord | null {
  const end = bytes.length - CRC_BYTES
  if (end < SMALLEST_ENTRY || !isSealed(bytes, keySum(seq, address, timeUs))) return null
  const hasRevision = (bytes[4] & HAS_REVISION) !== 0
  const at = hasRevision ? SMALLEST_ENTRY + 8 : SMALLEST_ENTRY
  if (at > end) return null
  const record = {
    address,
    author: view.getUint32(0, true),
    signal: bytes[4] & ~HAS_REVISION,
    code: view.getInt8(5),
    revision: hasRevision ? view.getFloat64(SMALLEST_ENTRY, true) : 0,
    timestampUs: timeUs,
    value: bytes.subarray(at, end),
  }
  const isInRange = record.signal <= MAX_SIGNAL && record.code >= -1 && record.code <= ValueCode.map
  return isInRange && isCount(record.revision) ? record : null
}

/** Checksum of a text (or bytes) under its key, for the rows that are not packed. */
export function rowSum(key: number, content: string | Uint8Array): number {
  if (typeof content !== 'string') return crc32(content, 0, content.length, keySum(key))
  reserve(content.length * 3)
  const { written } = encoder.encodeInto(content, scratch)
  return crc32(scratch, 0, written, keySum(key))
}

/** Checksum of numbers alone. */
export function keySum(first: number, second = 0, third = 0): number {
  keys[0] = first
  keys[1] = second
  keys[2] = third
  return crc32(keyBytes, 0, keyBytes.length)
}

function sealed(length: number, sum: number): Uint8Array {
  view.setUint32(length, crc32(scratch, 0, length, sum), true)
  return scratch.subarray(0, length + CRC_BYTES)
}

/** Leaves the bytes in the scratch buffer, where they are read: a view of each record would cost more than its decoding. */
function isSealed(bytes: Uint8Array, sum: number): boolean {
  reserve(bytes.length)
  scratch.set(bytes)
  const end = bytes.length - CRC_BYTES
  return crc32(scratch, 0, end, sum) === view.getUint32(end, true)
}

function reserve(bytes: number): void {
  if (bytes <= scratch.length) return
  scratch = new Uint8Array(bytes * 2)
  view = new DataView(scratch.buffer)
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0
}
