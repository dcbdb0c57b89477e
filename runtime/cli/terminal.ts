/** Where a command writes to and reads from. */
export interface Terminal {
  /** One line of result. */
  line(text: string): void
  /** Text as it is, for full-screen views. */
  raw(text: string): void
  /** One line for the person at the keyboard. */
  note(text: string): void
  readonly input: NodeJS.ReadStream
  readonly isInteractive: boolean
  readonly columns: number
  readonly rows: number
  paint(style: Style, text: string): string
}

export type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan'

const CODES: Record<Style, number> = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 }

export function processTerminal(): Terminal {
  const { stdin, stdout, stderr, env } = process
  const hasColour = stdout.isTTY === true && !env.NO_COLOR && env.TERM !== 'dumb'
  return {
    line: (text) => void stdout.write(`${text}\n`),
    raw: (text) => void stdout.write(text),
    note: (text) => void stderr.write(`${text}\n`),
    input: stdin,
    isInteractive: stdout.isTTY === true,
    get columns() {
      return stdout.columns || 80
    },
    get rows() {
      return stdout.rows || 24
    },
    paint: (style, text) => (hasColour && text !== '' ? `\x1b[${CODES[style]}m${text}\x1b[0m` : text),
  }
}

/** Text from a peer, made harmless: it can neither begin a line nor drive the terminal. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029]/gu, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
  })
}
