/** Hot path. */

import { ValueCode } from '../../firmware-protocol/wire/constants.ts'

const scratch = new DataView(new ArrayBuffer(16))

/**
 * Order of two canonical numbers of the same class (both i64 or both f64): negative, 0 or positive; NaN where one is NaN.
 * Undefined when they are not comparable: another type, or an integer with a float (wire reference §12.3).
 */
export function compareNumbers(
  a: Uint8Array,
  aAt: number,
  aCode: number,
  b: Uint8Array,
  bAt: number,
  bCode: number,
): number | undefined {
  if (aCode !== bCode || (aCode !== ValueCode.i64 && aCode !== ValueCode.f64)) return undefined
  for (let i = 0; i < 8; i++) {
    scratch.setUint8(i, a[aAt + i])
    scratch.setUint8(8 + i, b[bAt + i])
  }
  if (aCode === ValueCode.f64) {
    const x = scratch.getFloat64(0)
    const y = scratch.getFloat64(8)
    return x > y ? 1 : x < y ? -1 : x === y ? 0 : Number.NaN
  }
  const high = scratch.getInt32(0) - scratch.getInt32(8)
  return high !== 0 ? high : scratch.getUint32(4) - scratch.getUint32(12)
}

/** A canonical number as a JavaScript number, NaN for anything else; integers beyond 2^53 lose their last bits. */
export function readNumber(bytes: Uint8Array, at: number, code: number): number {
  if (code !== ValueCode.i64 && code !== ValueCode.f64) return Number.NaN
  for (let i = 0; i < 8; i++) scratch.setUint8(i, bytes[at + i])
  return code === ValueCode.f64 ? scratch.getFloat64(0) : scratch.getInt32(0) * 4_294_967_296 + scratch.getUint32(4)
}

export function readU64(bytes: Uint8Array, at: number): number {
  return readU32(bytes, at) * 4_294_967_296 + readU32(bytes, at + 4)
}

export function readU32(bytes: Uint8Array, at: number): number {
  return ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0
}

export function readU16(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 8) | bytes[at + 1]
}

/** Writes a non-negative integer up to 2^53. */
export function putU64(out: Uint8Array, at: number, value: number): void {
  putU32(out, at, Math.floor(value / 4_294_967_296))
  putU32(out, at + 4, value % 4_294_967_296)
}

export function putU32(out: Uint8Array, at: number, value: number): void {
  out[at] = value >>> 24
  out[at + 1] = value >>> 16
  out[at + 2] = value >>> 8
  out[at + 3] = value
}

export function putU16(out: Uint8Array, at: number, value: number): void {
  out[at] = value >>> 8
  out[at + 1] = value
}

/** Copies a short run of bytes; below some 50 bytes a loop beats `set` with a view (70 ns whatever the length). */
export function putBytes(out: Uint8Array, at: number, source: Uint8Array, start: number, end: number): void {
  if (end - start > 48) {
    out.set(source.subarray(start, end), at)
    return
  }
  for (let i = start; i < end; i++) out[at++] = source[i]
}
