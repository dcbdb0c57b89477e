import type { LogFields } from '../router/log.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

export interface LogEvent {
  /** Milliseconds since the Unix epoch. */
  time: number
  level: LogLevel
  message: string
  fields: LogFields
}

/** Turns an event into one line without its line feed. */
export type LogFormatter = (event: LogEvent) => string

/** Syslog severities, as journald reads them from `<N>` at the start of a line (sd-daemon(3)). */
const PRIORITY: Record<LogLevel, number> = { debug: 7, info: 6, warn: 4, error: 3 }
const COLOUR: Record<LogLevel, string> = { debug: '\x1b[2m', info: '\x1b[32m', warn: '\x1b[33m', error: '\x1b[31m' }
const DIM = '\x1b[2m'
const RESET = '\x1b[0m'

/** For the journal, which stamps lines itself. */
export const journalLine: LogFormatter = ({ level, message, fields }) =>
  `<${PRIORITY[level]}>${escapeControls(message)}${pairs(fields)}`

/** For files and pipes: UTC, so that lines of several boards can be merged. */
export const plainLine: LogFormatter = ({ time, level, message, fields }) =>
  `${new Date(time).toISOString()} ${level.padEnd(5)} ${escapeControls(message)}${pairs(fields)}`

/** For the person who reads along: local time of day, coloured levels. */
export const colouredLine: LogFormatter = ({ time, level, message, fields }) =>
  `${DIM}${timeOfDay(new Date(time))}${RESET} ${COLOUR[level]}${level.padEnd(5)}${RESET} ` +
  `${escapeControls(message)}${DIM}${pairs(fields)}${RESET}`

/** One object: `time` (ISO 8601), `level`, `message`, then the fields; a field of such a name gets a `_` behind it. */
export const jsonLine: LogFormatter = ({ time, level, message, fields }) => {
  const line: Record<string, unknown> = { time: new Date(time).toISOString(), level, message }
  for (const [key, value] of Object.entries(fields)) {
    if (value !== undefined) line[Object.hasOwn(line, key) ? `${key}_` : key] = value
  }
  return JSON.stringify(line)
}

function pairs(fields: LogFields): string {
  let text = ''
  for (const [key, value] of Object.entries(fields)) {
    if (value === undefined) continue
    text += ` ${escapeControls(key)}=${typeof value === 'string' ? quoted(value) : String(value)}`
  }
  return text
}

function quoted(value: string): string {
  const isPlain = value !== '' && !/[\s"=\\]/.test(value)
  return escapeControls(isPlain ? value : `"${value.replace(/["\\]/g, '\\$&')}"`)
}

/**
 * Peers choose names and addresses, so what they send must neither start a line of its own nor drive the terminal:
 * C0, DEL, C1 and the Unicode line and paragraph separators become escapes.
 */
function escapeControls(text: string): string {
  return text.replace(CONTROLS, (character) => {
    if (character === '\n') return '\\n'
    if (character === '\r') return '\\r'
    if (character === '\t') return '\\t'
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
  })
}

const CONTROLS = /[\p{Cc}\u2028\u2029]/gu

function timeOfDay(date: Date): string {
  const two = (n: number) => String(n).padStart(2, '0')
  const milliseconds = String(date.getMilliseconds()).padStart(3, '0')
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${milliseconds}`
}
