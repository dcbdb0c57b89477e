import { dataBytesOf, SYSEX_START } from './midi-status.ts'

/** Gear that was plugged in meanwhile waits for a status byte: it comes at least as often. */
const REPEAT_AFTER_MS = 300

/** Leaves out the status bytes of channel messages that are the same as the one before. */
export class RunningStatus {
  private status = 0
  private statusAt = 0

  /** `bytes`: whole messages, or SysEx. */
  shorten(bytes: Uint8Array, nowMs: number): Uint8Array {
    const first = bytes[0]
    if (first < 0x80 || first >= SYSEX_START) {
      this.status = 0
      return bytes
    }
    const short = new Uint8Array(bytes.length)
    let length = 0
    for (let at = 0; at < bytes.length; ) {
      const status = bytes[at]
      if (status !== this.status || nowMs - this.statusAt > REPEAT_AFTER_MS) {
        short[length++] = status
        this.status = status
        this.statusAt = nowMs
      }
      const end = at + 1 + dataBytesOf(status)
      for (at++; at < end; at++) short[length++] = bytes[at]
    }
    return short.subarray(0, length)
  }
}
