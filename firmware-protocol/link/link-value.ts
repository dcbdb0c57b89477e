/** Hot path: `valueEnd`. */

import type { Value } from '../wire/value.ts'
import { LinkType } from './constants.ts'

/** Bytes of a value; -1: its length stands in front of it; -2: no type. */
const SIZES = [0, 1, 1, 2, 4, 8, 4, 8, -1, -1, -1, -2, 1, 2, 0, 0]

/** Where the value of this type that starts at `at` ends; -1 when it does not end before `end`, or the type is none. */
export function valueEnd(bytes: Uint8Array, at: number, end: number, type: number): number {
  const size = SIZES[type]
  if (size >= 0) return at + size <= end ? at + size : -1
  if (size === -2 || at >= end) return -1
  if (type === LinkType.array) {
    let next = at + 1
    for (let left = bytes[at]; left > 0; left--) {
      if (next >= end || bytes[next] > 0x0f || bytes[next] === LinkType.array) return -1
      next = valueEnd(bytes, next + 1, end, bytes[next])
      if (next < 0) return -1
    }
    return next
  }
  let length = bytes[at]
  let from = at + 1
  if (length >= 0x80) {
    if (from >= end) return -1
    length = ((length & 0x7f) << 8) | bytes[from++]
  }
  return from + length <= end ? from + length : -1
}

/** A value of this type counts as a number: a sample. */
export function isNumeric(type: number): boolean {
  return type !== LinkType.null && (SIZES[type] > 0 || type === LinkType.true || type === LinkType.false)
}

/** The value at `at`, which `valueEnd` has found whole. */
export function readLinkValue(bytes: Uint8Array, at: number, type: number): Value {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  switch (type) {
    case LinkType.bool:
      return { type: 'bool', value: bytes[at] !== 0 }
    case LinkType.false:
      return { type: 'bool', value: false }
    case LinkType.true:
      return { type: 'bool', value: true }
    case LinkType.i8:
      return { type: 'i8', value: view.getInt8(at) }
    case LinkType.i16:
      return { type: 'i16', value: view.getInt16(at) }
    case LinkType.i32:
      return { type: 'i32', value: view.getInt32(at) }
    case LinkType.i64: {
      const value = view.getBigInt64(at)
      return { type: 'i64', value: Number.isSafeInteger(Number(value)) ? Number(value) : value }
    }
    case LinkType.f32:
      return { type: 'f32', value: view.getFloat32(at) }
    case LinkType.f64:
      return { type: 'f64', value: view.getFloat64(at) }
    case LinkType.unit8:
      return { type: 'f32', value: Math.fround(bytes[at] / 255) }
    case LinkType.unit16:
      return { type: 'f32', value: Math.fround(view.getUint16(at) / 65_535) }
    case LinkType.string:
    case LinkType.bytes: {
      const isLong = bytes[at] >= 0x80
      const length = isLong ? ((bytes[at] & 0x7f) << 8) | bytes[at + 1] : bytes[at]
      const from = at + (isLong ? 2 : 1)
      const content = bytes.subarray(from, from + length)
      return type === LinkType.bytes
        ? { type: 'bytes', value: content.slice() }
        : { type: 'string', value: new TextDecoder().decode(content) }
    }
    case LinkType.array: {
      const items: Value[] = []
      let next = at + 1
      for (let left = bytes[at]; left > 0; left--) {
        const itemType = bytes[next]
        items.push(readLinkValue(bytes, next + 1, itemType))
        next = valueEnd(bytes, next + 1, bytes.length, itemType)
      }
      return { type: 'array', value: items }
    }
    default:
      return { type: 'null' }
  }
}

/**
 * Writes a value as the declared type and returns the offset behind it; -1 when it cannot be that type (a string for a
 * number), -2 when it does not fit before `end`. Numbers saturate; a bool counts as 0 and 1 and the other way round.
 * `out[typeAt]` gets the type in its lower four bits: a bool carries its value there.
 */
export function putLinkValue(
  out: Uint8Array,
  typeAt: number,
  at: number,
  end: number,
  declared: number,
  value: Value,
): number {
  const op = out[typeAt] & 0xf0
  if (value.type === 'null') {
    out[typeAt] = op | LinkType.null
    return at
  }
  if (declared === LinkType.bool) {
    const isOn = value.type === 'bool' ? value.value : isNumber(value) ? Number(value.value) !== 0 : undefined
    if (isOn === undefined) return -1
    out[typeAt] = op | (isOn ? LinkType.true : LinkType.false)
    return at
  }
  out[typeAt] = op | declared
  if (declared === LinkType.string || declared === LinkType.bytes) {
    const content = contentOf(value, declared)
    if (content === undefined) return -1
    const head = content.length >= 0x80 ? 2 : 1
    if (content.length > 0x7fff || at + head + content.length > end) return -2
    if (head === 2) out[at] = 0x80 | (content.length >>> 8)
    out[at + head - 1] = content.length
    out.set(content, at + head)
    return at + head + content.length
  }
  const size = SIZES[declared]
  if (size <= 0) return -1
  if (at + size > end) return -2
  if (value.type !== 'bool' && !isNumber(value)) return -1
  putNumber(new DataView(out.buffer, out.byteOffset), at, declared, value.value)
  return at + size
}

/** The type in which a value travels when none is declared for it, or -1 for what a record cannot hold. */
export function naturalType(value: Value): number {
  switch (value.type) {
    case 'null':
      return LinkType.null
    case 'bool':
      return LinkType.bool
    case 'i8':
    case 'i16':
    case 'i32':
      return LinkType.i32
    case 'i64':
      return Number(value.value) === (Number(value.value) | 0) ? LinkType.i32 : LinkType.i64
    case 'f32':
    case 'f64':
      return LinkType.f32
    case 'string':
      return LinkType.string
    case 'bytes':
      return LinkType.bytes
    default:
      return -1
  }
}

type NumberValue = Extract<Value, { type: 'i8' | 'i16' | 'i32' | 'i64' | 'f32' | 'f64' }>

function isNumber(value: Value): value is NumberValue {
  return typeof (value as { value?: unknown }).value === 'number' || value.type === 'i64'
}

function contentOf(value: Value, declared: number): Uint8Array | undefined {
  if (declared === LinkType.bytes) return value.type === 'bytes' ? value.value : undefined
  if (value.type === 'string') return new TextEncoder().encode(value.value)
  if (value.type === 'bool' || isNumber(value)) return new TextEncoder().encode(String(value.value))
  return undefined
}

function wholeOf(whole: number): bigint {
  if (whole >= 2 ** 63) return 2n ** 63n - 1n
  return whole <= -(2 ** 63) ? -(2n ** 63n) : BigInt(whole)
}

function putNumber(view: DataView, at: number, type: number, value: number | bigint | boolean): void {
  const number = Number(value)
  const whole = Number.isNaN(number) ? 0 : Math.round(number)
  const clamped = (least: number, most: number) => Math.min(most, Math.max(least, whole))
  const fraction = Number.isNaN(number) ? 0 : Math.min(1, Math.max(0, number))
  switch (type) {
    case LinkType.i8:
      view.setInt8(at, clamped(-128, 127))
      break
    case LinkType.i16:
      view.setInt16(at, clamped(-32_768, 32_767))
      break
    case LinkType.i32:
      view.setInt32(at, clamped(-2_147_483_648, 2_147_483_647))
      break
    case LinkType.i64:
      view.setBigInt64(at, typeof value === 'bigint' ? value : wholeOf(whole))
      break
    case LinkType.f32:
      view.setFloat32(at, number)
      break
    case LinkType.f64:
      view.setFloat64(at, number)
      break
    case LinkType.unit8:
      view.setUint8(at, Math.round(fraction * 255))
      break
    default:
      view.setUint16(at, Math.round(fraction * 65_535))
  }
}
