/** Longest line that is passed on; the rest of it is lost. */
const MAX_LINE_BYTES = 200
/** Shorter runs of printable bytes are noise. */
const MIN_LINE_BYTES = 4

/** Finds the lines of text (boot messages, debug prints) among bytes that belong to no frame. */
export class PrintableLines {
  private readonly onText: (line: string) => void
  private line = ''

  constructor(onText: (line: string) => void) {
    this.onText = onText
  }

  push(byte: number): void {
    if ((byte >= 0x20 && byte < 0x7f) || byte === 0x09) {
      if (this.line.length < MAX_LINE_BYTES) this.line += String.fromCharCode(byte)
    } else if (byte === 0x0a || byte === 0x0d) this.end()
    else this.line = ''
  }

  /** Something else follows: what is there is a line. */
  end(): void {
    const { line } = this
    this.line = ''
    if (line.length >= MIN_LINE_BYTES) this.onText(line)
  }
}
