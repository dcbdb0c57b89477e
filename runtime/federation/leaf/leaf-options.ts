import { Pattern } from '../../../firmware-protocol/wire/pattern.ts'
import { controlRoot, mayOverlap, namespaceProblem } from './namespaces.ts'
import type { ConflictPolicy } from './reconcile.ts'

/** What the leaf is told by the configuration. Source: federation.md §13.1. */
export interface LeafOptions {
  /** `ws://`, `wss://`, `tcp://`, `tls://`. */
  url: string
  token?: string
  /** Read anew for every connection; instead of `token`. */
  tokenFile?: string
  /** PEM file of an authority for `wss://` and `tls://`. */
  ca?: string
  /** By which the hub knows this leaf. Default: `leaf-` and 12 hex digits, made once and remembered. */
  routerId?: string
  /** Whose values are made here, e.g. `/site-a` and `/site-a/**`. At least one ends in `/**`. */
  namespaces: string[]
  /** `/**` as a namespace is meant. */
  allowRoot: boolean
  /** Patterns of others that are mirrored here. */
  subscribe: string[]
  /** Patterns of others that local clients may write. */
  writeRemote: string[]
  /** The first rule whose pattern matches counts. */
  policy: UplinkRule[]
  /** Frames per second; 0 = unlimited; auto = 25 where a token is needed, unless the hub is one of ours. */
  rate: number | 'auto'
  /** Un-answered SETs. */
  window: number
  /** Less than half of the hub's idle time-out, which is 300 s upstream. */
  heartbeatMs: number
  /** How long a hub that does not know federation may be silent to a DECLARE. */
  probeTimeoutMs: number
  answerTimeoutMs: number
  connectTimeoutMs: number
  backOff: { baseMs: number; capMs: number }
  verifyIntervalMs: number
  outbox: OutboxOptions
}

export interface OutboxOptions {
  /** Changed params that are queued one by one; beyond, all changed ones are looked for when there is room. */
  maxParams: number
  maxEvents: number
  /** Of waiting events. */
  maxBytes: number
}

/** How the params and events of a pattern travel. Source: federation.md §13.6, §13.7. */
export interface UplinkRule {
  pattern: string
  /** Who wins when both sides have changed a param. Default: owner in own namespaces, lww elsewhere. */
  conflict?: ConflictPolicy
  /** At the hub, in seconds since the last write; 0 = never, the default. */
  ttlSeconds?: number
  /**
   * What is kept for the hub while it is away. Params: drop = nothing, else the last value; default latest in own
   * namespaces, elsewhere writes are refused unless it is said here. Events: default drop.
   */
  offline?: 'drop' | 'latest' | 'all'
  /** How old an event may get, ms. */
  maxAgeMs?: number
}

export const defaultLeafOptions: Omit<LeafOptions, 'url' | 'namespaces'> = {
  allowRoot: false,
  subscribe: [],
  writeRemote: [],
  policy: [],
  rate: 'auto',
  window: 16,
  heartbeatMs: 60_000,
  probeTimeoutMs: 5000,
  answerTimeoutMs: 10_000,
  connectTimeoutMs: 10_000,
  backOff: { baseMs: 1000, capMs: 30_000 },
  verifyIntervalMs: 300_000,
  outbox: { maxParams: 10_000, maxEvents: 1000, maxBytes: 8 * 1024 * 1024 },
}

/** An upstream hub allows 30 a second where a token is needed; some are left for answers to its own questions. */
const CAREFUL_RATE = 25

/** Frames per second to begin with; 0 = unlimited. `isOwnKind`: the hub was one of ours when it was last met. */
export function startRate({ rate }: LeafOptions, hasToken: boolean, isOwnKind: boolean): number {
  if (rate !== 'auto') return rate
  return hasToken && !isOwnKind ? CAREFUL_RATE : 0
}

/** Everything that is wrong with the options, each in words that name the key; empty when a leaf can be started. */
export function leafProblems(options: LeafOptions): string[] {
  const problems: string[] = []
  const { namespaces, subscribe, writeRemote, policy } = options
  if (namespaces.length === 0) problems.push('namespaces: name at least one, such as /site-a/**')
  for (const text of namespaces) {
    const problem = namespaceProblem(text, options.allowRoot)
    if (problem !== undefined) problems.push(`namespaces: ${text}: ${problem}`)
  }
  if (namespaces.length > 1000) problems.push(`namespaces: ${namespaces.length} are too many, a hub takes 1000`)
  if (namespaces.length > 0 && controlRoot(namespaces) === undefined)
    problems.push(
      `namespaces: one must end in /** (the leaf keeps its heartbeat below it), such as ${namespaces[0]}/**`,
    )
  const patterns: [string, readonly string[]][] = [
    ['subscribe', subscribe],
    ['writeRemote', writeRemote],
    ['policy', policy.map(({ pattern }) => pattern)],
  ]
  for (const [key, texts] of patterns) {
    for (const text of texts) {
      const parsed = Pattern.parse(text)
      if (typeof parsed === 'string') problems.push(`${key}: ${text}: ${parsed}`)
    }
  }
  for (const text of writeRemote) {
    const own = namespaces.find((namespace) => text !== '/**' && mayOverlap(namespace, text))
    if (own !== undefined) problems.push(`writeRemote: ${text} overlaps the own namespace ${own}`)
  }
  if (options.routerId !== undefined && !/^[\w.-]{1,64}$/.test(options.routerId))
    problems.push(`routerId: ${options.routerId}: 1 to 64 letters, digits, '.', '_' and '-'`)
  if (options.token !== undefined && options.tokenFile !== undefined)
    problems.push('token: there is a tokenFile as well, leave one of them out')
  if (options.rate !== 'auto' && !(options.rate >= 0))
    problems.push(`rate: ${options.rate}: frames a second, 0 or more`)
  if (!(options.window >= 1)) problems.push(`window: ${options.window}: at least 1`)
  return problems
}
