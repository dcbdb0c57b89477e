import type { DeviceClock } from '../device.ts'

const ESCAPE = 1
const BACKSPACE = 14
/** Tab, Enter, and Enter of the numeric keypad. */
const ENDS = [15, 28, 96]
const SHIFTS = [42, 54]
/** A QR code has up to 4296 letters and digits. */
const LONGEST = 4296

/**
 * Characters of keys with consecutive codes, without and with Shift, on a US keyboard: that is what readers imitate
 * unless they are set to something else.
 */
const ROWS: readonly (readonly [first: number, plain: string, shifted: string])[] = [
  [2, '1234567890-=', '!@#$%^&*()_+'],
  [16, 'qwertyuiop[]', 'QWERTYUIOP{}'],
  [30, "asdfghjkl;'`", 'ASDFGHJKL:"~'],
  [43, '\\zxcvbnm,./', '|ZXCVBNM<>?'],
  [55, '*', '*'],
  [57, ' ', ' '],
  [71, '789-456+1230.', '789-456+1230.'],
  [98, '/', '/'],
  [0x200, '0123456789*#', '0123456789*#'],
]

/** Collects what is typed, or what a reader of cards or codes types, until Enter or Tab. Escape forgets it. */
export class TypedText {
  private readonly idleMs: number
  private readonly clock: DeviceClock
  private readonly onText: (text: string) => void
  private readonly shifts = new Set<number>()
  private timer: { cancel(): void } | null = null
  private text = ''

  /** What is not finished is forgotten when no key comes for `idleMs`. */
  constructor(idleMs: number, clock: DeviceClock, onText: (text: string) => void) {
    this.idleMs = idleMs
    this.clock = clock
    this.onText = onText
  }

  key(code: number, isDown: boolean): void {
    if (SHIFTS.includes(code)) {
      if (isDown) this.shifts.add(code)
      else this.shifts.delete(code)
    } else if (isDown) {
      this.press(code)
    }
  }

  stop(): void {
    this.timer?.cancel()
  }

  private press(code: number): void {
    this.timer?.cancel()
    const { text } = this
    if (ENDS.includes(code)) {
      this.text = ''
      if (text !== '') this.onText(text)
      return
    }
    if (code === ESCAPE) this.text = ''
    else if (code === BACKSPACE) this.text = text.slice(0, -1)
    else this.text = (text + this.character(code)).slice(0, LONGEST)
    this.timer = this.clock.timer(this.idleMs, () => {
      this.text = ''
    })
  }

  /** '' of keys that write nothing. */
  private character(code: number): string {
    for (const [first, plain, shifted] of ROWS) {
      const at = code - first
      if (at >= 0 && at < plain.length) return this.shifts.size > 0 ? shifted[at] : plain[at]
    }
    return ''
  }
}
