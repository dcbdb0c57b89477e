/**
 * Frames out of what a UART receives, as the kernel marks it (PARMRK): FF 00 00 is a break, FF 00 x a byte with a framing
 * error, FF FF the byte FF. The first byte behind a break is the start code. Source: bridges.md §8.4, termios(3).
 */
const MARK = 0xff
const MAX_FRAME = 513

/** `data`: nothing special; `marked`: behind FF; `faulty`: behind FF 00. */
type Place = 'data' | 'marked' | 'faulty'

export class BreakFrames {
  /** Frames with a framing error, which are dropped. */
  faults = 0
  private readonly onFrame: (startCode: number, slots: Uint8Array) => void
  private readonly frame = new Uint8Array(MAX_FRAME)
  /** -1: waits for a break. */
  private length = -1
  private place: Place = 'data'

  /** The slots belong to the callee only during the call. A frame is handed over at the next break, or when it is full. */
  constructor(onFrame: (startCode: number, slots: Uint8Array) => void) {
    this.onFrame = onFrame
  }

  add(bytes: Uint8Array): void {
    for (let i = 0; i < bytes.length; i++) this.take(bytes[i])
  }

  private take(byte: number): void {
    if (this.place === 'faulty') {
      this.place = 'data'
      if (byte === 0) this.begin()
      else this.spoil()
    } else if (this.place === 'marked') {
      this.place = byte === 0 ? 'faulty' : 'data'
      if (byte === MARK) this.put(byte)
      else if (byte !== 0) this.spoil()
    } else if (byte === MARK) {
      this.place = 'marked'
    } else {
      this.put(byte)
    }
  }

  private begin(): void {
    this.finish()
    this.length = 0
  }

  private put(byte: number): void {
    if (this.length < 0) return
    this.frame[this.length++] = byte
    if (this.length === MAX_FRAME) this.finish()
  }

  private finish(): void {
    const { frame, length } = this
    this.length = -1
    if (length > 0) this.onFrame(frame[0], frame.subarray(1, length))
  }

  private spoil(): void {
    if (this.length >= 0) this.faults++
    this.length = -1
  }
}
