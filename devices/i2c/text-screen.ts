import { font6x8, type Glyphs } from './font-6x8.ts'

const CELL = 6

/** Lines of text as pixels, one line a page of `width` bytes; each byte is 8 pixels from top to bottom. */
export class TextScreen {
  readonly lines: readonly string[]
  private readonly width: number
  private readonly glyphs: Glyphs

  constructor(width: number, lines: readonly string[], glyphs: Glyphs = font6x8()) {
    this.width = width
    this.lines = lines
    this.glyphs = glyphs
  }

  /** Of a text with line breaks; what does not fit is cut off. */
  withText(text: string): TextScreen {
    const given = text.split(/\r?\n/)
    return this.with(this.lines.map((_, at) => given[at] ?? ''))
  }

  withLine(at: number, line: string): TextScreen {
    return this.with(this.lines.with(at, line.split(/\r?\n/)[0]))
  }

  /** Without the empty lines at the end. */
  get text(): string {
    return this.lines.join('\n').replace(/\n+$/, '')
  }

  get frame(): Uint8Array {
    const { width, lines, glyphs } = this
    const frame = new Uint8Array(width * lines.length)
    for (const [row, line] of lines.entries()) {
      for (const [at, character] of [...line.normalize('NFC')].slice(0, Math.floor(width / CELL)).entries()) {
        frame.set(glyphs(character), row * width + at * CELL)
      }
    }
    return frame
  }

  private with(lines: readonly string[]): TextScreen {
    return new TextScreen(this.width, lines, this.glyphs)
  }
}
