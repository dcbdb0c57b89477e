/** How lines end. `newline`: CR, LF or both, whichever comes. */
export type Separator = 'newline' | 'lf' | 'cr' | 'nul' | 'etx'

export const SEPARATORS: readonly Separator[] = ['newline', 'lf', 'cr', 'nul', 'etx']

export type Encoding = 'utf-8' | 'latin1'

/** Longer lines are no lines: the baud rate is wrong, or the other end sends no text. */
const LONGEST_BYTES = 4096
const LF = 0x0a
const CR = 0x0d
const ENDS: Readonly<Record<Separator, readonly number[]>> = {
  newline: [LF, CR],
  lf: [LF],
  cr: [CR],
  nul: [0x00],
  etx: [0x03],
}

interface SplitterOptions {
  separator: Separator
  encoding: Encoding
  onLine(line: string): void
  /** A line was longer than 4096 bytes and is left out. */
  onTooLong(): void
}

/** Cuts what a port receives into lines, without their ends; empty ones are left out. */
export class LineSplitter {
  private readonly options: SplitterOptions
  private readonly ends: readonly number[]
  private readonly bytes = Buffer.alloc(LONGEST_BYTES)
  private length = 0
  private isSkipping = false

  constructor(options: SplitterOptions) {
    this.options = options
    this.ends = ENDS[options.separator]
  }

  push(bytes: Uint8Array): void {
    for (const byte of bytes) {
      if (this.ends.includes(byte)) this.end()
      else this.add(byte)
    }
  }

  private end(): void {
    const { length, isSkipping } = this
    this.length = 0
    this.isSkipping = false
    if (isSkipping || length === 0) return
    const { encoding, separator, onLine } = this.options
    const text = this.bytes.toString(encoding, 0, length)
    // Only the other half of a line end is cut: a device may send blanks on purpose.
    const line = separator === 'lf' ? text.replace(/\r$/, '') : separator === 'cr' ? text.replace(/^\n/, '') : text
    if (line !== '') onLine(line)
  }

  private add(byte: number): void {
    if (this.isSkipping) return
    if (this.length === LONGEST_BYTES) {
      this.isSkipping = true
      this.options.onTooLong()
      return
    }
    this.bytes[this.length++] = byte
  }
}
