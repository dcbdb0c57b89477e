import { Control } from './constants.ts'

/** Echoed by the device at the new speed: every bit both ways, and bytes that noise would not make. */
const TEST = [0x00, 0xff, 0x55, 0xaa, 0x0f, 0xf0, 0x01, 0x80]
/** A device that has agreed listens at the new speed for 515 ms: asked earlier, it would not hear. */
const ASK_AGAIN_MS = 600
const ASKS = 3
const SWITCH_MS = 25
const TEST_EVERY_MS = 50
const TEST_MS = 500

/**
 * One change of a serial line's speed: ask, switch after the device agreed, test, and go back to the first speed when
 * the device is not heard there. The device does the same on its side. README, "Speed change".
 */
export class SpeedChange {
  readonly baud: number
  dueAt = 0
  private readonly base: number
  private readonly line: { send(subtype: number, body: readonly number[]): void; setBaud(baud: number): void }
  private state: 'asking' | 'agreed' | 'testing' = 'asking'
  private asks = 0
  private until = 0

  constructor(baud: number, base: number, line: SpeedChange['line']) {
    this.baud = baud
    this.base = base
    this.line = line
  }

  start(nowMs: number): void {
    this.ask(nowMs)
  }

  /** False: it did not work; the line is at its first speed again. */
  poll(nowMs: number): boolean {
    if (nowMs < this.dueAt) return true
    if (this.state === 'asking') {
      if (this.asks >= ASKS) return false
      this.ask(nowMs)
    } else if (this.state === 'agreed') {
      this.line.setBaud(this.baud)
      this.state = 'testing'
      this.until = nowMs + TEST_MS
      this.test(nowMs)
    } else if (nowMs < this.until) {
      this.test(nowMs)
    } else {
      this.line.setBaud(this.base)
      return false
    }
    return true
  }

  /** True: the device answered at the new speed. */
  receive(subtype: number, nowMs: number): boolean {
    if (subtype === Control.baudOk && this.state === 'asking') {
      this.state = 'agreed'
      // The device waits 15 ms for its last byte to leave, then listens.
      this.dueAt = nowMs + SWITCH_MS
    }
    return subtype === Control.baudTest && this.state === 'testing'
  }

  private ask(nowMs: number): void {
    this.asks++
    this.dueAt = nowMs + ASK_AGAIN_MS
    const { baud } = this
    this.line.send(Control.baudRequest, [baud >>> 24, (baud >>> 16) & 0xff, (baud >>> 8) & 0xff, baud & 0xff])
  }

  private test(nowMs: number): void {
    this.dueAt = nowMs + TEST_EVERY_MS
    this.line.send(Control.baudTest, TEST)
  }
}
