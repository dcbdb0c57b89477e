import type { IncomingHttpHeaders } from 'node:http'
import type { Scopes, ScopeTable } from '../scopes.ts'
import { HttpError } from './http-error.ts'

/** Throws an HttpError for a token that is not listed, and without one when nothing is allowed then. */
export function admittedScopes(table: ScopeTable, shown: string | undefined): Scopes {
  const scopes = table.find(shown)
  if (scopes !== undefined) return scopes
  const message =
    shown === undefined ? 'a token is needed: Authorization: Bearer <token>' : 'this token is not known here'
  throw new HttpError('unauthorized', message, undefined, { 'WWW-Authenticate': 'Bearer realm="clasp"' })
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
