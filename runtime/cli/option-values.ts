import { stat } from 'node:fs/promises'
import { addressProblem, patternProblem } from '../../firmware-protocol/wire/address.ts'
import type { Signal } from '../../firmware-protocol/wire/message.ts'
import { parseDuration } from '../config/duration.ts'
import { nearest } from '../config/nearest.ts'
import { UsageError } from './command.ts'

const SIGNALS: readonly Signal[] = ['param', 'event', 'stream', 'gesture', 'timeline']

/** A whole number; undefined when the option is not there. Throws a UsageError. */
export function wholeOption(
  text: string | undefined,
  name: string,
  least: number,
  most = Number.MAX_SAFE_INTEGER,
): number | undefined {
  if (text === undefined) return undefined
  const number = /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (number >= least && number <= most) return number
  const upTo = most === Number.MAX_SAFE_INTEGER ? `${least} or more` : `from ${least} to ${most}`
  throw new UsageError(`${name}: "${text}" is not a whole number ${upTo}`)
}

/** A positive number, fractions allowed; undefined when the option is not there. Throws a UsageError. */
export function positiveOption(text: string | undefined, name: string): number | undefined {
  if (text === undefined) return undefined
  const number = Number(text)
  if (text.trim() !== '' && Number.isFinite(number) && number > 0) return number
  throw new UsageError(`${name}: "${text}" is not a number above 0`)
}

/** Milliseconds; undefined when the option is not there. Throws a UsageError. */
export function durationOption(text: string | undefined, name: string): number | undefined {
  if (text === undefined) return undefined
  const ms = parseDuration(text)
  if (ms !== undefined) return ms
  throw new UsageError(`${name}: "${text}" is not a duration: expected for example 200ms, 5s or 2m`)
}

/** `param,event`; an empty list, which means all, when the option is not there. Throws a UsageError. */
export function signalsOption(text: string | undefined, name: string): Signal[] {
  if (text === undefined) return []
  return text.split(',').map((item) => {
    const signal = SIGNALS.find((known) => known === item.trim())
    if (signal !== undefined) return signal
    const near = nearest(item.trim(), SIGNALS)
    const hint = near === undefined ? `expected some of ${SIGNALS.join(',')}` : `did you mean "${near}"?`
    throw new UsageError(`${name}: "${item}" is not a kind of signal: ${hint}`)
  })
}

/** An address without wildcards. Throws a UsageError. */
export function addressArgument(text: string): string {
  const problem = addressProblem(text)
  if (problem !== undefined) throw new UsageError(`"${text}" is not an address (${problem})`)
  return text
}

/** A pattern. Throws a UsageError. */
export function patternArgument(text: string): string {
  const problem = patternProblem(text)
  if (problem === undefined) return text
  throw new UsageError(`"${text}" is not a pattern (${problem}): expected for example '/lights/**'`)
}

/** A folder that is there; `/` when the option is not. Throws a UsageError. */
export async function folderOption(path: string | undefined, name: string): Promise<string> {
  if (path === undefined) return '/'
  const isThere = await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )
  if (!isThere) throw new UsageError(`${name}: there is no folder ${path}`)
  return path
}
