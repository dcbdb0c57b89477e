import type { DeviceClock } from '../device.ts'

export type ButtonEvent = 'press' | 'release' | 'click' | 'double' | 'long' | 'repeat'

export interface ButtonTimes {
  /** Held for so long: `long`. */
  longMs: number
  /** Between `repeat`s after `long`; 0 = none. */
  repeatMs: number
  /** Two clicks within: `double` instead of the second `click`; 0 = never. */
  doubleMs: number
}

/**
 * Makes events of a debounced contact: `press` and `release` at once; `click` at the release, or when no second one can
 * follow any more; `double` with a count of 2, 3…; `long` once, then `repeat` with a rising count.
 * Source: bridges.md §20.3.
 */
export class ButtonMachine {
  private readonly times: ButtonTimes
  private readonly clock: DeviceClock
  private readonly emit: (event: ButtonEvent, count: number, heldMs: number) => void
  private timer: { cancel(): void } | null = null
  private isDown = false
  private isLong = false
  private pressedAt = 0
  private clicks = 0
  private repeats = 0

  constructor(
    times: ButtonTimes,
    clock: DeviceClock,
    emit: (event: ButtonEvent, count: number, heldMs: number) => void,
  ) {
    this.times = times
    this.clock = clock
    this.emit = emit
  }

  /** `atMs`: when the contact changed, on the clock of the runtime. */
  change(isDown: boolean, atMs: number): void {
    if (isDown === this.isDown) return
    this.isDown = isDown
    this.timer?.cancel()
    if (isDown) this.press(atMs)
    else this.release(atMs)
  }

  stop(): void {
    this.timer?.cancel()
  }

  private press(atMs: number): void {
    this.pressedAt = atMs
    this.isLong = false
    this.repeats = 0
    this.emit('press', 1, 0)
    this.wait(this.times.longMs - (this.clock.now() - atMs), () => this.long())
  }

  private release(atMs: number): void {
    const heldMs = Math.round(atMs - this.pressedAt)
    this.emit('release', 1, heldMs)
    if (this.isLong) {
      this.clicks = 0
      return
    }
    this.clicks++
    if (this.times.doubleMs === 0) {
      this.clicks = 0
      this.emit('click', 1, heldMs)
    } else if (this.clicks > 1) {
      this.emit('double', this.clicks, heldMs)
      this.wait(this.times.doubleMs, () => this.forgetClicks())
    } else {
      this.wait(this.times.doubleMs, () => {
        this.forgetClicks()
        this.emit('click', 1, heldMs)
      })
    }
  }

  private long(): void {
    // A click that waited for a second one will not get it.
    if (this.clicks === 1) this.emit('click', 1, 0)
    this.clicks = 0
    this.isLong = true
    this.emit('long', 1, this.heldMs)
    this.repeat()
  }

  private repeat(): void {
    const { repeatMs } = this.times
    if (repeatMs === 0) return
    this.wait(repeatMs, () => {
      this.emit('repeat', ++this.repeats, this.heldMs)
      this.repeat()
    })
  }

  private get heldMs(): number {
    return Math.round(this.clock.now() - this.pressedAt)
  }

  private forgetClicks(): void {
    this.clicks = 0
  }

  private wait(ms: number, then: () => void): void {
    this.timer = this.clock.timer(Math.max(0, ms), then)
  }
}
