/** Hot path: `push` runs once per read of a port. */

import type { Clock } from '../../router/clock.ts'
import { CLOCK, dataBytesOf, SYSEX_END, SYSEX_START } from './midi-status.ts'

/** With F0 and F7. */
export const MAX_SYSEX_BYTES = 65_536
const SYSEX_GAP_MS = 1000
const FIRST_BUFFER_BYTES = 256

/** Takes messages as they are complete. */
export interface MidiSink {
  /** `kind`: status without the channel; `second` is 0 where the message has one byte. */
  onChannelMessage(kind: number, channel: number, first: number, second: number): void
  /** F1, F2, F3 and F6; what it does not have is 0. */
  onSystemCommon(status: number, first: number, second: number): void
  onRealTime(status: number): void
  /** F0 … F7. Belongs to the callee only during the call. */
  onSysEx(bytes: Uint8Array): void
  /** So many bytes belonged to no message. */
  onDropped(bytes: number): void
}

/**
 * A MIDI cable's stream of bytes. Running status holds for channel messages; real-time bytes may be anywhere, also within
 * SysEx, and change nothing else. Data bytes without a status, SysEx above 64 KiB and SysEx that pauses for more than 1 s
 * or has no end are dropped. Source: MIDI 1.0 Detailed Specification 4.2, appendix A; bridges.md §4.4.
 */
export class MidiParser {
  private readonly sink: MidiSink
  private readonly clock: Clock
  /** 0: data bytes belong to nothing. */
  private status = 0
  private needed = 0
  /** First data byte of a message with two; -1: not there yet. */
  private first = -1
  private sysEx = new Uint8Array(FIRST_BUFFER_BYTES)
  /** -1: not within SysEx. */
  private sysExLength = -1
  private lastAt = 0

  constructor(sink: MidiSink, clock: Clock) {
    this.sink = sink
    this.clock = clock
  }

  push(bytes: Uint8Array): void {
    const now = this.clock.now()
    if (this.sysExLength >= 0 && now - this.lastAt > SYSEX_GAP_MS) this.dropSysEx()
    this.lastAt = now
    for (let at = 0; at < bytes.length; at++) {
      const byte = bytes[at]
      if (byte < 0x80) this.data(byte)
      else if (byte >= CLOCK) this.realTime(byte)
      else this.begin(byte)
    }
  }

  private realTime(status: number): void {
    // F9 and FD mean nothing.
    if (status === 0xf9 || status === 0xfd) this.sink.onDropped(1)
    else this.sink.onRealTime(status)
  }

  private begin(status: number): void {
    if (this.first >= 0) this.sink.onDropped(1)
    this.first = -1
    if (status === SYSEX_END && this.sysExLength >= 0) {
      this.endSysEx()
      return
    }
    if (this.sysExLength >= 0) this.dropSysEx()
    this.status = 0
    if (status === SYSEX_START) {
      this.sysEx[0] = status
      this.sysExLength = 1
      return
    }
    this.needed = dataBytesOf(status)
    if (this.needed < 0) this.sink.onDropped(1)
    else if (this.needed === 0) this.sink.onSystemCommon(status, 0, 0)
    else this.status = status
  }

  private data(byte: number): void {
    if (this.sysExLength >= 0) this.appendSysEx(byte)
    else if (this.status === 0) this.sink.onDropped(1)
    else if (this.needed === 1) this.complete(byte, 0)
    else if (this.first < 0) this.first = byte
    else this.complete(this.first, byte)
  }

  private complete(first: number, second: number): void {
    const { status } = this
    this.first = -1
    if (status < SYSEX_START) {
      this.sink.onChannelMessage(status & 0xf0, status & 0x0f, first, second)
    } else {
      this.status = 0
      this.sink.onSystemCommon(status, first, second)
    }
  }

  private appendSysEx(byte: number): void {
    // One byte is left for F7.
    if (this.sysExLength === MAX_SYSEX_BYTES - 1) {
      this.dropSysEx()
      this.sink.onDropped(1)
      return
    }
    if (this.sysExLength === this.sysEx.length) this.growSysEx()
    this.sysEx[this.sysExLength++] = byte
  }

  private growSysEx(): void {
    const larger = new Uint8Array(Math.min(MAX_SYSEX_BYTES, this.sysEx.length * 4))
    larger.set(this.sysEx)
    this.sysEx = larger
  }

  private endSysEx(): void {
    if (this.sysExLength === this.sysEx.length) this.growSysEx()
    this.sysEx[this.sysExLength] = SYSEX_END
    const bytes = this.sysEx.subarray(0, this.sysExLength + 1)
    this.forgetSysEx()
    this.sink.onSysEx(bytes)
  }

  private dropSysEx(): void {
    this.sink.onDropped(this.sysExLength)
    this.forgetSysEx()
  }

  private forgetSysEx(): void {
    this.sysExLength = -1
    this.status = 0
    if (this.sysEx.length > FIRST_BUFFER_BYTES) this.sysEx = new Uint8Array(FIRST_BUFFER_BYTES)
  }
}
