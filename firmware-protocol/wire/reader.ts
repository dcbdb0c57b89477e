import { DecodeError } from './errors.ts'
import { KnownTexts } from './known-texts.ts'
import { decodeUtf8, isValidUtf8 } from './utf8.ts'

const addresses = new KnownTexts()

/**
 * A cursor over `bytes[offset, end)` that cannot run past the end. The first failure sticks: later reads return zero
 * values, and `failure` tells what went wrong where, so that decoders need not check after every field.
 */
export class Reader {
  readonly bytes: Uint8Array
  offset: number
  readonly end: number
  failure: DecodeError | undefined
  private readonly view: DataView

  constructor(bytes: Uint8Array, offset: number, end: number) {
    this.bytes = bytes
    this.offset = offset
    this.end = end
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get left(): number {
    return this.failure === undefined ? this.end - this.offset : 0
  }

  fail(reason: string, offset = this.offset): void {
    this.failure ??= new DecodeError('message', reason, offset)
  }

  u8(field: string): number {
    const at = this.take(1, field)
    return at < 0 ? 0 : this.bytes[at]
  }

  u16(field: string): number {
    const at = this.take(2, field)
    return at < 0 ? 0 : this.view.getUint16(at)
  }

  u32(field: string): number {
    const at = this.take(4, field)
    return at < 0 ? 0 : this.view.getUint32(at)
  }

  i8(field: string): number {
    const at = this.take(1, field)
    return at < 0 ? 0 : this.view.getInt8(at)
  }

  i16(field: string): number {
    const at = this.take(2, field)
    return at < 0 ? 0 : this.view.getInt16(at)
  }

  i32(field: string): number {
    const at = this.take(4, field)
    return at < 0 ? 0 : this.view.getInt32(at)
  }

  f32(field: string): number {
    const at = this.take(4, field)
    return at < 0 ? 0 : this.view.getFloat32(at)
  }

  f64(field: string): number {
    const at = this.take(8, field)
    return at < 0 ? 0 : this.view.getFloat64(at)
  }

  /** A number up to 2^53−1, a bigint beyond. */
  u64(field: string): number | bigint {
    const at = this.take(8, field)
    return at < 0 ? 0 : safe(this.view.getBigUint64(at))
  }

  i64(field: string): number | bigint {
    const at = this.take(8, field)
    return at < 0 ? 0 : safe(this.view.getBigInt64(at))
  }

  string(field: string): string {
    const at = this.text(field)
    return at < 0 ? '' : decodeUtf8(this.bytes, at, this.offset)
  }

  /** As a string; one that was read lately is not built again. */
  address(): string {
    const at = this.text('address')
    return at < 0 ? '' : addresses.textOf(this.bytes, at, this.offset)
  }

  /** Where a string begins, behind which the cursor is then; -1: there is none. */
  private text(field: string): number {
    const length = this.u16(`length of ${field}`)
    const at = this.take(length, field)
    if (at < 0 || isValidUtf8(this.bytes, at, at + length)) return at
    this.fail(`${field} is not valid UTF-8`, at)
    return -1
  }

  /** A copy of the next `length` bytes. */
  copy(length: number, field: string): Uint8Array {
    const at = this.take(length, field)
    return at < 0 ? new Uint8Array(0) : this.bytes.slice(at, at + length)
  }

  private take(length: number, field: string): number {
    if (this.failure !== undefined) return -1
    if (length > this.end - this.offset) {
      this.fail(`${field} needs ${length} bytes, ${this.end - this.offset} are left`)
      return -1
    }
    const at = this.offset
    this.offset += length
    return at
  }
}

function safe(value: bigint): number | bigint {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}
