import type { RouterOptions } from '../router/options.ts'
import type { Config } from './schema.ts'

/** The part of the configuration that is the router's. */
export function routerOptions(config: Config): RouterOptions {
  const { name, listen, limits, state, gestures, bundles, history, queue } = config
  return {
    name,
    maxSessions: limits.sessions,
    maxSubscriptionsPerSession: limits.subscriptionsPerSession,
    maxMessagesPerSecond: limits.messagesPerSecond,
    maxParams: limits.params,
    eviction: limits.eviction,
    paramTtlSeconds: state.paramTtl / 1000,
    maxSignals: limits.signals,
    signalTtlSeconds: state.signalTtl / 1000,
    handshakeTimeoutMs: listen.handshakeTimeout,
    gestures: { coalesce: gestures.coalesce, intervalMs: gestures.interval, timeoutSeconds: gestures.timeout / 1000 },
    bundles: {
      maxMessages: bundles.maxMessages,
      maxScheduled: bundles.maxScheduled,
      horizonSeconds: bundles.horizon / 1000,
    },
    historyBytes: history.bytes,
    queue: {
      highWaterBytes: queue.highWater,
      maxMessages: queue.maxMessages,
      maxBytes: queue.maxBytes,
      stuckTimeoutMs: queue.stuckTimeout,
    },
    policies: state.policies.map(({ pattern, conflict, ttl }) => ({
      pattern,
      conflict,
      ttlSeconds: ttl === undefined ? undefined : ttl / 1000,
    })),
  }
}
