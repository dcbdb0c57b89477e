/** What the router is told by the configuration. Every limit has a default that suits a board with 512 MB of memory. */
export interface RouterOptions {
  /** Shown to clients in WELCOME. */
  name: string
  /** Open connections, handshakes included; 0 = unlimited. */
  maxSessions: number
  maxSubscriptionsPerSession: number
  /** Per session, burst of one second; inner messages of a bundle count; 0 = unlimited. */
  maxMessagesPerSecond: number
  maxParams: number
  /** What gives way when `maxParams` is reached. Locked and never-expiring params never do. */
  eviction: 'lru' | 'oldest' | 'reject'
  /** For params without a TTL of their own; 0 = they stay. */
  paramTtlSeconds: number
  maxSignals: number
  /** Announced signals are forgotten so long after their last ANNOUNCE; 0 = they stay. */
  signalTtlSeconds: number
  /** A client must say HELLO within this time. */
  handshakeTimeoutMs: number
  gestures: GestureOptions
  bundles: { maxMessages: number; maxScheduled: number; horizonSeconds: number }
  /** Memory for recent messages, for subscriptions with `history` or `window`; 0 = none. */
  historyBytes: number
  queue: QueueOptions
  policies: AddressPolicy[]
}

export interface GestureOptions {
  coalesce: boolean
  /** At most one move per gesture in this time. */
  intervalMs: number
  /** A gesture that is silent for so long is cancelled. */
  timeoutSeconds: number
}

export interface QueueOptions {
  /** A link with more unsent bytes than this gets coalesced updates until it has drained. */
  highWaterBytes: number
  /** Messages and bytes held for one slow session. */
  maxMessages: number
  maxBytes: number
  /** A session that takes nothing for so long is closed. */
  stuckTimeoutMs: number
}

export type ConflictStrategy = 'lww' | 'max' | 'min' | 'lock' | 'merge'

/** Rules for the params whose address matches `pattern`; the first match counts. */
export interface AddressPolicy {
  pattern: string
  conflict?: ConflictStrategy
  /** Seconds since the last write; 0 = never expires. A TTL in the SET wins. */
  ttlSeconds?: number
}

export const defaultRouterOptions: RouterOptions = {
  name: 'clasp-edge',
  maxSessions: 1000,
  maxSubscriptionsPerSession: 1000,
  maxMessagesPerSecond: 0,
  maxParams: 200_000,
  eviction: 'lru',
  paramTtlSeconds: 3600,
  maxSignals: 10_000,
  signalTtlSeconds: 3600,
  handshakeTimeoutMs: 10_000,
  gestures: { coalesce: true, intervalMs: 16, timeoutSeconds: 300 },
  bundles: { maxMessages: 10_000, maxScheduled: 1000, horizonSeconds: 3600 },
  historyBytes: 1_048_576,
  queue: { highWaterBytes: 262_144, maxMessages: 50_000, maxBytes: 4_194_304, stuckTimeoutMs: 30_000 },
  policies: [],
}
