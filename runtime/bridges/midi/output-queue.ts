/** Hot path: `push` runs once per message to a port. */

import type { Clock, Timer } from '../../router/clock.ts'
import type { MidiPort } from './midi-port.ts'
import { NOTE_OFF, SYSEX_END, SYSEX_START } from './midi-status.ts'
import { RunningStatus } from './running-status.ts'

const MAX_MESSAGES = 1024
/** Of SysEx that waits; its parts count as they leave. */
const MAX_SYSEX_BYTES = 262_144
/** What the driver may have before the line is idle: a timer may be late by so much. */
const AHEAD_MS = 3
/** Real-time bytes go between these. The ALSA library's parser takes no more at a time. */
const SYSEX_PART_BYTES = 32
const MAX_BACKLOG_BYTES = 4096
/** How often a port that takes nothing is asked again. */
const BACKLOG_PAUSE_MS = 5

export interface OutputPace {
  /** Undefined: no limit. */
  readonly bytesPerS: number | undefined
  /** Of SysEx; undefined: no limit. */
  readonly sysExBytesPerS: number | undefined
  readonly runningStatus: boolean
}

interface Waiting {
  readonly bytes: Uint8Array
  /** SysEx: so many bytes have left. */
  sent: number
}

/**
 * Sends no faster than the gear can take it. Of messages with the same key only the last one waits; those without are
 * kept in order. When too many wait, the oldest of these goes that is no note off. Real-time bytes pass all others. Source:
 * bridges.md §4.4 (DIN pacing).
 */
export class OutputQueue {
  /** When something was written last. */
  writtenAt = 0
  private readonly port: MidiPort
  private readonly clock: Clock
  private readonly onDropped: () => void
  private readonly msPerByte: number
  private readonly sysExMsPerByte: number
  private readonly runningStatus: RunningStatus | null
  /** In order; keys of what may not be replaced are negative. */
  private readonly waiting = new Map<number, Waiting>()
  private sysExBytes = 0
  private nextOwnKey = -1
  /** When the line has sent what it was given. */
  private freeAt = 0
  private timer: Timer | null = null

  constructor(port: MidiPort, pace: OutputPace, clock: Clock, onDropped: () => void) {
    this.port = port
    this.clock = clock
    this.onDropped = onDropped
    this.msPerByte = pace.bytesPerS === undefined ? 0 : 1000 / pace.bytesPerS
    this.sysExMsPerByte = pace.sysExBytesPerS === undefined ? 0 : 1000 / pace.sysExBytesPerS
    this.runningStatus = pace.runningStatus ? new RunningStatus() : null
  }

  get size(): number {
    return this.waiting.size
  }

  has(key: number): boolean {
    return this.waiting.has(key)
  }

  /** Whole messages. `key`: replaces what waits with the same one; undefined: replaces nothing. The bytes are kept. */
  push(bytes: Uint8Array, key?: number): void {
    const isSysEx = bytes[0] === SYSEX_START
    if (isSysEx && this.sysExBytes + bytes.length > MAX_SYSEX_BYTES) {
      this.onDropped()
      return
    }
    const isNewer = key !== undefined && this.waiting.delete(key)
    if (!isNewer && this.waiting.size >= MAX_MESSAGES) this.dropOldest()
    if (isSysEx) this.sysExBytes += bytes.length
    this.waiting.set(key ?? this.nextOwnKey--, { bytes, sent: 0 })
    if (this.timer === null) this.pump()
  }

  /** F8 and above. */
  realTime(status: number): void {
    if (this.port.backlogBytes > MAX_BACKLOG_BYTES) this.onDropped()
    else this.write(Uint8Array.of(status), this.msPerByte)
  }

  /** Forgets what waits; SysEx of which a part has left gets its end. */
  clear(): void {
    this.timer?.cancel()
    this.timer = null
    for (const { sent } of this.waiting.values()) {
      if (sent > 0) this.port.write(Uint8Array.of(SYSEX_END))
    }
    this.waiting.clear()
    this.sysExBytes = 0
  }

  private readonly pump = (): void => {
    this.timer = null
    for (const [key, message] of this.waiting) {
      if (this.port.backlogBytes > MAX_BACKLOG_BYTES) {
        this.timer = this.clock.timer(BACKLOG_PAUSE_MS, this.pump)
        return
      }
      if (message.bytes[0] === SYSEX_START) {
        if (!this.sendSysEx(message)) return
        this.sysExBytes -= message.bytes.length
      } else {
        if (this.isAhead()) return
        const { bytes } = message
        this.write(this.runningStatus?.shorten(bytes, this.clock.now()) ?? bytes, this.msPerByte)
      }
      this.waiting.delete(key)
    }
  }

  /** Returns false while there is more of it. */
  private sendSysEx(message: Waiting): boolean {
    const { bytes } = message
    while (message.sent < bytes.length) {
      if (this.isAhead()) return false
      if (this.port.backlogBytes > MAX_BACKLOG_BYTES) {
        this.timer = this.clock.timer(BACKLOG_PAUSE_MS, this.pump)
        return false
      }
      const part = bytes.subarray(message.sent, message.sent + SYSEX_PART_BYTES)
      this.runningStatus?.shorten(part, 0)
      message.sent += part.length
      this.write(part, this.sysExMsPerByte)
    }
    return true
  }

  /** The line has enough to do; it goes on later. */
  private isAhead(): boolean {
    const left = this.freeAt - this.clock.now()
    if (left <= AHEAD_MS) return false
    this.timer = this.clock.timer(left - AHEAD_MS, this.pump)
    return true
  }

  private write(bytes: Uint8Array, msPerByte: number): void {
    const now = this.clock.now()
    this.writtenAt = now
    this.freeAt = Math.max(this.freeAt, now) + bytes.length * msPerByte
    this.port.write(bytes)
  }

  private dropOldest(): void {
    let oldest: number | undefined
    for (const [key, { bytes, sent }] of this.waiting) {
      if (sent > 0) continue
      oldest ??= key
      // What has a key is a value that the gear would never get.
      if (key >= 0 || (bytes[0] & 0xf0) === NOTE_OFF) continue
      oldest = key
      break
    }
    if (oldest === undefined) return
    const { bytes } = this.waiting.get(oldest) as Waiting
    if (bytes[0] === SYSEX_START) this.sysExBytes -= bytes.length
    this.waiting.delete(oldest)
    this.onDropped()
  }
}
