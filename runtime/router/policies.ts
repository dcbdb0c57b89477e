import { Pattern } from '../../firmware-protocol/wire/pattern.ts'
import type { AddressEntry } from './address-table.ts'
import type { AddressPolicy, ConflictStrategy } from './options.ts'

export interface ResolvedPolicy {
  pattern: Pattern
  conflict: ConflictStrategy
  /** Infinity = never expires; undefined = the router's default. */
  ttlMs?: number
}

/** The configured rules for params by address. The first that matches counts; its place is remembered per address. */
export class Policies {
  private rules: ResolvedPolicy[] = []
  private generation = 0

  constructor(policies: readonly AddressPolicy[]) {
    this.replace(policies)
  }

  /** Takes effect at the next write of each param. Throws on a bad pattern, which the configuration has checked before. */
  replace(policies: readonly AddressPolicy[]): void {
    this.generation++
    this.rules = policies.map(({ pattern, conflict, ttlSeconds }) => {
      const parsed = Pattern.parse(pattern)
      if (typeof parsed === 'string') throw new Error(`policy for ${pattern}: ${parsed}`)
      const ttlMs = ttlSeconds === undefined ? undefined : ttlSeconds === 0 ? Infinity : ttlSeconds * 1000
      return { pattern: parsed, conflict: conflict ?? 'lww', ttlMs }
    })
  }

  of(entry: AddressEntry): ResolvedPolicy | null {
    if (this.rules.length === 0) return null
    if (entry.policyGeneration !== this.generation) {
      entry.policyGeneration = this.generation
      entry.policy = this.rules.findIndex((rule) => rule.pattern.matches(entry.text))
    }
    return entry.policy < 0 ? null : this.rules[entry.policy]
  }
}
