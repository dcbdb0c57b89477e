import type { Clock } from '../router/clock.ts'
import type { Log, LogFields } from '../router/log.ts'

const WINDOW_MS = 10_000

/** A log in which nobody can have the same line written more than so many times in ten seconds: a faulty device could. */
export function limitedLog(log: Log, clock: Clock, lines: number): Log {
  const written = new Map<string, number>()
  let since = clock.now()
  const at = (level: keyof Log) => (message: string, fields?: LogFields) => {
    const now = clock.now()
    if (now - since >= WINDOW_MS) {
      since = now
      written.clear()
    }
    const count = (written.get(message) ?? 0) + 1
    written.set(message, count)
    if (count < lines) log[level](message, fields)
    else if (count === lines) log[level](message, { ...fields, more: 'not written for some seconds' })
  }
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}
