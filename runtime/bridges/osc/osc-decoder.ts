import { decodeUtf8, isValidUtf8 } from '../../../firmware-protocol/wire/utf8.ts'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import { NULL } from '../json-value.ts'
import type { OscFault, OscMessage, OscPacket } from './osc-packet.ts'
import { unixUsOf } from './osc-time.ts'

/** Hot path: one packet a datagram, read in place; only what ends up in the value is allocated. */

const MAX_BUNDLE_DEPTH = 16
const MAX_ARRAY_DEPTH = 16
const BUNDLE_HEAD_BYTES = 16
/** `#bun` and `dle` with its NUL. */
const HASH_BUN = 0x2362756e
const DLE_NUL = 0x646c6500
const SLASH = 0x2f
const COMMA = 0x2c
const TRUE: Value = { type: 'bool', value: true }
const FALSE: Value = { type: 'bool', value: false }

const Tag = {
  int32: 0x69,
  float32: 0x66,
  string: 0x73,
  blob: 0x62,
  int64: 0x68,
  double: 0x64,
  timetag: 0x74,
  symbol: 0x53,
  character: 0x63,
  colour: 0x72,
  midi: 0x6d,
  true: 0x54,
  false: 0x46,
  nil: 0x4e,
  impulse: 0x49,
  open: 0x5b,
  close: 0x5d,
} as const

export interface OscDecoderOptions {
  /** Float32 as the shortest decimal that stands for the same one: 0.1 instead of 0.10000000149011612. */
  readonly roundF32: boolean
  /** Messages without type tags are taken, their arguments as Bytes. */
  readonly legacyUntyped: boolean
}

/**
 * Reads OSC 1.0 and 1.1 packets. All multiples of four bytes, big-endian:
 *
 * | part | bytes |
 * |---|---|
 * | message | address string, `,` and type tags as a string, arguments |
 * | bundle | `#bundle\0`, time tag u64, elements: i32 size, packet |
 * | string | UTF-8, 1…4 NULs |
 * | blob | i32 length, bytes, 0…3 NULs |
 *
 * | tag | argument | value |
 * |---|---|---|
 * | i, h | int32, int64 | Int |
 * | f, d | float32, float64 | Float |
 * | s, S | string | String |
 * | b | blob | Bytes |
 * | T F N | – | Bool, Null |
 * | I | – | Float +Inf |
 * | t | u64 | Int: Unix µs, immediately is 0 |
 * | c | int32 | String of one character |
 * | r, m | 4 bytes | Array of four Ints |
 * | [ ] | – | Array |
 *
 * Source: OSC 1.0 specification; bridges.md §3.2, §3.5.
 */
export class OscDecoder {
  private readonly options: OscDecoderOptions
  private bytes: Buffer = Buffer.alloc(0)
  private at = 0
  private end = 0
  private problem: string | null = null

  constructor(options: OscDecoderOptions) {
    this.options = options
  }

  /** Reads `bytes[start, end)`; the result does not refer to the bytes. */
  decode(bytes: Buffer, start: number, end: number): OscPacket | OscFault {
    this.bytes = bytes
    return this.packet(start, end, 0)
  }

  private packet(start: number, end: number, depth: number): OscPacket | OscFault {
    const { bytes } = this
    if (end - start < 4 || ((end - start) & 3) !== 0) return fault('its length is no multiple of four bytes')
    if (bytes[start] === SLASH) return this.message(start, end)
    const isBundle =
      end - start >= BUNDLE_HEAD_BYTES &&
      bytes.readUInt32BE(start) === HASH_BUN &&
      bytes.readUInt32BE(start + 4) === DLE_NUL
    if (!isBundle) return fault('it starts with neither a slash nor #bundle')
    return depth < MAX_BUNDLE_DEPTH ? this.bundle(start, end, depth) : fault('bundles are nested too deeply')
  }

  /** An element that cannot be read is left out; those behind it are found by its size. */
  private bundle(start: number, end: number, depth: number): OscPacket {
    const { bytes } = this
    const timeUs = unixUsOf(bytes.readUInt32BE(start + 8), bytes.readUInt32BE(start + 12))
    const elements: OscPacket[] = []
    const faults: string[] = []
    let at = start + BUNDLE_HEAD_BYTES
    while (at < end) {
      const size = bytes.readUInt32BE(at)
      at += 4
      if (size > end - at || (size & 3) !== 0) {
        faults.push('an element reaches beyond its bundle')
        break
      }
      const element = this.packet(at, at + size, depth + 1)
      if (element.kind === 'fault') faults.push(element.problem)
      else elements.push(element)
      at += size
    }
    return { kind: 'bundle', timeUs, elements, faults }
  }

  private message(start: number, end: number): OscMessage | OscFault {
    this.at = start
    this.end = end
    this.problem = null
    const { bytes } = this
    const address = this.string()
    if (this.problem !== null) return fault(this.problem)
    if (this.at === end) return { kind: 'message', address, value: NULL, isImpulse: false }
    if (bytes[this.at] !== COMMA) {
      if (!this.options.legacyUntyped) return fault(`${address} has no type tags`)
      const value: Value = { type: 'bytes', value: Uint8Array.from(bytes.subarray(this.at, end)) }
      return { kind: 'message', address, value, isImpulse: false }
    }
    const tagsAt = this.at + 1
    const tagsEnd = this.skipString()
    if (this.problem !== null) return fault(this.problem)
    const count = tagsEnd - tagsAt
    const value = count === 0 ? NULL : this.values(tagsAt, tagsEnd)
    if (this.problem !== null) return fault(`${address}: ${this.problem}`)
    return { kind: 'message', address, value, isImpulse: count === 1 && bytes[tagsAt] === Tag.impulse }
  }

  /** Of the tags `[at, end)`; one argument stays alone. */
  private values(at: number, end: number): Value {
    const { bytes } = this
    const isSingle = end - at === 1
    if (isSingle && bytes[at] !== Tag.open) return this.argument(bytes[at])
    const all: Value[] = []
    const outer: Value[][] = []
    let list = all
    for (let tagAt = at; tagAt < end && this.problem === null; tagAt++) {
      const tag = bytes[tagAt]
      if (tag === Tag.open) {
        if (outer.length === MAX_ARRAY_DEPTH) return this.fail('arrays are nested too deeply')
        const inner: Value[] = []
        list.push({ type: 'array', value: inner })
        outer.push(list)
        list = inner
      } else if (tag === Tag.close) {
        const back = outer.pop()
        if (back === undefined) return this.fail('] without [')
        list = back
      } else list.push(this.argument(tag))
    }
    if (outer.length > 0) return this.fail('[ without ]')
    return all.length === 1 ? all[0] : { type: 'array', value: all }
  }

  private argument(tag: number): Value {
    switch (tag) {
      case Tag.float32: {
        const at = this.take(4)
        return { type: 'f64', value: at < 0 ? 0 : this.float32(at) }
      }
      case Tag.int32: {
        const at = this.take(4)
        return { type: 'i64', value: at < 0 ? 0 : this.bytes.readInt32BE(at) }
      }
      case Tag.string:
      case Tag.symbol:
        return { type: 'string', value: this.string() }
      case Tag.true:
        return TRUE
      case Tag.false:
        return FALSE
      case Tag.nil:
        return NULL
      case Tag.impulse:
        return { type: 'f64', value: Number.POSITIVE_INFINITY }
      case Tag.double: {
        const at = this.take(8)
        return { type: 'f64', value: at < 0 ? 0 : this.bytes.readDoubleBE(at) }
      }
      case Tag.int64: {
        const at = this.take(8)
        return { type: 'i64', value: at < 0 ? 0 : this.int64(at) }
      }
      case Tag.timetag: {
        const at = this.take(8)
        return {
          type: 'i64',
          value: at < 0 ? 0 : unixUsOf(this.bytes.readUInt32BE(at), this.bytes.readUInt32BE(at + 4)),
        }
      }
      case Tag.blob:
        return this.blob()
      case Tag.character: {
        const at = this.take(4)
        return { type: 'string', value: at < 0 ? '' : characterOf(this.bytes.readUInt32BE(at)) }
      }
      case Tag.colour:
      case Tag.midi: {
        const at = this.take(4)
        return at < 0
          ? NULL
          : { type: 'array', value: [0, 1, 2, 3].map((i) => ({ type: 'i64', value: this.bytes[at + i] })) }
      }
      default:
        return this.fail(`there is no type tag 0x${tag.toString(16)}`)
    }
  }

  private float32(at: number): number {
    const value = this.bytes.readFloatBE(at)
    return this.options.roundF32 ? shortest(value) : value
  }

  private int64(at: number): number | bigint {
    const high = this.bytes.readInt32BE(at)
    const value = high * 2 ** 32 + this.bytes.readUInt32BE(at + 4)
    return Number.isSafeInteger(value) ? value : this.bytes.readBigInt64BE(at)
  }

  private blob(): Value {
    const sizeAt = this.take(4)
    const size = sizeAt < 0 ? 0 : this.bytes.readUInt32BE(sizeAt)
    const at = this.take((size + 3) & ~3, size)
    return { type: 'bytes', value: at < 0 ? new Uint8Array(0) : Uint8Array.from(this.bytes.subarray(at, at + size)) }
  }

  private string(): string {
    const start = this.at
    const end = this.skipString()
    if (this.problem !== null) return ''
    if (isValidUtf8(this.bytes, start, end)) return decodeUtf8(this.bytes, start, end)
    this.problem = 'a string is no UTF-8'
    return ''
  }

  /** Goes behind a string and its NULs; returns where its text ends. */
  private skipString(): number {
    const start = this.at
    let end = start
    while (end < this.end && this.bytes[end] !== 0) end++
    const next = start + ((end - start + 4) & ~3)
    if (next > this.end) this.problem ??= 'a string has no end'
    else this.at = next
    return end
  }

  /** Where the next bytes are; -1: there are not so many. */
  private take(count: number, wanted = count): number {
    if (wanted > this.end - this.at || count > this.end - this.at) {
      this.problem ??= 'arguments are missing'
      return -1
    }
    const { at } = this
    this.at += count
    return at
  }

  private fail(problem: string): Value {
    this.problem ??= problem
    return NULL
  }
}

function fault(problem: string): OscFault {
  return { kind: 'fault', problem }
}

function characterOf(code: number): string {
  const isCharacter = code <= 0x10ffff && (code < 0xd800 || code > 0xdfff)
  return String.fromCodePoint(isCharacter ? code : 0xfffd)
}

/** Nine significant digits tell all float32 apart; values that people enter need fewer. */
function shortest(value: number): number {
  for (let digits = 1; digits < 9; digits++) {
    const rounded = Number(value.toPrecision(digits))
    if (Math.fround(rounded) === value) return rounded
  }
  return Number.isFinite(value) ? Number(value.toPrecision(9)) : value
}
