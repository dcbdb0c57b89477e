import { DecodeError } from '../../firmware-protocol/wire/errors.ts'
import { decodeFrame } from '../../firmware-protocol/wire/frame.ts'
import { PrintableLines } from './printable-lines.ts'
import { INCOMPLETE, MAX_HEADER_BYTES, NOT_A_FRAME, plausibleFrameBytes } from './serial-frame.ts'

export interface RawReceiverOptions {
  /** A header that announces more is noise. Default 1024. */
  maxPayloadBytes?: number
  /** How old a partial frame may get. Default 250; below 38 400 baud a full frame takes longer than that. */
  timeoutMs?: number
}

/** Counters only grow. */
export interface SerialCounters {
  frames: number
  /** Bytes that belonged to no frame, text included. */
  discardedBytes: number
  /** Partial frames that were given up because the rest did not come. */
  expired: number
}

/**
 * Bare CLASP frames on a noisy line: whatever does not begin like a frame is skipped, and what does must decode. Otherwise
 * the search goes on one byte behind the false beginning, so that a frame inside is found. Memory is bounded by the
 * largest frame. Source: transport reference §6.2, wire reference §2.4.
 */
export class RawReceiver {
  readonly counters: SerialCounters = { frames: 0, discardedBytes: 0, expired: 0 }
  private readonly maxPayloadBytes: number
  private readonly timeoutMs: number
  private readonly onFrame: (bytes: Uint8Array, start: number, end: number) => void
  private readonly lines: PrintableLines
  private readonly bytes: Uint8Array
  private length = 0
  /** When the partial frame at the start of `bytes` was first seen, and when the last byte came. */
  private partialSince = 0
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
    this.bytes = new Uint8Array(2 * (MAX_HEADER_BYTES + maxPayloadBytes))
  }

  receive(chunk: Uint8Array, nowMs: number): void {
    this.expire(nowMs)
    this.lastByteAt = nowMs
    let at = 0
    while (at < chunk.length) {
      // There is room: what is left after a scan is less than one frame.
      const next = Math.min(chunk.length, at + this.bytes.length - this.length)
      this.bytes.set(chunk.subarray(at, next), this.length)
      if (this.length === 0) this.partialSince = nowMs
      this.length += next - at
      at = next
      this.scan(0, nowMs)
    }
  }

  /** To be called now and then, so that a frame behind a false beginning does not wait for more bytes. */
  expire(nowMs: number): void {
    while (this.length > 0 && nowMs - this.partialSince >= this.timeoutMs) {
      this.counters.expired++
      this.discard(this.bytes[0])
      this.scan(1, nowMs)
      // On a silent line, what is left is as old.
      if (nowMs - this.lastByteAt >= this.timeoutMs) this.partialSince = this.lastByteAt
    }
  }

  private scan(start: number, nowMs: number): void {
    const { bytes, length } = this
    let at = start
    while (at < length) {
      const need = plausibleFrameBytes(bytes, at, length, this.maxPayloadBytes)
      if (need === INCOMPLETE || at + need > length) break
      if (need === NOT_A_FRAME || decodeFrame(bytes, at, at + need) instanceof DecodeError) {
        this.discard(bytes[at])
        at++
      } else {
        this.lines.end()
        this.counters.frames++
        this.onFrame(bytes, at, at + need)
        at += need
      }
    }
    if (at > 0) this.partialSince = nowMs
    bytes.copyWithin(0, at, length)
    this.length = length - at
  }

  private discard(byte: number): void {
    this.counters.discardedBytes++
    this.lines.push(byte)
  }
}
