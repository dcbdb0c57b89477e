import type { PartReport } from '../../router/part-report.ts'
import type { LinkState } from './link-state.ts'
import type { LeafStatistics } from './link-status.ts'

const WORDS: Record<LinkState, string> = {
  idle: 'not started',
  connecting: 'connecting to',
  drain: 'taking over the state of',
  declare: 'declaring its namespaces at',
  subscribe: 'subscribing at',
  sync: 'comparing with',
  reconcile: 'bringing into line with',
  active: 'connected to',
  backoff: 'away, trying again:',
  authWait: 'refused, the token does not count at',
  misconfigured: 'refused by',
  stopped: 'stopped:',
}

/** For the status page: one line, and the figures. */
export function leafReport(statistics: LeafStatistics, nowUs: number): PartReport {
  const { state, since, hub, queue, lastError, lagMs, forwarded, received, dropped, clock } = statistics
  const seconds = Math.max(0, Math.round((nowUs - since) / 1e6))
  const name = hub.name === '' ? hub.url : `${hub.url} (${hub.name})`
  const parts = [`${WORDS[state]} ${name} for ${duration(seconds)}`]
  if (state === 'active' && !hub.isPeer) parts.push('it knows no federation: as an ordinary client')
  if (queue.params + queue.events > 0) {
    const oldest = lagMs > 0 ? `, the oldest for ${duration(Math.round(lagMs / 1000))}` : ''
    parts.push(`${queue.params} params and ${queue.events} events wait${oldest}`)
  }
  if (dropped.events > 0) parts.push(`${dropped.events} events were dropped`)
  if (state !== 'active' && lastError !== '') parts.push(lastError)
  return {
    summary: parts.join('; '),
    facts: {
      state,
      since,
      id: statistics.routerId,
      url: hub.url,
      lastError,
      queuedParams: queue.params,
      queuedEvents: queue.events,
      lagMs: Math.round(lagMs),
      mirrored: statistics.mirrored,
      connections: statistics.connections,
      isClockKnown: clock.isKnown,
      clockOffsetUs: Math.round(clock.offsetUs),
      sent: forwarded.sets,
      bundles: forwarded.bundles,
      acknowledged: forwarded.acknowledged,
      refused: forwarded.refused,
      throttled: forwarded.discarded,
      applied: received.applied,
      conflictsTaken: received.conflictsHub,
      conflictsKept: received.conflictsLocal,
      droppedEvents: dropped.events,
      evicted: dropped.evicted,
      pingPong: statistics.pingPong,
    },
  }
}

function duration(seconds: number): string {
  if (seconds < 120) return `${seconds} s`
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} days`
}
