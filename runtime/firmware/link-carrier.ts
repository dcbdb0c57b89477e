/** Hot path: `send`. */

import { LARGEST_MRU } from '../../firmware-protocol/link/constants.ts'
import type { Carrier } from '../../firmware-protocol/link/host-link.ts'
import { putSerialFrame, serialBytes } from '../../firmware-protocol/link/serial-frame.ts'
import type { Clock } from '../router/clock.ts'

/** What the carrier needs of a serial port. */
export interface ByteSink {
  /** Bytes that wait in the process. */
  readonly backlogBytes: number
  /** Copies the bytes. */
  write(bytes: Uint8Array): void
  setBaudRate(baud: number): Promise<void>
}

/** A sender that was silent for so long ends whatever the line has collected meanwhile with a delimiter. */
const IDLE_MS = 20
/** What may wait in the process where the line itself has no speed (USB, pty). */
const MAX_BACKLOG_BYTES = 2048
/** A line that takes nothing: what is sent on is lost, as it would be on a line that is cut. */
const STUCK_BYTES = 16_384
/** What may wait on a line that has one: a newer value overtakes what has not been written yet. */
const MAX_AHEAD_MS = 4

/** Frames of the link on a serial line: COBS and CRC, paced to what the line can take. */
export class SerialCarrier implements Carrier {
  readonly mru: number
  readonly counters = { bytesOut: 0, unsent: 0 }
  /** In use now, whether or not it means anything on this line. */
  baudRate: number
  session = 0
  private readonly port: ByteSink
  private readonly clock: Clock
  private readonly onSession: (session: number) => void
  /** 0: the line has no speed of its own. */
  private baud: number
  private readonly buffer = new Uint8Array(serialBytes(LARGEST_MRU))
  private sentAt = Number.NEGATIVE_INFINITY
  private freeAt = 0
  private switching: Promise<void> | null = null

  constructor(
    port: ByteSink,
    mru: number,
    baudRate: number,
    isPaced: boolean,
    clock: Clock,
    onSession: (session: number) => void,
  ) {
    this.port = port
    this.mru = mru
    this.baudRate = baudRate
    this.baud = isPaced ? baudRate : 0
    this.clock = clock
    this.onSession = onSession
  }

  setSession(session: number): void {
    this.session = session
    this.onSession(session)
  }

  busyMs(nowMs: number): number {
    if (this.switching !== null) return 5
    // The port tells when it has drained; this is for the case that it never does.
    const blockedMs = this.port.backlogBytes > MAX_BACKLOG_BYTES ? 50 : 0
    return this.baud === 0 ? blockedMs : Math.max(blockedMs, this.freeAt - nowMs - MAX_AHEAD_MS)
  }

  lineMs(bytes: number): number {
    return this.baud > 0 ? (bytes * 10_000) / this.baud : 0
  }

  send(frame: Uint8Array, length: number): void {
    if (this.port.backlogBytes > STUCK_BYTES) {
      this.counters.unsent++
      return
    }
    const now = this.clock.now()
    const end = putSerialFrame(this.buffer, 0, frame, length, this.session, now - this.sentAt > IDLE_MS)
    this.sentAt = now
    this.counters.bytesOut += end
    if (this.baud > 0) this.freeAt = Math.max(now, this.freeAt) + (end * 10_000) / this.baud
    this.port.write(this.buffer.subarray(0, end))
  }

  setBaud(baud: number): void {
    if (this.baud > 0) this.baud = baud
    this.baudRate = baud
    const change = this.port.setBaudRate(baud).catch(() => {
      // The speed test that follows fails, and says so.
    })
    this.switching = change
    void change.then(() => {
      if (this.switching === change) this.switching = null
    })
  }
}
