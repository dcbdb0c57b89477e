import type { DeviceClock } from '../device.ts'

const MOST_WAITING = 64

export interface SenderOptions {
  /** Time that a character takes on the wire, ms. */
  characterMs: number
  /** Between the end of a line and the next one, ms. */
  pauseMs: number
  send(bytes: Uint8Array): void
  /** More lines were written than the line can carry: this one is dropped. */
  onFull(): void
}

/** Sends lines no faster than the wire carries them, so that a client that writes too much fills no memory. */
export class LineSender {
  private readonly options: SenderOptions
  private readonly clock: DeviceClock
  private readonly waiting: Uint8Array[] = []
  private timer: { cancel(): void } | null = null

  constructor(options: SenderOptions, clock: DeviceClock) {
    this.options = options
    this.clock = clock
  }

  /** At most 64 wait. */
  put(bytes: Uint8Array): void {
    if (this.waiting.length >= MOST_WAITING) {
      this.options.onFull()
      return
    }
    this.waiting.push(bytes)
    if (this.timer === null) this.next()
  }

  stop(): void {
    this.timer?.cancel()
    this.timer = null
    this.waiting.length = 0
  }

  private next(): void {
    this.timer = null
    const bytes = this.waiting.shift()
    if (bytes === undefined) return
    this.options.send(bytes)
    const { characterMs, pauseMs } = this.options
    this.timer = this.clock.timer(bytes.length * characterMs + pauseMs, () => this.next())
  }
}
