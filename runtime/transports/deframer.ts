/** Hot path: units are delivered in place from the read chunk; only one that spans chunks is assembled in a carry buffer. */

import { FrameFlag, HEADER_BYTES, MAGIC, TIMESTAMP_BYTES } from '../../firmware-protocol/wire/constants.ts'
import { CloseCode } from '../router/link.ts'
import { Carry } from './carry.ts'

/** Takes what a deframer finds. */
export interface UnitSink {
  /** One unit; the bytes are the deframer's again when the call returns. False: the link is closing, deliver no more. */
  onUnit(bytes: Uint8Array, start: number, end: number): boolean
  /** The byte stream cannot be followed any further; the deframer delivers nothing more. */
  onViolation(code: CloseCode, reason: string): void
}

/** Cuts a byte stream into transport units. */
export interface Deframer {
  /** The next bytes from the peer, in any division. May change them (unmasking); keeps no reference to them. */
  push(chunk: Uint8Array): void
}

/** Longest unit behind a length prefix (transport reference §4.1). */
export const MAX_PREFIXED_BYTES = 65_536

/**
 * CLASP over TCP: a u32 length in front of every frame. Length 0 is an empty unit, which the router judges (fatal before
 * HELLO, ignored after it). A length above 65 536 ends the link at once: nothing behind it can be found again.
 * Source: transport reference §4.1, T-03.
 */
export class PrefixedDeframer implements Deframer {
  private readonly sink: UnitSink
  private readonly carry = new Carry()

  constructor(sink: UnitSink) {
    this.sink = sink
  }

  push(chunk: Uint8Array): void {
    const end = chunk.length
    let at = 0
    if (this.carry.length > 0) {
      at = this.finishCarried(chunk)
      if (at < 0) return
    }
    while (end - at >= 4) {
      const length = readU32(chunk, at)
      if (length > MAX_PREFIXED_BYTES) {
        this.refuse(length)
        return
      }
      const next = at + 4 + length
      if (next > end) break
      if (!this.sink.onUnit(chunk, at + 4, next)) return
      at = next
    }
    if (at < end) this.carry.append(chunk, at, end)
  }

  /** Completes the carried unit. Returns where the next one starts in the chunk, or -1 when nothing more is to be done. */
  private finishCarried(chunk: Uint8Array): number {
    const carry = this.carry
    const end = chunk.length
    let at = 0
    if (carry.length < 4) {
      at = Math.min(end, 4 - carry.length)
      carry.append(chunk, 0, at)
      if (carry.length < 4) return -1
    }
    const length = readU32(carry.bytes, 0)
    if (length > MAX_PREFIXED_BYTES) {
      this.refuse(length)
      return -1
    }
    const next = Math.min(end, at + 4 + length - carry.length)
    carry.append(chunk, at, next)
    if (carry.length < 4 + length) return -1
    const goesOn = this.sink.onUnit(carry.bytes, 4, 4 + length)
    carry.clear()
    return goesOn ? next : -1
  }

  private refuse(length: number): void {
    this.sink.onViolation(
      CloseCode.tooBig,
      `length prefix of ${length} bytes, at most ${MAX_PREFIXED_BYTES} are allowed`,
    )
  }
}

/** Flag bits that no sender sets in a frame header: encrypted, compressed, and encoding versions above 1. */
const IMPLAUSIBLE_FLAGS = FrameFlag.encrypted | FrameFlag.compressed | (FrameFlag.versionMask & ~1)
const QOS_MASK = 0xc0

/**
 * Frames one after another with nothing between them. Bytes that cannot be a frame header are skipped until one that can:
 * a frame found this way must decode as a message before it is trusted, which is the router's part.
 * Source: wire reference §2.4, transport reference §6.2 (plausible flags).
 */
export class BareDeframer implements Deframer {
  /** Bytes that belonged to no frame. */
  skippedBytes = 0
  private readonly sink: UnitSink
  private readonly maxPayloadBytes: number
  private readonly carry = new Carry()

  /** A header that announces more than `maxPayloadBytes` is taken for noise. */
  constructor(sink: UnitSink, maxPayloadBytes = 65_535) {
    this.sink = sink
    this.maxPayloadBytes = maxPayloadBytes
  }

  push(chunk: Uint8Array): void {
    const end = chunk.length
    let at = 0
    while (this.carry.length > 0) {
      at = this.finishCarried(chunk, at)
      if (at < 0) return
    }
    while (at < end) {
      const need = this.unitBytes(chunk, at, end)
      if (need === NOT_A_FRAME) {
        this.skippedBytes++
        at++
      } else if (need === INCOMPLETE || at + need > end) {
        this.carry.append(chunk, at, end)
        return
      } else {
        if (!this.sink.onUnit(chunk, at, at + need)) return
        at += need
      }
    }
  }

  /** Returns where to go on in the chunk, or -1 when it is used up or the link is closing. */
  private finishCarried(chunk: Uint8Array, start: number): number {
    const carry = this.carry
    const end = chunk.length
    let at = start
    let need = this.unitBytes(carry.bytes, 0, carry.length)
    while (need === INCOMPLETE) {
      if (at === end) return -1
      carry.append(chunk, at, at + 1)
      at++
      need = this.unitBytes(carry.bytes, 0, carry.length)
    }
    if (need === NOT_A_FRAME) {
      // Look again from one byte behind the failed magic.
      this.skippedBytes++
      const rest = carry.bytes.slice(1, carry.length)
      carry.clear()
      for (let i = 0; i < rest.length; i++) {
        if (rest[i] === MAGIC) {
          carry.append(rest, i, rest.length)
          break
        }
        this.skippedBytes++
      }
      return at
    }
    const next = Math.min(end, at + need - carry.length)
    carry.append(chunk, at, next)
    if (carry.length < need) return -1
    const goesOn = this.sink.onUnit(carry.bytes, 0, need)
    carry.clear()
    return goesOn ? next : -1
  }

  /** Length of the frame that starts at `at`, INCOMPLETE when its header is, NOT_A_FRAME when there is none. */
  private unitBytes(bytes: Uint8Array, at: number, end: number): number {
    if (bytes[at] !== MAGIC) return NOT_A_FRAME
    if (end - at < 2) return INCOMPLETE
    const flags = bytes[at + 1]
    if ((flags & IMPLAUSIBLE_FLAGS) !== 0 || (flags & QOS_MASK) === QOS_MASK) return NOT_A_FRAME
    if (end - at < HEADER_BYTES) return INCOMPLETE
    const payload = (bytes[at + 2] << 8) | bytes[at + 3]
    if (payload > this.maxPayloadBytes) return NOT_A_FRAME
    return HEADER_BYTES + ((flags & FrameFlag.timestamp) !== 0 ? TIMESTAMP_BYTES : 0) + payload
  }
}

const NOT_A_FRAME = -1
const INCOMPLETE = 0

function readU32(bytes: Uint8Array, at: number): number {
  return ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0
}
