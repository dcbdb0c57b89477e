import type { ErrorMessage } from '../../firmware-protocol/wire/message.ts'
import { glob, patternObjection } from './upstream-patterns.ts'
import { refusal } from './upstream-refusal.ts'

export interface UpstreamToken {
  /** `action:pattern`; what does not parse is left out silently. */
  scopes: string[]
  /** µs since the Unix epoch. Default: a day for `cpsk_` tokens, never for others. */
  expiresAtUs?: number
}

interface Scope {
  action: 'read' | 'write' | 'admin'
  pattern: string
}

const ACTIONS: Record<string, Scope['action']> = {
  read: 'read',
  r: 'read',
  write: 'write',
  w: 'write',
  admin: 'admin',
  a: 'admin',
  '*': 'admin',
}
const CPSK_LIFETIME_US = 86_400_000_000

/** What a session may do, by the rules of federation.md §8.2: three different ideas of reading. */
export class UpstreamScopes {
  private readonly scopes: Scope[]

  constructor(texts: string[]) {
    this.scopes = texts.flatMap((text) => {
      const at = text.indexOf(':')
      const action = ACTIONS[text.slice(0, at).toLowerCase()]
      const pattern = text.slice(at + 1)
      return at < 0 || action === undefined || patternObjection(pattern) !== undefined ? [] : [{ action, pattern }]
    })
  }

  canWrite(address: string): boolean {
    return this.scopes.some(({ action, pattern }) => action !== 'read' && allows(pattern, address))
  }

  canRead(address: string): boolean {
    return this.scopes.some(({ pattern }) => allows(pattern, address))
  }

  /** SUBSCRIBE, REPLAY, DECLARE, REQUEST_SYNC: only `read` counts, and the pattern is compared as if it were an address. */
  canReadStrictly(pattern: string): boolean {
    return this.scopes.some((scope) => scope.action === 'read' && allows(scope.pattern, pattern))
  }
}

/** The tokens that an authenticated hub knows. */
export class UpstreamTokens {
  private readonly tokens = new Map<string, Required<UpstreamToken>>()
  /** Authenticated mode without a validator: every HELLO is answered with 500. */
  isMisconfigured = false

  add(token: string, { scopes, expiresAtUs }: UpstreamToken, nowUs: number): void {
    const lifetime = token.startsWith('cpsk_') ? nowUs + CPSK_LIFETIME_US : Number.POSITIVE_INFINITY
    this.tokens.set(token, { scopes, expiresAtUs: expiresAtUs ?? lifetime })
  }

  remove(token: string): void {
    this.tokens.delete(token)
  }

  /** `cpsk_` tokens live in the memory of the hub only. */
  forgetShortLived(): void {
    for (const token of [...this.tokens.keys()]) if (token.startsWith('cpsk_')) this.tokens.delete(token)
  }

  /** What HELLO is worth: scopes, or the ERROR (federation.md §8.1). */
  check(token: string | undefined, nowUs: number): UpstreamScopes | ErrorMessage {
    if (this.isMisconfigured) return refusal(500, 'Server misconfiguration')
    if (token === undefined || token === '') return refusal(300, 'Authentication required')
    const known = this.tokens.get(token)
    if (known === undefined) {
      const reason = token.startsWith('cpsk_') ? 'token not found' : 'no validator accepted the token'
      return refusal(300, `Invalid token: ${reason}`)
    }
    return nowUs > known.expiresAtUs ? refusal(302, 'Token has expired') : new UpstreamScopes(known.scopes)
  }
}

function allows(pattern: string, address: string): boolean {
  return pattern.includes('*') ? glob(pattern, address) : pattern === address
}
