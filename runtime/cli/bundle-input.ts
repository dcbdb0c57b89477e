import type { Message } from '../../firmware-protocol/wire/message.ts'
import { fromJs } from '../../firmware-protocol/wire/values.ts'
import { nowUs } from '../client/client.ts'
import { parseDuration } from '../config/duration.ts'
import { UsageError } from './command.ts'
import { addressArgument } from './option-values.ts'
import { guessValue } from './value-input.ts'

const KINDS = ['set', 'emit', 'stream'] as const
type Kind = (typeof KINDS)[number]

/** `set:/a=1`, `emit:/b=2`, `emit:/b`, `stream:/c=0.5`. Throws a UsageError. */
export function bundleArgument(text: string): Message {
  const [, kind, address, value] = /^(set|emit|stream):([^=]+)(?:=(.*))?$/s.exec(text) ?? []
  if (kind === undefined || (value === undefined && kind !== 'emit')) {
    throw new UsageError(
      `"${text}" is not a part of a bundle: expected for example set:/a=1, emit:/b=2 or stream:/c=0.5`,
    )
  }
  return part(kind as Kind, address, value === undefined ? { type: 'null' } : guessValue(value))
}

/** `[{"set": ["/a", 1]}, {"emit": ["/b"]}]`, as the JavaScript client takes it. Throws a UsageError. */
export function bundleJson(text: string): Message[] {
  let list: unknown
  try {
    list = JSON.parse(text)
  } catch (error) {
    throw new UsageError(`this is not JSON: ${(error as Error).message}`)
  }
  if (!Array.isArray(list)) throw new UsageError('a bundle is a JSON list: [{"set": ["/a", 1]}, {"emit": ["/b"]}]')
  return list.map((item: unknown, i) => {
    const entries = typeof item === 'object' && item !== null ? Object.entries(item) : []
    const [[kind, content] = []] = entries
    const isKnown = KINDS.some((known) => known === kind)
    if (entries.length !== 1 || !isKnown || !Array.isArray(content) || typeof content[0] !== 'string') {
      throw new UsageError(`message ${i + 1} of the bundle: expected {"set": ["/a", 1]}, {"emit": …} or {"stream": …}`)
    }
    return part(kind as Kind, content[0], fromJs(content[1]))
  })
}

function part(kind: Kind, text: string, value: ReturnType<typeof fromJs>): Message {
  const address = addressArgument(text)
  if (kind === 'set') return { type: 'SET', address, value }
  return { type: 'PUBLISH', address, signal: kind === 'emit' ? 'event' : 'stream', value }
}

/**
 * When a bundle is to take effect, in microseconds of this machine's clock: `+200ms` from now, a date as in ISO 8601, or
 * microseconds since 1970. Throws a UsageError.
 */
export function bundleTime(text: string): number {
  const ahead = text.startsWith('+') ? parseDuration(text.slice(1)) : undefined
  if (ahead !== undefined) return nowUs() + Math.round(ahead * 1000)
  if (/^\d{15,16}$/.test(text)) return Number(text)
  const date = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN
  if (!Number.isNaN(date)) return date * 1000
  throw new UsageError(`--at: "${text}" is not a time: expected for example +200ms or 2030-01-01T12:00:00Z`)
}
