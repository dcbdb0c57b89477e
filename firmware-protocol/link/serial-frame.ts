/** Hot path. */

import { CRC_BYTES, FrameClass } from './constants.ts'
import { CRC16_RESIDUE, crc16 } from './crc.ts'

/** Control frames are checked without the session's seed, so that they are understood before there is one. */
export function crcSeed(ctrl: number, session: number): number {
  return (ctrl & FrameClass.mask) === FrameClass.control ? 0xffff : 0xffff ^ session
}

/** Most bytes that a frame of so many bytes (CTRL SEQ BODY) takes on the line, delimiters included. */
export function serialBytes(frameBytes: number): number {
  return frameBytes + CRC_BYTES + Math.ceil((frameBytes + CRC_BYTES + 1) / 254) + 2
}

/**
 * Writes CTRL SEQ BODY as it goes on a serial line: COBS of frame and CRC (low byte first), then 00. With `isIdle` a 00
 * goes in front, which ends whatever noise the receiver has collected. Returns the offset behind it.
 */
export function putSerialFrame(
  out: Uint8Array,
  at: number,
  frame: Uint8Array,
  length: number,
  session: number,
  isIdle: boolean,
): number {
  const crc = ~crc16(frame, 0, length, crcSeed(frame[0], session)) & 0xffff
  let to = at
  if (isIdle) out[to++] = 0
  let codeAt = to++
  for (let i = 0; i < length + CRC_BYTES; i++) {
    const byte = i < length ? frame[i] : i === length ? crc & 0xff : crc >>> 8
    if (byte !== 0) out[to++] = byte
    if (byte === 0 || to - codeAt === 255) {
      out[codeAt] = to - codeAt
      codeAt = to++
    }
  }
  out[codeAt] = to - codeAt
  out[to++] = 0
  return to
}

export interface SerialReceiverEvents {
  /** CTRL SEQ BODY, checked. The bytes are the receiver's own again when the call returns. */
  onFrame(bytes: Uint8Array, start: number, end: number): void
  /** A block that is no frame but readable: what firmware prints. */
  onText(text: string): void
}

/** Counters only grow. */
export interface SerialCounters {
  frames: number
  /** Blocks whose CRC is wrong. */
  crcErrors: number
  /** Blocks that are not COBS, or too short for a frame. */
  malformed: number
  /** Blocks that are longer than our MRU. */
  oversize: number
}

const SHORTEST_FRAME = 4
const LONGEST_TEXT = 512

/** Cuts frames out of what a serial line brings. Whatever came before, it is in step again after the next 00. */
export class SerialReceiver {
  /** Seed of the data frames' CRC. */
  session = 0
  readonly counters: SerialCounters = { frames: 0, crcErrors: 0, malformed: 0, oversize: 0 }
  private readonly events: SerialReceiverEvents
  /** The block as it came, for text. */
  private readonly raw: Uint8Array
  private readonly frame: Uint8Array
  private readonly mru: number
  private length = 0
  private overrun = 0

  constructor(mru: number, events: SerialReceiverEvents) {
    this.mru = mru
    this.events = events
    this.raw = new Uint8Array(Math.max(LONGEST_TEXT, serialBytes(mru)))
    this.frame = new Uint8Array(this.raw.length)
  }

  receive(bytes: Uint8Array): void {
    const { raw } = this
    let start = 0
    for (;;) {
      const end = bytes.indexOf(0, start)
      const stop = end < 0 ? bytes.length : end
      const count = stop - start
      if (this.length + count <= raw.length) {
        if (count > 0) raw.set(start === 0 && stop === bytes.length ? bytes : bytes.subarray(start, stop), this.length)
        this.length += count
      } else {
        this.overrun += count
      }
      if (end < 0) return
      if (this.length > 0 || this.overrun > 0) this.block()
      start = end + 1
    }
  }

  /** Forgets a block that has begun: the line is a new one. */
  reset(): void {
    this.length = 0
    this.overrun = 0
  }

  private block(): void {
    const { counters, raw, frame } = this
    const count = this.length
    const isOverrun = this.overrun > 0
    this.reset()
    if (isOverrun) {
      counters.oversize++
      return
    }
    let length = 0
    let at = 0
    while (at < count) {
      const code = raw[at]
      const stop = at + code
      if (stop > count) {
        counters.malformed++
        this.text(count)
        return
      }
      for (at++; at < stop; at++) frame[length++] = raw[at]
      if (code !== 255 && at < count) frame[length++] = 0
    }
    if (length > this.mru) {
      counters.oversize++
      this.text(count)
    } else if (length < SHORTEST_FRAME) {
      counters.malformed++
      this.text(count)
    } else if (crc16(frame, 0, length, crcSeed(frame[0], this.session)) !== CRC16_RESIDUE) {
      counters.crcErrors++
      this.text(count)
    } else {
      counters.frames++
      this.events.onFrame(frame, 0, length - CRC_BYTES)
    }
  }

  private text(count: number): void {
    const { raw } = this
    for (let i = 0; i < count; i++) {
      const byte = raw[i]
      if ((byte < 0x20 || byte > 0x7e) && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return
    }
    const text = String.fromCharCode(...raw.subarray(0, count)).trim()
    if (text !== '') this.events.onText(text)
  }
}
