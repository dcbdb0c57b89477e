/** Hot path. */

import { CtrlBit } from './constants.ts'

const MAX_RETRIES = 8
const RETRY_MS = 60
const ACK_DELAY_MS = 5

/**
 * Sequence numbers of one session, both ways: go-back-N with four-bit numbers. What is sent is kept until it is
 * acknowledged; what is received counts only in its order. Knows no clock and no line: the link asks it what to do.
 */
export class ReliableChannel {
  /** Next number that we expect; goes out in every frame. */
  expected = 0
  /** When an acknowledgement must have left; Infinity: nothing to acknowledge. */
  ackAt = Infinity
  /** A NAK is due. */
  isGap = false
  retransmissions = 0
  /** Smoothed round trip, ms; 0: not known. */
  roundTripMs = 0
  /** When the oldest frame is sent again; Infinity: none is under way. */
  retryAt = Infinity
  private readonly frames: Uint8Array[]
  private readonly lengths: number[]
  private readonly sentAt: number[]
  private readonly window: number
  private readonly leastMs: number
  private oldest = 0
  /** The next one to be put on the line. */
  private cursor = 0
  private next = 0
  private retries = 0
  private hasNaked = false

  /** `lineMs`: least time for an acknowledgement to come, whatever was measured. */
  constructor(window: number, frameBytes: number, lineMs = 0) {
    this.window = window
    this.leastMs = Math.max(RETRY_MS, lineMs)
    this.frames = Array.from({ length: window }, () => new Uint8Array(frameBytes))
    this.lengths = new Array<number>(window).fill(0)
    this.sentAt = new Array<number>(window).fill(0)
  }

  get inFlight(): number {
    return (this.next - this.oldest) & 15
  }

  get hasRoom(): boolean {
    return this.inFlight < this.window
  }

  /** A frame waits for the line. */
  get isDue(): boolean {
    return this.cursor !== this.next
  }

  /** The memory for the next frame; fill it, then call `seal`. Only while there is room. */
  open(): Uint8Array {
    return this.frames[this.next % this.window]
  }

  /** Numbers the frame (CTRL SEQ BODY) that was written into `open()`. */
  seal(length: number): void {
    const place = this.next % this.window
    this.frames[place][1] = this.next << 4
    this.lengths[place] = length
    this.sentAt[place] = 0
    this.next = (this.next + 1) & 15
  }

  /** The frame that is to go on the line now. `takenLength` tells how long it is. */
  take(nowMs: number): Uint8Array {
    const place = this.cursor % this.window
    if (this.cursor === this.oldest) this.retryAt = nowMs + this.timeoutMs
    this.sentAt[place] = this.sentAt[place] === 0 && (this.frames[place][0] & CtrlBit.again) === 0 ? nowMs : -1
    this.takenLength = this.lengths[place]
    this.cursor = (this.cursor + 1) & 15
    return this.frames[place]
  }

  takenLength = 0

  /** The peer has everything in front of this number. */
  acknowledged(number: number, nowMs: number): void {
    const done = (number - this.oldest) & 15
    if (done === 0 || done > this.inFlight) return
    const sentAt = this.sentAt[((number - 1) & 15) % this.window]
    if (sentAt > 0) {
      const sample = nowMs - sentAt
      this.roundTripMs = this.roundTripMs === 0 ? sample : this.roundTripMs + (sample - this.roundTripMs) / 8
    }
    // An acknowledgement may overtake what is being sent again.
    if (done > ((this.cursor - this.oldest) & 15)) this.cursor = number
    this.oldest = number
    this.retries = 0
    this.retryAt = this.inFlight === 0 || this.cursor === this.oldest ? Infinity : nowMs + this.timeoutMs
  }

  /** Everything that is not acknowledged goes out again, in order. */
  rewind(): void {
    while (this.cursor !== this.oldest) {
      this.cursor = (this.cursor - 1) & 15
      this.frames[this.cursor % this.window][0] |= CtrlBit.again
      this.retransmissions++
    }
    this.retryAt = Infinity
  }

  /** The time of the oldest frame is over: false when it has been tried often enough. */
  retry(): boolean {
    if (this.retries >= MAX_RETRIES) return false
    this.retries++
    this.rewind()
    return true
  }

  /** A reliable frame came: true when it is the one that is expected. Everything else is answered and does not count. */
  accept(number: number, nowMs: number): boolean {
    if (number === this.expected) {
      this.expected = (number + 1) & 15
      this.hasNaked = false
      // The first may wait for company, the second not.
      this.ackAt = this.ackAt === Infinity ? nowMs + ACK_DELAY_MS : nowMs
      return true
    }
    if (((this.expected - number) & 15) <= 8) this.ackAt = nowMs
    else if (!this.hasNaked) {
      this.hasNaked = true
      this.isGap = true
    }
    return false
  }

  /** A frame leaves: it carries the acknowledgement. */
  carried(): void {
    this.ackAt = Infinity
  }

  private get timeoutMs(): number {
    return Math.max(this.leastMs, 2 * this.roundTripMs) * 2 ** Math.min(this.retries, 4)
  }
}
