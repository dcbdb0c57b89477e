import type { PartReports } from '../router/part-report.ts'
import type { RouterStats, SessionStats } from '../router/stats.ts'
import type { Sample } from './sampler.ts'

/** Counters of one transport by name, in camel case as the transport keeps them. */
export type TransportCounters = Readonly<Record<string, number>>

export interface MetricsExtra {
  version: string
  sessions: readonly SessionStats[]
  /** By transport: udp, port … */
  transports: Readonly<Record<string, TransportCounters>>
  parts: PartReports
  sample: Sample
}

type Labels = Readonly<Record<string, string>>

/**
 * Everything that is counted, in the text format 0.0.4 of Prometheus. The `clasp_*` names that other routers have too
 * keep their meaning (router reference §19.1), so that dashboards fit; all error codes and drops are counted.
 */
export function prometheusText(
  stats: RouterStats,
  { version, sessions, transports, parts, sample }: MetricsExtra,
): string {
  const page = new Page()
  page.gauge('clasp_info', 'Name and version of this router.', 1, { name: stats.name, version })
  page.gauge('clasp_uptime_seconds', 'Time since the router started.', stats.uptimeSeconds)

  const messages = page.family('clasp_messages_total', 'counter', 'Messages received, by type.')
  for (const [type, count] of Object.entries(stats.messages)) messages(count, { type: snakeCase(type) })
  page.counter('clasp_undecodable_total', 'Frames that could not be decoded.', stats.undecodable)
  const errors = page.family('clasp_errors_total', 'counter', 'ERROR messages sent, by code.')
  for (const [code, count] of Object.entries(stats.errors)) errors(count, { code })
  page.counter('clasp_deliveries_total', 'Copies of messages handed to sessions.', stats.deliveries)
  page.counter('clasp_drops_total', 'Copies that a slow or small peer did not get.', stats.drops)

  page.gauge('clasp_sessions_active', 'Sessions after HELLO.', stats.sessions)
  page.gauge('clasp_handshakes_active', 'Connections that have not said HELLO yet.', stats.handshakes)
  page.gauge('clasp_subscriptions_active', 'Subscriptions of all sessions.', stats.subscriptions)
  page.gauge('clasp_state_params_active', 'Params held.', stats.params)
  page.gauge('clasp_state_bytes', 'Bytes that the addresses and values of params take.', stats.paramBytes)
  page.counter('clasp_state_evictions_total', 'Params that gave way to others.', stats.evictions)
  page.counter('clasp_state_expirations_total', 'Params whose time to live ended.', stats.expirations)
  page.gauge('clasp_signals_active', 'Announced signals.', stats.signals)
  page.gauge('clasp_scheduled_bundles', 'Bundles that wait for their time.', stats.scheduledBundles)

  const perTransport = page.family('clasp_transport_sessions', 'gauge', 'Sessions, by transport.')
  for (const [transport, count] of countByTransport(sessions)) perTransport(count, { transport })
  page.gauge('clasp_queued_bytes', 'Bytes that wait for slow peers.', sum(sessions, 'queuedBytes'))
  page.gauge('clasp_queued_messages', 'Messages that wait for slow peers.', sum(sessions, 'queuedMessages'))
  const counters = page.family('clasp_transport_events_total', 'counter', 'What transports have counted.')
  for (const [transport, events] of Object.entries(transports)) {
    for (const [event, count] of Object.entries(events)) counters(count, { transport, event: snakeCase(event) })
  }

  const facts = page.family('clasp_part', 'gauge', 'Figures of journal, uplink and hub.')
  for (const [part, report] of Object.entries(parts)) {
    for (const [name, value] of Object.entries(report.facts)) {
      if (typeof value !== 'string') facts(Number(value), { part, name: snakeCase(name) })
    }
  }

  page.counter('process_cpu_seconds_total', 'Processor time, user and system.', sample.cpuSeconds)
  page.gauge('process_resident_memory_bytes', 'Memory in use.', sample.rssBytes)
  page.gauge('nodejs_heap_size_used_bytes', 'JavaScript heap in use.', sample.heapUsedBytes)
  page.gauge('nodejs_external_memory_bytes', 'Buffers outside the JavaScript heap.', sample.externalBytes)
  page.gauge(
    'nodejs_eventloop_lag_p99_seconds',
    'How late the event loop came to its timers, 99th percentile of the last interval.',
    sample.loopDelayMs / 1000,
  )
  return page.text
}

class Page {
  text = ''

  counter(name: string, help: string, value: number, labels?: Labels): void {
    this.family(name, 'counter', help)(value, labels)
  }

  gauge(name: string, help: string, value: number, labels?: Labels): void {
    this.family(name, 'gauge', help)(value, labels)
  }

  /** Starts a metric; what is returned adds one line to it. */
  family(name: string, type: 'counter' | 'gauge', help: string): (value: number, labels?: Labels) => void {
    this.text += `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`
    return (value, labels = {}) => {
      const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escapeLabel(text)}"`)
      this.text += `${name}${pairs.length > 0 ? `{${pairs.join(',')}}` : ''} ${value}\n`
    }
  }
}

function escapeLabel(text: string): string {
  return text.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n')
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}

function countByTransport(sessions: readonly SessionStats[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { transport } of sessions) counts.set(transport, (counts.get(transport) ?? 0) + 1)
  return counts
}

function sum(sessions: readonly SessionStats[], field: 'queuedBytes' | 'queuedMessages'): number {
  return sessions.reduce((total, session) => total + session[field], 0)
}
