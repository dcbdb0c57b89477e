import { putUtf8, utf8Length } from '../../../firmware-protocol/wire/utf8.ts'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import { jsonFromValue } from '../json-value.ts'
import { timeTagOf } from './osc-time.ts'

/** Hot path: messages are written behind one another into one piece of memory, and sent from there. */

const SLAB_BYTES = 65_536
const MAX_COPIED = 64
const I32_MIN = -(2 ** 31)
const I32_MAX = 2 ** 31 - 1
const BUNDLE = Buffer.from('#bundle\0', 'latin1')
const BUNDLE_HEAD_BYTES = BUNDLE.length + 8

/** How values become arguments; what a receiver understands differs. */
export interface OscFormat {
  /** `f32`: Int as i or h, Float as f. `f64`: Float as d. `int-as-float`: both as f. */
  readonly numbers: 'f32' | 'f64' | 'int-as-float'
  /** Null as N, or as no argument. */
  readonly nil: 'N' | 'none'
  /** Bool as T or F, or as 1 or 0. */
  readonly bool: 'TF' | 'i' | 'f'
  /** Lists within lists as arguments in a row, or within [ ]. */
  readonly nestedArrays: 'flatten' | 'brackets'
}

/** For what bridges ask each other: a whole number as i or h, whatever values are sent as. */
export const EXACT: OscFormat = { numbers: 'f32', nil: 'N', bool: 'TF', nestedArrays: 'flatten' }

/** A packet in memory that does not change any more. */
export interface OscBytes {
  readonly bytes: Buffer
  readonly start: number
  readonly end: number
}

/**
 * Writes OSC messages. Bytes that were handed out stay as they are: sockets may hold on to them.
 * Source: OSC 1.0 specification; bridges.md §3.3; layouts in `osc-decoder.ts`.
 */
export class OscEncoder {
  private slab: Buffer = Buffer.allocUnsafeSlow(SLAB_BYTES)
  private at = 0
  /** Of the message that is being written. */
  private readonly args: Value[] = []

  /** `value` undefined: no arguments. */
  message(address: string, value: Value | undefined, format: OscFormat): OscBytes {
    const args = this.args
    args.length = 0
    const tags = value === undefined ? ',' : `,${tagsOf(value, format, args, false)}`
    let size = padded(utf8Length(address)) + padded(tags.length)
    for (const argument of args) size += roomFor(argument)
    const start = this.room(size)
    this.text(address)
    this.text(tags)
    let tagAt = 1
    for (const argument of args) {
      // Tags without bytes have no argument in the list.
      while (!hasBytes(tags.charCodeAt(tagAt))) tagAt++
      this.argument(tags[tagAt++], argument)
    }
    return { bytes: this.slab, start, end: this.at }
  }

  /** `timeUs`: Unix time; 0: immediately. */
  bundle(messages: readonly OscBytes[], timeUs: number): OscBytes {
    let size = BUNDLE_HEAD_BYTES
    for (const { start, end } of messages) size += 4 + end - start
    const start = this.room(size)
    this.at += BUNDLE.copy(this.slab, this.at)
    const { seconds, fraction } = timeTagOf(timeUs)
    this.at = this.slab.writeUInt32BE(seconds, this.at)
    this.at = this.slab.writeUInt32BE(fraction, this.at)
    for (const message of messages) {
      this.at = this.slab.writeUInt32BE(message.end - message.start, this.at)
      this.at += message.bytes.copy(this.slab, this.at, message.start, message.end)
    }
    return { bytes: this.slab, start, end: this.at }
  }

  private room(size: number): number {
    if (this.at + size > this.slab.length) {
      this.slab = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, size))
      this.at = 0
    }
    return this.at
  }

  private argument(tag: string, argument: Value): void {
    const { slab } = this
    switch (tag) {
      case 'f':
        this.at = slab.writeFloatBE(numberOf(argument), this.at)
        return
      case 'd':
        this.at = slab.writeDoubleBE(numberOf(argument), this.at)
        return
      case 'i':
        this.at = slab.writeInt32BE(numberOf(argument), this.at)
        return
      case 'h':
        this.at = slab.writeBigInt64BE(BigInt(argument.type === 'i64' ? argument.value : 0), this.at)
        return
      case 'b':
        if (argument.type === 'bytes') this.blob(argument.value)
        return
      default:
        if (argument.type === 'string') this.text(argument.value)
    }
  }

  private blob(blob: Uint8Array): void {
    this.at = this.slab.writeUInt32BE(blob.length, this.at)
    this.slab.set(blob, this.at)
    this.pad(this.at + blob.length, this.at + ((blob.length + 3) & ~3))
  }

  private text(text: string): void {
    const { slab, at: start } = this
    const { length } = text
    let end = start
    // Short ones by hand: calling the encoder costs more.
    if (length <= MAX_COPIED)
      while (end - start < length && text.charCodeAt(end - start) < 0x80) slab[end] = text.charCodeAt(end++ - start)
    if (end - start < length) end = putUtf8(slab, start, text)
    this.pad(end, start + padded(end - start))
  }

  private pad(from: number, to: number): void {
    for (let at = from; at < to; at++) this.slab[at] = 0
    this.at = to
  }
}

/** Type tags of a value; those of its arguments that have bytes are added to `args`. */
function tagsOf(value: Value, format: OscFormat, args: Value[], isNested: boolean): string {
  switch (value.type) {
    case 'null':
      return format.nil === 'N' ? 'N' : ''
    case 'bool':
      if (format.bool === 'TF') return value.value ? 'T' : 'F'
      args.push({ type: 'i8', value: value.value ? 1 : 0 })
      return format.bool
    case 'f32':
    case 'f64':
      args.push(value)
      return format.numbers === 'f64' ? 'd' : 'f'
    case 'i8':
    case 'i16':
    case 'i32':
    case 'i64':
      args.push(value)
      if (format.numbers === 'int-as-float') return 'f'
      return value.value >= I32_MIN && value.value <= I32_MAX ? 'i' : 'h'
    case 'string':
      args.push(value.value.includes('\0') ? { type: 'string', value: value.value.replaceAll('\0', '') } : value)
      return 's'
    case 'bytes':
      args.push(value)
      return 'b'
    case 'map':
      args.push({ type: 'string', value: jsonFromValue(value) })
      return 's'
    case 'array': {
      let tags = ''
      for (const item of value.value) tags += tagsOf(item, format, args, true)
      return isNested && format.nestedArrays === 'brackets' ? `[${tags}]` : tags
    }
  }
}

/** Whether arguments of this tag have bytes: all but T, F, N and brackets. */
function hasBytes(tag: number): boolean {
  return tag >= 0x61
}

function roomFor(value: Value): number {
  if (value.type === 'string') return padded(utf8Length(value.value))
  return value.type === 'bytes' ? 4 + ((value.value.length + 3) & ~3) : 8
}

function numberOf(value: Value): number {
  return value.type === 'f64' || value.type === 'f32' || value.type.startsWith('i')
    ? Number((value as { value: number | bigint }).value)
    : 0
}

/** Bytes of a string with its one to four NULs. */
function padded(length: number): number {
  return (length + 4) & ~3
}
