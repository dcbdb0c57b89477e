import { Pattern } from '../../firmware-protocol/wire/pattern.ts'

/**
 * When the newest value of an address is on the medium:
 *
 * | class | stored |
 * |---|---|
 * | memory | at a clean stop, and every checkpoint interval |
 * | auto | as batched while it changes now and then; as memory while it keeps changing, and when it has come to rest |
 * | batched | within a second of the change |
 * | sync | before the ACK is sent |
 */
export const Durability = { memory: 0, auto: 1, batched: 2, sync: 3 } as const
export type Durability = (typeof Durability)[keyof typeof Durability]
export type DurabilityName = keyof typeof Durability

export interface DurabilityRule {
  pattern: string
  mode: DurabilityName
}

/** The class of an address: that of the first rule that matches, else auto. */
export class DurabilityRules {
  private readonly rules: { pattern: Pattern; durability: Durability }[]

  /** Throws on a bad pattern, which the configuration has checked before. */
  constructor(rules: readonly DurabilityRule[]) {
    this.rules = rules.map(({ pattern, mode }) => ({
      pattern: parsePattern(pattern),
      durability: Durability[mode],
    }))
  }

  of(address: string): Durability {
    for (const rule of this.rules) if (matches(rule.pattern, address)) return rule.durability
    return Durability.auto
  }
}

export function parsePattern(text: string): Pattern {
  const pattern = Pattern.parse(text)
  if (typeof pattern === 'string') throw new Error(`journal rule for ${text}: ${pattern}`)
  return pattern
}

/** Most rules are for everything: with 100 000 params at a start it counts that this costs nothing. */
export function matches(pattern: Pattern, address: string): boolean {
  return pattern.text === '/**' || pattern.matches(address)
}
