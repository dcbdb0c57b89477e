import { HttpError } from './http-error.ts'
import type { HttpService } from './http-service.ts'
import type { Call } from './route.ts'
import { ValueForm } from './value-form.ts'

const MAX_PATTERNS = 16
const TYPES = ['param', 'event', 'stream', 'gesture'] as const
const MAX_RATE_HZ = 1000

export type FeedSignal = (typeof TYPES)[number]

/** What a client of an event stream wants to hear of. */
export interface EventQuery {
  readonly patterns: readonly string[]
  readonly types: readonly FeedSignal[]
  /** Updates a second of one address; undefined: all. */
  readonly maxRate: number | undefined
  readonly form: ValueForm
  /** Unnamed events with address and value only. */
  readonly isPlain: boolean
}

/** Throws an HttpError for what is not understood, or reaches beyond the scopes. */
export function readEventQuery(service: HttpService, { query, rest, scopes }: Call): EventQuery {
  const given = rest === '' ? query.getAll('pattern') : [rest]
  if (given.length > MAX_PATTERNS)
    throw new HttpError('bad_request', `${given.length} patterns, at most ${MAX_PATTERNS}`)
  const wanted = given.length === 0 ? ['/**'] : given
  return {
    patterns: [...new Set(wanted.map((text) => service.pattern(text, scopes)))],
    types: readTypes(query.get('types')),
    maxRate: readRate(query.get('max_rate')),
    form: new ValueForm(query),
    isPlain: rest !== '',
  }
}

/** The same for queries that have the same events. */
export function keyOf({ patterns, types, maxRate, form, isPlain }: EventQuery): string {
  return JSON.stringify([[...patterns].sort(), types, maxRate, form.isBase64, form.isIso, isPlain])
}

function readTypes(text: string | null): FeedSignal[] {
  if (text === null) return [...TYPES]
  const names = text.split(',').map((name) => name.trim())
  const unknown = names.find((name) => !TYPES.some((type) => type === name))
  if (unknown !== undefined)
    throw new HttpError('bad_request', `types: there is no "${unknown}": expected some of ${TYPES.join(',')}`)
  return TYPES.filter((type) => names.includes(type))
}

function readRate(text: string | null): number | undefined {
  if (text === null) return undefined
  const rate = Number(text)
  if (!Number.isInteger(rate) || rate < 1 || rate > MAX_RATE_HZ)
    throw new HttpError('bad_request', `max_rate=${text}: expected a whole number from 1 to ${MAX_RATE_HZ}`)
  return rate
}
