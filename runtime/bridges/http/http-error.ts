import { ClientError } from '../../client/client-error.ts'

/** Words for programs, in the body of an answer. */
export type ErrorWord =
  | 'bad_request'
  | 'unauthorized'
  | 'forbidden'
  | 'not_found'
  | 'method_not_allowed'
  | 'conflict'
  | 'too_large'
  | 'unsupported_type'
  | 'misdirected'
  | 'rate_limit'
  | 'internal'
  | 'unavailable'
  | 'timeout'

const STATUS: Record<ErrorWord, number> = {
  bad_request: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  conflict: 409,
  too_large: 413,
  unsupported_type: 415,
  misdirected: 421,
  rate_limit: 429,
  internal: 500,
  unavailable: 503,
  timeout: 504,
}

/** What a request is answered with instead of what it asked for. */
export class HttpError extends Error {
  override readonly name = 'HttpError'
  readonly word: ErrorWord
  readonly status: number
  readonly address: string | undefined
  readonly headers: Readonly<Record<string, string>>

  constructor(word: ErrorWord, message: string, address?: string, headers: Readonly<Record<string, string>> = {}) {
    super(message)
    this.word = word
    this.status = STATUS[word]
    this.address = address
    this.headers = headers
  }
}

/** A refusal of the router, as HTTP says it; undefined: a bug. */
export function httpErrorOf(error: unknown, address?: string): HttpError | undefined {
  if (error instanceof HttpError) return error
  if (!(error instanceof ClientError)) return undefined
  return new HttpError(wordOf(error), error.message, address)
}

function wordOf({ kind, code, message }: ClientError): ErrorWord {
  if (kind === 'timeout') return 'timeout'
  if (kind === 'closed') return 'unavailable'
  // The router has one code for all that is wrong with a write, and words for what it is (router reference §3.6).
  if (code === 400) return /RevisionConflict|LockHeld|ConflictRejected/.test(message) ? 'conflict' : 'bad_request'
  if (code === 301 || code === 403) return 'forbidden'
  if (code === 404) return 'not_found'
  if (code === 429) return 'rate_limit'
  return code === 503 ? 'unavailable' : 'bad_request'
}
