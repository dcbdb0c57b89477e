import type { PartReports } from '../router/part-report.ts'
import type { RouterStats, SessionStats } from '../router/stats.ts'
import type { TransportCounters } from './metrics.ts'
import type { Sample } from './sampler.ts'

/** Beyond it, a list of sessions costs more than it tells; the count stays right. */
export const MAX_LISTED_SESSIONS = 1000

/** What `GET /status` answers. Rates are those of the last complete interval of the sampler. */
export interface StatusReport {
  name: string
  version: string
  isReady: boolean
  uptimeSeconds: number
  /** URLs to connect to. */
  addresses: string[]
  rates: {
    intervalSeconds: number
    messagesPerSecond: number
    deliveriesPerSecond: number
    dropsPerSecond: number
  }
  router: RouterStats
  queues: { bytes: number; messages: number }
  /** At most 1000 of them, the ones with the fullest queues first. */
  sessions: SessionStats[]
  transports: Readonly<Record<string, TransportCounters>>
  /** Journal, uplink, hub: those that run. */
  parts: PartReports
  process: {
    pid: number
    node: string
    platform: string
    rssBytes: number
    heapUsedBytes: number
    externalBytes: number
    cpuShare: number
    loopDelayMs: number
  }
}

export interface StatusSources {
  version: string
  isReady: boolean
  addresses: readonly string[]
  stats: RouterStats
  sessions: readonly SessionStats[]
  transports: Readonly<Record<string, TransportCounters>>
  parts: PartReports
  sample: Sample
}

export function statusReport(sources: StatusSources): StatusReport {
  const { version, isReady, addresses, stats, sessions, transports, parts, sample } = sources
  return {
    name: stats.name,
    version,
    isReady,
    uptimeSeconds: stats.uptimeSeconds,
    addresses: [...addresses],
    rates: {
      intervalSeconds: sample.intervalSeconds,
      messagesPerSecond: sample.messagesPerSecond,
      deliveriesPerSecond: sample.deliveriesPerSecond,
      dropsPerSecond: sample.dropsPerSecond,
    },
    router: stats,
    queues: {
      bytes: sessions.reduce((total, { queuedBytes }) => total + queuedBytes, 0),
      messages: sessions.reduce((total, { queuedMessages }) => total + queuedMessages, 0),
    },
    sessions: [...sessions].sort((a, b) => b.queuedBytes - a.queuedBytes).slice(0, MAX_LISTED_SESSIONS),
    transports,
    parts,
    process: {
      pid: process.pid,
      node: process.version,
      platform: `${process.platform} ${process.arch}`,
      rssBytes: sample.rssBytes,
      heapUsedBytes: sample.heapUsedBytes,
      externalBytes: sample.externalBytes,
      cpuShare: sample.cpuShare,
      loopDelayMs: sample.loopDelayMs,
    },
  }
}
