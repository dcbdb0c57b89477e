import type { IncomingHttpHeaders } from 'node:http'
import { covers, Pattern } from '../../../firmware-protocol/wire/pattern.ts'
import { isSameText } from '../same-text.ts'
import { HttpError } from './http-error.ts'
import type { HttpOptions } from './http-kind.ts'

interface Grant {
  readonly read: readonly string[]
  readonly write: readonly string[]
}

const EVERYTHING: Grant = { read: ['/**'], write: ['/**'] }
const NOTHING: Grant = { read: [], write: [] }

/** What a request may do. */
export class Scopes {
  /** Of the token, for limits; undefined: no token was shown. */
  readonly owner: string | undefined
  private readonly reading: readonly Pattern[]
  private readonly writing: readonly Pattern[]

  constructor(owner: string | undefined, { read, write }: Grant) {
    this.owner = owner
    this.reading = compile(read)
    this.writing = compile(write)
  }

  canRead(address: string): boolean {
    return this.reading.some((pattern) => pattern.matches(address))
  }

  canWrite(address: string): boolean {
    return this.writing.some((pattern) => pattern.matches(address))
  }

  /** All that a pattern can match, not just some of it. */
  canReadAll(pattern: string): boolean {
    return this.reading.some(({ text }) => covers(text, pattern))
  }

  get mayAnything(): boolean {
    return this.reading.length + this.writing.length > 0
  }
}

function compile(patterns: readonly string[]): Pattern[] {
  return patterns.map(Pattern.parse).filter((pattern) => pattern instanceof Pattern)
}

/** Scopes by token, from the configuration of the bridge. */
export class ScopeTable {
  private readonly entries: readonly { readonly token: string; readonly scopes: Scopes }[]
  private readonly anonymous: Scopes

  constructor({ tokens, anonymous }: Pick<HttpOptions, 'tokens' | 'anonymous'>) {
    this.entries = tokens.map(({ token, ...grant }, at) => ({ token, scopes: new Scopes(`token ${at}`, grant) }))
    this.anonymous = new Scopes(undefined, anonymous ?? (tokens.length === 0 ? EVERYTHING : NOTHING))
  }

  /** Throws an HttpError for a token that is not listed, and without one when nothing is allowed then. */
  of(shown: string | undefined): Scopes {
    // Where there are no tokens, clients that always send one are as welcome as others.
    const scopes =
      shown === undefined || this.entries.length === 0
        ? this.anonymous
        : this.entries.find(({ token }) => isSameText(shown, token))?.scopes
    if (scopes?.mayAnything) return scopes
    const message =
      shown === undefined ? 'a token is needed: Authorization: Bearer <token>' : 'this token is not known here'
    throw new HttpError('unauthorized', message, undefined, { 'WWW-Authenticate': 'Bearer realm="clasp"' })
  }
}

/** The token of a request: Bearer, X-API-Key, or the password of Basic. */
export function shownToken({ authorization, 'x-api-key': key }: IncomingHttpHeaders): string | undefined {
  if (typeof key === 'string') return key
  const [, scheme = '', rest = ''] = /^(\w+) +(\S+) *$/.exec(authorization ?? '') ?? []
  if (scheme.toLowerCase() === 'bearer') return rest
  if (scheme.toLowerCase() !== 'basic') return authorization === undefined ? undefined : ''
  const pair = Buffer.from(rest, 'base64').toString('utf8')
  return pair.slice(pair.indexOf(':') + 1)
}
