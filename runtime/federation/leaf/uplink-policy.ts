import type { Ttl } from '../../../firmware-protocol/wire/message.ts'
import { Pattern } from '../../../firmware-protocol/wire/pattern.ts'
import type { UplinkRule } from './leaf-options.ts'
import type { ConflictPolicy } from './reconcile.ts'

/** A rule with everything filled in. */
export interface ResolvedRule {
  conflict: ConflictPolicy
  /** For the hub. */
  ttl: Ttl
  /** Params: kept while the hub is away. */
  isKept: boolean
  /** Events that wait for the hub. */
  events: 'drop' | 'latest' | 'all'
  maxAgeMs: number
}

const NEVER: Ttl = { mode: 'never' }
/** Cues that come late can do harm (federation.md §13.6). */
const EVENT_AGE_MS = 60_000

/** The configured rules by address; the first that matches counts. */
export class UplinkPolicy {
  private readonly rules: { pattern: Pattern; owned: ResolvedRule; remote: ResolvedRule }[]
  private readonly owned = resolve({ pattern: '' }, true)
  private readonly remote = resolve({ pattern: '' }, false)

  /** Throws on a bad pattern, which the configuration has checked before. */
  constructor(rules: readonly UplinkRule[]) {
    this.rules = rules.map((rule) => {
      const pattern = Pattern.parse(rule.pattern)
      if (typeof pattern === 'string') throw new Error(`policy for ${rule.pattern}: ${pattern}`)
      return { pattern, owned: resolve(rule, true), remote: resolve(rule, false) }
    })
  }

  of(address: string, isOwned: boolean): ResolvedRule {
    for (const rule of this.rules) if (rule.pattern.matches(address)) return isOwned ? rule.owned : rule.remote
    return isOwned ? this.owned : this.remote
  }
}

function resolve({ conflict, ttlSeconds = 0, offline, maxAgeMs }: UplinkRule, isOwned: boolean): ResolvedRule {
  return {
    conflict: conflict ?? (isOwned ? 'owner' : 'lww'),
    ttl: ttlSeconds === 0 ? NEVER : { mode: 'sliding', seconds: ttlSeconds },
    isKept: offline === undefined ? isOwned : offline !== 'drop',
    events: offline ?? 'drop',
    maxAgeMs: maxAgeMs ?? EVENT_AGE_MS,
  }
}
