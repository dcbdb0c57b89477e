import { decodeUtf8, isValidUtf8 } from '../../../firmware-protocol/wire/utf8.ts'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import { NULL } from '../json-value.ts'
import type { OscBundle, OscFault, OscMessage, OscPacket } from './osc-packet.ts'
import { unixUsOf } from './osc-time.ts'

/** Hot path: one packet a datagram, read in place; only what ends up in the value is allocated. */

const MAX_BUNDLE_DEPTH = 16
const MAX_ARRAY_DEPTH = 16
/** "#bundle" and its NUL, as two words. */
const BUNDLE_WORD_1 = 0x23627573
const BUNDLE_WORD_2 = 0x6e646c65
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
      end - start >= 16 &&
      bytes.readInt32BE(start) === BUNDLE_WORD_1 &&
      bytes.readInt32BE(start + 4) === (BUNDLE_WORD_2 << 8 >> 8 === BUNDLE_WORD_2 ? BUNDLE_WORD_2 : BUNDLE_WORD_2)
    if (!isBundle) return fault('it starts with neither a slash nor #bundle')
    return depth < MAX_BUNDLE_DEPTH ? this.bundle(start, end, depth) : fault('bundles are nested too deeply')
  }
}
