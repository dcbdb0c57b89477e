import type { SignalDefinition } from '../../firmware-protocol/wire/message.ts'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import type { LocalSession } from '../router/local-session.ts'
import type { PartReports } from '../router/part-report.ts'
import type { Sample, Sampler } from './sampler.ts'

const NAMESPACE = '/_clasp'
/** The router forgets signals that are not announced again (`signalTtlSeconds`). */
const ANNOUNCE_AGAIN_MS = 15 * 60_000

interface SelfParam {
  path: string
  datatype: 'string' | 'i64' | 'f64'
  unit?: string
  range?: [number, number]
  description: string
  read(sample: Sample, version: string): string | number
}

const PARAMS: readonly SelfParam[] = [
  { path: 'name', datatype: 'string', description: 'Name of this router', read: ({ stats }) => stats.name },
  { path: 'version', datatype: 'string', description: 'Version of its software', read: (_, version) => version },
  {
    path: 'uptime',
    datatype: 'i64',
    unit: 's',
    description: 'Time since the router started',
    read: ({ stats }) => Math.floor(stats.uptimeSeconds),
  },
  { path: 'sessions', datatype: 'i64', description: 'Connected sessions', read: ({ stats }) => stats.sessions },
  { path: 'params', datatype: 'i64', description: 'Params held', read: ({ stats }) => stats.params },
  {
    path: 'subscriptions',
    datatype: 'i64',
    description: 'Subscriptions of all sessions',
    read: ({ stats }) => stats.subscriptions,
  },
  {
    path: 'messages/rate',
    datatype: 'f64',
    unit: '1/s',
    description: 'Messages received',
    read: ({ messagesPerSecond }) => tenths(messagesPerSecond),
  },
  {
    path: 'deliveries/rate',
    datatype: 'f64',
    unit: '1/s',
    description: 'Copies handed to sessions',
    read: ({ deliveriesPerSecond }) => tenths(deliveriesPerSecond),
  },
  {
    path: 'drops',
    datatype: 'i64',
    description: 'Copies that slow or small peers did not get, since the start',
    read: ({ stats }) => stats.drops,
  },
  {
    path: 'memory/rss',
    datatype: 'i64',
    unit: 'B',
    description: 'Memory of the process',
    read: ({ rssBytes }) => rssBytes,
  },
  {
    path: 'cpu',
    datatype: 'f64',
    range: [0, 1],
    description: 'Share of one processor core',
    read: ({ cpuShare }) => Math.round(cpuShare * 1000) / 1000,
  },
  {
    path: 'loop/delay',
    datatype: 'f64',
    unit: 'ms',
    description: 'How late the event loop runs, 99th percentile',
    read: ({ loopDelayMs }) => tenths(loopDelayMs),
  },
]

/**
 * Publishes the router's own state as params below `/_clasp`, at once and then after each interval of the sampler. Only
 * what has changed is sent. The params never expire: their absence would say more than they can.
 */
export function publishSelf(
  session: LocalSession,
  sampler: Sampler,
  version: string,
  parts: () => PartReports,
  signal: AbortSignal,
): void {
  const sent = new Map<string, string | number | boolean>()
  const send = (path: string, value: string | number | boolean, encoded: Value): void => {
    if (sent.get(path) === value) return
    sent.set(path, value)
    session.send({ type: 'SET', address: `${NAMESPACE}/${path}`, value: encoded, ttl: { mode: 'never' } })
  }
  let announcedAt = Number.NEGATIVE_INFINITY
  const publish = (sample: Sample): void => {
    if (sample.at - announcedAt >= ANNOUNCE_AGAIN_MS) {
      announcedAt = sample.at
      session.send({ type: 'ANNOUNCE', namespace: NAMESPACE, signals: PARAMS.map(definition) })
    }
    for (const param of PARAMS) {
      const value = param.read(sample, version)
      send(param.path, value, wireValue(param, value))
    }
    for (const [part, { summary, facts }] of Object.entries(parts())) {
      send(`${part}/summary`, summary, { type: 'string', value: summary })
      for (const [name, value] of Object.entries(facts)) send(`${part}/${name}`, value, factValue(value))
    }
  }
  if (signal.aborted) return
  publish(sampler.last)
  sampler.onSample(publish, signal)
}

function definition({ path, datatype, unit, range, description }: SelfParam): SignalDefinition {
  return {
    address: `${NAMESPACE}/${path}`,
    type: 'param',
    datatype,
    access: 'r',
    meta: { unit, range, description },
  }
}

function wireValue({ datatype }: SelfParam, value: string | number): Value {
  if (datatype === 'string') return { type: 'string', value: String(value) }
  return { type: datatype, value: Number(value) }
}

function factValue(value: string | number | boolean): Value {
  if (typeof value === 'string') return { type: 'string', value }
  if (typeof value === 'boolean') return { type: 'bool', value }
  return Number.isSafeInteger(value) ? { type: 'i64', value } : { type: 'f64', value }
}

function tenths(value: number): number {
  return Math.round(value * 10) / 10
}
