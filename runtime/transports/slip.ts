import { DecodeError } from '../../firmware-protocol/wire/errors.ts'
import { decodeFrame } from '../../firmware-protocol/wire/frame.ts'
import type { OutputBuffer } from '../router/output.ts'
import { PrintableLines } from './printable-lines.ts'
import type { RawReceiverOptions, SerialCounters } from './raw-serial.ts'
import { MAX_HEADER_BYTES, plausibleFrameBytes } from './serial-frame.ts'

const END = 0xc0
const ESCAPE = 0xdb
const ESCAPED_END = 0xdc
const ESCAPED_ESCAPE = 0xdd

/**
 * CLASP frames between END bytes (RFC 1055). A block must be exactly one frame. Devices send no END in front of a frame, so
 * that boot messages, or what a reset left of a frame, may stand before it in its block: then its end is looked at. Memory
 * is bounded by twice the largest frame. Source: transport reference §6.2.
 */
export class SlipReceiver {
  readonly counters: SerialCounters = { frames: 0, discardedBytes: 0, expired: 0 }
  private readonly maxPayloadBytes: number
  private readonly timeoutMs: number
  private readonly onFrame: (bytes: Uint8Array, start: number, end: number) => void
  private readonly lines: PrintableLines
  private readonly block: Uint8Array
  private length = 0
  private isEscaped = false
  /** An escape made no sense: the block cannot be trusted. */
  private isBroken = false
  private lastByteAt = 0

  /** The bytes that `onFrame` gets are the receiver's again when it returns. `onText` gets lines of printable text. */
  constructor(
    { maxPayloadBytes = 1024, timeoutMs = 250 }: RawReceiverOptions,
    onFrame: (bytes: Uint8Array, start: number, end: number) => void,
    onText: (line: string) => void = () => {},
  ) {
    this.maxPayloadBytes = maxPayloadBytes
    this.timeoutMs = timeoutMs
    this.onFrame = onFrame
    this.lines = new PrintableLines(onText)
    this.block = new Uint8Array(2 * (MAX_HEADER_BYTES + maxPayloadBytes))
  }

  receive(chunk: Uint8Array, nowMs: number): void {
    this.expire(nowMs)
    this.lastByteAt = nowMs
    for (let i = 0; i < chunk.length; i++) this.take(chunk[i])
  }

  /** Gives up a block on a line that has been silent for too long. */
  expire(nowMs: number): void {
    if (this.length === 0 && !this.isEscaped && !this.isBroken) return
    if (nowMs - this.lastByteAt < this.timeoutMs) return
    this.counters.expired++
    this.discard(this.length)
    this.lines.end()
    this.isEscaped = false
    this.isBroken = false
  }

  private take(byte: number): void {
    if (byte === END) {
      if (this.isBroken || this.isEscaped) this.discard(this.length)
      else this.endBlock()
      this.isEscaped = false
      this.isBroken = false
    } else if (this.isBroken) {
      this.counters.discardedBytes++
    } else if (this.isEscaped) {
      this.isEscaped = false
      if (byte === ESCAPED_END) this.put(END)
      else if (byte === ESCAPED_ESCAPE) this.put(ESCAPE)
      else this.isBroken = true
    } else if (byte === ESCAPE) this.isEscaped = true
    else this.put(byte)
  }

  private put(byte: number): void {
    // A frame at the end of the block fits into the second half.
    if (this.length === this.block.length) this.discard(this.length / 2)
    this.block[this.length++] = byte
  }

  private endBlock(): void {
    const { block, length } = this
    for (let at = 0; at < length; at++) {
      if (plausibleFrameBytes(block, at, length, this.maxPayloadBytes) !== length - at) continue
      // What stands behind something else must prove itself.
      if (at > 0 && decodeFrame(block, at, length) instanceof DecodeError) continue
      this.discard(at)
      this.lines.end()
      this.counters.frames++
      this.onFrame(block, 0, this.length)
      this.length = 0
      return
    }
    this.discard(length)
  }

  /** The first bytes of the block belong to no frame. */
  private discard(count: number): void {
    const { block } = this
    for (let i = 0; i < count; i++) this.lines.push(block[i])
    this.counters.discardedBytes += count
    block.copyWithin(0, count, this.length)
    this.length -= count
  }
}

/** Appends the frame `bytes[start, end)` between END bytes: the leading one ends whatever noise stands before it. */
export function slipEncode(bytes: Uint8Array, start: number, end: number, out: OutputBuffer): void {
  let at = out.reserve(2 * (end - start) + 2)
  const to = out.bytes
  to[at++] = END
  for (let i = start; i < end; i++) {
    const byte = bytes[i]
    if (byte === END || byte === ESCAPE) {
      to[at++] = ESCAPE
      to[at++] = byte === END ? ESCAPED_END : ESCAPED_ESCAPE
    } else to[at++] = byte
  }
  to[at++] = END
  out.length = at
}
