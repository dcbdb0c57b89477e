import { EncodeError } from './errors.ts'
import { putUtf8, utf8Length } from './utf8.ts'

const FIRST_BYTES = 256
/** Twice the largest payload. */
const MOST_KEPT_BYTES = 131_072

/** Builds a message in a buffer that grows. Numbers out of a field's range throw an EncodeError that names the field. */
export class Writer {
  private bytes = new Uint8Array(FIRST_BYTES)
  private view = new DataView(this.bytes.buffer)
  length = 0

  u8(value: number, field: string): void {
    const at = this.reserve(1)
    this.bytes[at] = checked(value, 0, 0xff, field)
  }

  /** Overwrites what was written at `at`: a length that is known only behind what it counts. */
  patchU16(at: number, value: number, field: string): void {
    this.view.setUint16(at, checked(value, 0, 0xffff, field))
  }

  u16(value: number, field: string): void {
    const at = this.reserve(2)
    this.view.setUint16(at, checked(value, 0, 0xffff, field))
  }

  u32(value: number, field: string): void {
    const at = this.reserve(4)
    this.view.setUint32(at, checked(value, 0, 0xffff_ffff, field))
  }

  i8(value: number, field: string): void {
    const at = this.reserve(1)
    this.view.setInt8(at, checked(value, -0x80, 0x7f, field))
  }

  i16(value: number, field: string): void {
    const at = this.reserve(2)
    this.view.setInt16(at, checked(value, -0x8000, 0x7fff, field))
  }

  i32(value: number, field: string): void {
    const at = this.reserve(4)
    this.view.setInt32(at, checked(value, -0x8000_0000, 0x7fff_ffff, field))
  }

  u64(value: number | bigint, field: string): void {
    const at = this.reserve(8)
    this.view.setBigUint64(at, wide(value, 0n, 0xffff_ffff_ffff_ffffn, field))
  }

  i64(value: number | bigint, field: string): void {
    const at = this.reserve(8)
    this.view.setBigInt64(at, wide(value, -0x8000_0000_0000_0000n, 0x7fff_ffff_ffff_ffffn, field))
  }

  f32(value: number): void {
    const at = this.reserve(4)
    this.view.setFloat32(at, value)
  }

  f64(value: number): void {
    const at = this.reserve(8)
    this.view.setFloat64(at, value)
  }

  string(text: string, field: string): void {
    const length = utf8Length(text)
    this.u16(length, `length of ${field}`)
    const at = this.reserve(length)
    putUtf8(this.bytes, at, text)
  }

  raw(source: Uint8Array): void {
    const at = this.reserve(source.length)
    this.bytes.set(source, at)
  }

  /** Begins anew. Room that one large message took is given back. */
  reset(): void {
    this.length = 0
    if (this.bytes.length <= MOST_KEPT_BYTES) return
    this.bytes = new Uint8Array(FIRST_BYTES)
    this.view = new DataView(this.bytes.buffer)
  }

  /** A copy of what was written. */
  finish(): Uint8Array {
    return this.bytes.slice(0, this.length)
  }

  private reserve(count: number): number {
    const at = this.length
    this.length += count
    if (this.length > this.bytes.length) {
      const bigger = new Uint8Array(Math.max(this.length, this.bytes.length * 2))
      bigger.set(this.bytes.subarray(0, at))
      this.bytes = bigger
      this.view = new DataView(bigger.buffer)
    }
    return at
  }
}

function checked(value: number, min: number, max: number, field: string): number {
  if (Number.isInteger(value) && value >= min && value <= max) return value
  throw new EncodeError(`${field} must be an integer from ${min} to ${max}, got ${value}`)
}

function wide(value: number | bigint, min: bigint, max: bigint, field: string): bigint {
  if (typeof value === 'number' && !Number.isSafeInteger(value)) {
    throw new EncodeError(`${field} must be an integer; beyond 2^53 use a bigint, got ${value}`)
  }
  const big = BigInt(value)
  if (big >= min && big <= max) return big
  throw new EncodeError(`${field} must be from ${min} to ${max}, got ${value}`)
}
