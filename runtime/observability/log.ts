import { type Clock, systemClock } from '../router/clock.ts'
import type { Log, LogFields } from '../router/log.ts'
import { colouredLine, journalLine, jsonLine, type LogFormatter, type LogLevel, plainLine } from './log-format.ts'
import { RepeatLimit } from './repeat-limit.ts'

export interface LogOptions {
  /** Events below it are dropped. */
  level: LogLevel
  /**
   * `text` is made for its reader: with `<N>` priorities and no time for the journal, coloured on a terminal, with UTC
   * elsewhere. `auto` is `text`. `json` is one object a line wherever it goes.
   */
  format: 'text' | 'json' | 'auto'
  /** Default: standard error. */
  stream?: LogStream
  clock?: Clock
  /** Default: those of the process. Read: JOURNAL_STREAM, INVOCATION_ID, NO_COLOR. */
  environment?: Readonly<Record<string, string | undefined>>
}

/** The part of a writable stream that a log needs. */
export interface LogStream {
  write(text: string): unknown
  on(event: 'error', listener: (error: Error) => void): unknown
  off(event: 'error', listener: (error: Error) => void): unknown
  readonly isTTY?: boolean
  readonly writableLength?: number
}

export interface EdgeLog extends Log {
  /** May be changed at any time. */
  level: LogLevel
  /** Writes what is held back and lets go of the stream. Later events are dropped. */
  close(): void
}

const RANK: Record<LogLevel, number> = { debug: 0, info: 1, warn: 2, error: 3 }
/** A reader that does not read costs lines, not memory. */
const MAX_UNREAD_BYTES = 1_048_576

/**
 * The log of the runtime: one line an event. A text that repeats more than ten times in ten seconds is counted instead of
 * written. Writing never throws: a log nobody reads must not take the router down.
 *
 * The field `stack` belongs to `error` events: JSON has it always, text only at level debug; elsewhere it is left out.
 */
export function createLog(options: LogOptions): EdgeLog {
  return new StreamLog(options)
}

class StreamLog implements EdgeLog {
  level: LogLevel
  private readonly stream: LogStream
  private readonly clock: Clock
  private readonly format: LogFormatter
  private readonly repeats: RepeatLimit
  private readonly ignoreError = (): void => {}
  private lost = 0
  private isClosed = false

  constructor({ level, format, stream = process.stderr, clock = systemClock, environment = process.env }: LogOptions) {
    this.level = level
    this.stream = stream
    this.clock = clock
    this.format = format === 'json' ? jsonLine : textFormatter(stream, environment)
    this.repeats = new RepeatLimit(clock, (key, count) => this.summarise(key, count))
    // Without a listener, EPIPE from a reader that went away would end the process.
    stream.on('error', this.ignoreError)
  }

  debug(message: string, fields?: LogFields): void {
    this.event('debug', message, fields)
  }

  info(message: string, fields?: LogFields): void {
    this.event('info', message, fields)
  }

  warn(message: string, fields?: LogFields): void {
    this.event('warn', message, fields)
  }

  error(message: string, fields?: LogFields): void {
    this.event('error', message, fields)
  }

  close(): void {
    if (this.isClosed) return
    this.repeats.flush()
    this.isClosed = true
    this.stream.off('error', this.ignoreError)
  }

  private event(level: LogLevel, message: string, fields: LogFields = {}): void {
    if (this.isClosed || RANK[level] < RANK[this.level] || !this.repeats.allows(`${level} ${message}`)) return
    const showsStack = level === 'error' && (this.format === jsonLine || this.level === 'debug')
    this.write(level, message, showsStack || fields.stack === undefined ? fields : { ...fields, stack: undefined })
  }

  private summarise(key: string, count: number): void {
    const space = key.indexOf(' ')
    const level = key.slice(0, space) as LogLevel
    this.write(level, `${key.slice(space + 1)} … ${count} more like this in 10 s`, {})
  }

  private write(level: LogLevel, message: string, fields: LogFields): void {
    if ((this.stream.writableLength ?? 0) > MAX_UNREAD_BYTES) {
      this.lost++
      return
    }
    if (this.lost > 0) {
      const lost = this.lost
      this.lost = 0
      this.write('warn', 'log lines were lost because their reader was too slow', { lines: lost })
    }
    try {
      this.stream.write(`${this.format({ time: this.clock.wallUs() / 1000, level, message, fields })}\n`)
    } catch {
      this.lost++
    }
  }
}

function textFormatter(stream: LogStream, environment: NonNullable<LogOptions['environment']>): LogFormatter {
  // A terminal started from a service inherits its variables, so what the stream is counts first.
  if (stream.isTTY) return environment.NO_COLOR ? plainLine : colouredLine
  return environment.JOURNAL_STREAM || environment.INVOCATION_ID ? journalLine : plainLine
}
