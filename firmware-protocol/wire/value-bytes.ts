/** Hot path: `valueEnd`, `isCanonical`. Encoded values as they lie in a frame; wire reference §5. */

import { MAX_VALUE_DEPTH, ValueCode } from './constants.ts'
import { isValidUtf8 } from './utf8.ts'

/** Bytes of the data of each fixed-size type, by code; 0 for the others. */
const FIXED_BYTES = [0, 1, 1, 2, 4, 8, 4, 8]

/**
 * The offset behind the value data at `at`, or 0 when it is malformed: it runs past `end`, has an unknown type, invalid
 * UTF-8, or containers nested deeper than MAX_VALUE_DEPTH.
 */
export function valueEnd(bytes: Uint8Array, code: number, at: number, end: number, depth = 0): number {
  if (code <= ValueCode.f64) {
    const stop = at + FIXED_BYTES[code]
    return stop > end ? 0 : stop
  }
  if (code > ValueCode.map || at + 2 > end) return 0
  const count = (bytes[at] << 8) | bytes[at + 1]
  at += 2
  if (code === ValueCode.string || code === ValueCode.bytes) {
    const stop = at + count
    if (stop > end) return 0
    return code === ValueCode.bytes || isValidUtf8(bytes, at, stop) ? stop : 0
  }
  if (depth >= MAX_VALUE_DEPTH) return 0
  for (let i = 0; i < count; i++) {
    if (code === ValueCode.map) {
      if (at + 2 > end) return 0
      const keyEnd = at + 2 + ((bytes[at] << 8) | bytes[at + 1])
      if (keyEnd > end || !isValidUtf8(bytes, at + 2, keyEnd)) return 0
      at = keyEnd
    }
    if (at >= end) return 0
    at = valueEnd(bytes, bytes[at], at + 1, end, depth + 1)
    if (at === 0) return 0
  }
  return at
}

/** Whether the valid value has only 64-bit numbers, the form in which the router stores and forwards values. */
export function isCanonical(bytes: Uint8Array, code: number, at: number, end: number): boolean {
  if (code < ValueCode.i8 || code === ValueCode.i64 || code === ValueCode.f64) return true
  if (code < ValueCode.string) return false
  if (code < ValueCode.array) return true
  return nestedEnd(bytes, code, at, end) > 0
}

/** The offset behind a container of canonical items, or 0 when one is narrower. */
function nestedEnd(bytes: Uint8Array, code: number, at: number, end: number): number {
  const count = (bytes[at] << 8) | bytes[at + 1]
  at += 2
  for (let i = 0; i < count; i++) {
    if (code === ValueCode.map) at += 2 + ((bytes[at] << 8) | bytes[at + 1])
    const item = bytes[at++]
    if (item >= ValueCode.array) at = nestedEnd(bytes, item, at, end)
    else if (isCanonical(bytes, item, at, end)) at = valueEnd(bytes, item, at, end)
    else return 0
    if (at === 0) return 0
  }
  return at
}

/** The type of the canonical form: i64 for all integers, f64 for floats. */
export function canonicalCode(code: number): number {
  if (code >= ValueCode.i8 && code <= ValueCode.i64) return ValueCode.i64
  return code === ValueCode.f32 ? ValueCode.f64 : code
}

/** The data of a valid value with every number widened to 64 bits. */
export function canonicalBytes(bytes: Uint8Array, code: number, at: number, end: number): Uint8Array {
  const out: number[] = []
  widen(new DataView(bytes.buffer, bytes.byteOffset, end), code, at, out)
  return Uint8Array.from(out)
}

function widen(view: DataView, code: number, at: number, out: number[]): number {
  switch (code) {
    case ValueCode.i8:
      return put(out, integer(view.getInt8(at)), at + 1)
    case ValueCode.i16:
      return put(out, integer(view.getInt16(at)), at + 2)
    case ValueCode.i32:
      return put(out, integer(view.getInt32(at)), at + 4)
    case ValueCode.f32:
      return put(out, float(view.getFloat32(at)), at + 4)
    case ValueCode.array:
    case ValueCode.map: {
      const count = view.getUint16(at)
      at = copy(view, at, at + 2, out)
      for (let i = 0; i < count; i++) {
        if (code === ValueCode.map) at = copy(view, at, at + 2 + view.getUint16(at), out)
        const item = view.getUint8(at)
        out.push(canonicalCode(item))
        at = widen(view, item, at + 1, out)
      }
      return at
    }
    case ValueCode.string:
    case ValueCode.bytes:
      return copy(view, at, at + 2 + view.getUint16(at), out)
    default:
      return copy(view, at, at + FIXED_BYTES[code], out)
  }
}

const scratch = new DataView(new ArrayBuffer(8))

function integer(value: number): DataView {
  scratch.setBigInt64(0, BigInt(value))
  return scratch
}

function float(value: number): DataView {
  scratch.setFloat64(0, value)
  return scratch
}

function put(out: number[], view: DataView, end: number): number {
  for (let i = 0; i < 8; i++) out.push(view.getUint8(i))
  return end
}

function copy(view: DataView, start: number, end: number, out: number[]): number {
  for (let i = start; i < end; i++) out.push(view.getUint8(i))
  return end
}
