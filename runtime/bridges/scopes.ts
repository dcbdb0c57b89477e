import { covers, Pattern } from '../../firmware-protocol/wire/pattern.ts'
import { isSameText } from './same-text.ts'
import type { TokenOptions } from './scope-options.ts'

interface Grant {
  readonly read: readonly string[]
  readonly write: readonly string[]
}

const EVERYTHING: Grant = { read: ['/**'], write: ['/**'] }
const NOTHING: Grant = { read: [], write: [] }

/** What a peer may do. */
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
  /** Nothing goes without a token. */
  readonly isGuarded: boolean
  private readonly entries: readonly { readonly token: string; readonly scopes: Scopes }[]
  private readonly anonymous: Scopes

  /** `master`: a token that allows everything. */
  constructor({ tokens, anonymous }: TokenOptions, master?: string) {
    const all = master === undefined ? tokens : [...tokens, { token: master, ...EVERYTHING }]
    this.entries = all.map(({ token, ...grant }, at) => ({ token, scopes: new Scopes(`token ${at}`, grant) }))
    this.anonymous = new Scopes(undefined, anonymous ?? (all.length === 0 ? EVERYTHING : NOTHING))
    this.isGuarded = !this.anonymous.mayAnything
  }

  /** Undefined: nothing is allowed, because the token is not known, or there is none and has to be. */
  find(shown: string | undefined): Scopes | undefined {
    // Where there are no tokens, clients that always send one are as welcome as others.
    const scopes =
      shown === undefined || this.entries.length === 0
        ? this.anonymous
        : this.entries.find(({ token }) => isSameText(shown, token))?.scopes
    return scopes?.mayAnything ? scopes : undefined
  }
}

/** For whoever asked. */
export function scopeRefusal(what: 'read' | 'write', address: string): string {
  return `what was shown does not allow to ${what} ${address}`
}
