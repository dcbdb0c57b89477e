import type { Client } from '../../client/client.ts'
import { connect } from '../../client/connect.ts'
import type { StatusReport } from '../../observability/status.ts'
import { showBytes, showCount, showTime } from '../amounts.ts'
import { defineCommand } from '../command.ts'
import { connectionOptions, connectOptions, routerUrl } from '../connection.ts'
import { fetchStatus } from '../http-status.ts'
import { tableLines } from '../table.ts'
import { printable, type Terminal } from '../terminal.ts'

const MOST_SESSIONS = 30
const MOST_PARTS = 20
/** Sessions of the router's own parts: bridges, devices, routes. */
const WITHIN = 'local'

export const status = defineCommand({
  usage: '',
  args: [0, 0],
  details:
    'Shows how a running router is doing: sessions, rates, queues, size of its state, uptime. Of a router that has no\n' +
    '/status page, what can be learnt by connecting.',
  options: {
    json: { type: 'boolean', help: 'The whole report as one JSON object.' },
    ...connectionOptions,
  },
  examples: [
    ['status', 'the router on this machine'],
    ['status --url pi.local', 'one on the network'],
  ],
  async run({ values, terminal, signal }) {
    const options = await connectOptions(values)
    const report = await fetchStatus(routerUrl(values), options.timeoutMs)
    if (report !== undefined) {
      if (values.json) terminal.line(JSON.stringify(report))
      else showReport(report, terminal)
      return 0
    }
    const client = await connect(routerUrl(values), { ...options, signal })
    try {
      const seen = await look(client)
      if (values.json) terminal.line(JSON.stringify(seen))
      else {
        showPairs(terminal, [
          ['router', `${seen.name} (no status page)`],
          ['features', seen.features.join(', ')],
          ['round trip', `${seen.roundTripMs.toFixed(2)} ms`],
          ['clock', `${seen.clockOffsetMs.toFixed(1)} ms ahead of this machine`],
          ['params', showCount(seen.params)],
        ])
      }
    } finally {
      await client.close()
    }
    return 0
  },
})

/** What any router tells a client. */
async function look(client: Client) {
  const { name, features } = client.router
  const roundTripMs = await client.ping()
  const { offsetUs } = await client.sync()
  const params = (await client.snapshot('/**')).length
  return { name, features, roundTripMs, clockOffsetMs: offsetUs / 1000, params }
}

function showReport(report: StatusReport, terminal: Terminal): void {
  const { router, rates, queues, sessions, process } = report
  const clients = sessions.filter(({ transport }) => transport !== WITHIN)
  const within = sessions.filter(({ transport }) => transport === WITHIN)
  const errors = Object.entries(router.errors).map(([code, count]) => `${count} × ${code}`)
  showPairs(terminal, [
    ['router', `${report.name} (clasp-edge ${report.version}, node ${process.node}, pid ${process.pid})`],
    ['state', `${report.isReady ? 'ready' : 'not ready'}, up ${showTime(report.uptimeSeconds * 1000)}`],
    ['addresses', report.addresses.join(' ')],
    ['sessions', sessionCounts(report, within.length)],
    ['within', partNames(within.map(({ name }) => name))],
    ['params', `${showCount(router.params)} (${showBytes(router.paramBytes)})`],
    ['signals', showCount(router.signals)],
    [
      'rates',
      `${showCount(rates.messagesPerSecond)} messages/s in, ${showCount(rates.deliveriesPerSecond)} deliveries/s out, ` +
        `${showCount(rates.dropsPerSecond)} drops/s`,
    ],
    ['queues', `${showCount(queues.messages)} messages, ${showBytes(queues.bytes)} waiting for slow clients`],
    ['since start', `${showCount(router.deliveries)} deliveries, ${showCount(router.drops)} drops`],
    ...Object.entries(report.parts ?? {}).map(([name, { summary }]) => [name, summary] as const),
    ['errors', errors.length === 0 ? 'none' : errors.join(', ')],
    [
      'process',
      `${showBytes(process.rssBytes)} memory, ${Math.round(process.cpuShare * 100)} % of a core, ` +
        `event loop ${process.loopDelayMs.toFixed(1)} ms late`,
    ],
  ])
  if (clients.length === 0) return
  terminal.line('')
  const right = (title: string) => ({ title, align: 'right' as const })
  const columns = [
    { title: 'SESSION', maxWidth: 30 },
    { title: 'VIA' },
    { title: 'FROM', maxWidth: 28 },
    right('SUBS'),
    right('IN'),
    right('OUT'),
    right('DROPS'),
    right('QUEUED'),
    right('IDLE'),
  ]
  const rows = clients
    .slice(0, MOST_SESSIONS)
    .map((session) => [
      session.name === '' ? session.id : session.name,
      session.transport,
      session.remote,
      String(session.subscriptions),
      showCount(session.received),
      showCount(session.delivered),
      showCount(session.dropped),
      showBytes(session.queuedBytes),
      showTime(session.idleMs),
    ])
  for (const line of tableLines(terminal, columns, rows)) terminal.line(line)
  const others = clients.length - rows.length
  const unlisted = router.sessions - sessions.length
  if (others > 0) terminal.line(`… and ${showCount(others)} more: --json has them`)
  if (unlisted > 0) terminal.line(`… and ${showCount(unlisted)} more, whose queues are no longer than those above`)
}

function sessionCounts({ router, sessions: listed }: StatusReport, within: number): string {
  const { sessions, subscriptions, handshakes } = router
  const clients = sessions - within
  // Of very many, a router lists some only: how many of the others are its own is not known.
  const counts =
    sessions > listed.length
      ? `${sessions} in all`
      : `${clients} ${clients === 1 ? 'client' : 'clients'}, ${within} within the router`
  return `${counts} (${subscriptions} subscriptions, ${handshakes} connecting)`
}

/** Those that there are several of by their number. */
function partNames(names: readonly string[]): string {
  const counts = new Map<string, number>()
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1)
  const texts = [...counts].map(([name, count]) => (count === 1 ? name : `${count} × ${name}`)).sort()
  const others = texts.length - MOST_PARTS
  return texts.slice(0, MOST_PARTS).join(', ') + (others > 0 ? ` … and ${others} more` : '')
}

function showPairs(terminal: Terminal, pairs: readonly (readonly [string, string])[]): void {
  const width = Math.max(...pairs.map(([title]) => title.length))
  for (const [title, text] of pairs) terminal.line(`${terminal.paint('bold', title.padEnd(width))}  ${printable(text)}`)
}
