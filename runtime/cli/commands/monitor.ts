import type { Client } from '../../client/client.ts'
import { stayConnected } from '../../client/stay-connected.ts'
import { defineCommand } from '../command.ts'
import { connectionOptions, connectOptions, routerUrl } from '../connection.ts'
import { fetchStatus } from '../http-status.ts'
import { MonitorScreen } from '../monitor-screen.ts'
import { MonitorTable } from '../monitor-table.ts'
import { patternArgument, signalsOption, wholeOption } from '../option-values.ts'
import { printable, type Terminal } from '../terminal.ts'

const DRAW_MS = 200
const SECOND_MS = 1000
const WRITERS_MS = 2000
/** Writers asked for at a time. */
const MAX_WRITERS = 50
const PLAIN_WIDTH = 120

export const monitor = defineCommand({
  usage: '[PATTERN]',
  args: [0, 1],
  details:
    'A live table of addresses with their values, rates, ages and last writers. Keys: q quits, / filters by a part of the\n' +
    'address, s changes the order (address, rate, most recent). If the output is not a terminal, the table is printed\n' +
    'once a second.',
  options: {
    types: { type: 'string', short: 't', value: 'LIST', help: 'Only these: param,event,stream,gesture,timeline.' },
    count: { type: 'string', short: 'n', value: 'N', help: 'End after N tables; for output that is not a terminal.' },
    ...connectionOptions,
  },
  examples: [
    ['monitor', 'everything'],
    ["monitor '/sensors/**'", 'a part'],
  ],
  async run({ values, args, terminal, signal }) {
    const pattern = patternArgument(args[0] ?? '/**')
    const types = signalsOption(values.types, '--types')
    const count = wholeOption(values.count, '--count', 1) ?? Number.POSITIVE_INFINITY
    const options = await connectOptions(values)
    const url = routerUrl(values)
    const quit = new AbortController()
    const until = AbortSignal.any([signal, quit.signal])
    const table = new MonitorTable(performance.now())
    let view: View | undefined
    let client: Client | undefined
    const timers: NodeJS.Timeout[] = []
    try {
      await stayConnected(
        url,
        options,
        {
          async onConnected(connected) {
            client = connected
            await connected.subscribe([pattern], (delivery) => table.onDelivery(delivery, performance.now()), { types })
            // Not before it is certain that there is something to see.
            const isNew = view === undefined
            view ??= openView(terminal, table, count, () => quit.abort())
            view.title = `${printable(connected.router.name)} at ${connected.url.host}  ${printable(pattern)}`
            if (isNew) timers.push(...schedule(view, table, () => client, url, options.timeoutMs))
          },
          onLost(error, retryInMs) {
            client = undefined
            if (view !== undefined) view.title = `${error.message}; trying again in ${(retryInMs / 1000).toFixed(1)} s`
          },
        },
        until,
      )
    } finally {
      for (const timer of timers) clearInterval(timer)
      view?.close()
    }
    return 0
  },
})

interface View {
  title: string
  /** Rows that are shown. */
  readonly capacity: number
  readonly drawEveryMs: number
  draw(now: number): void
  close(): void
}

function openView(terminal: Terminal, table: MonitorTable, count: number, quit: () => void): View {
  if (terminal.isInteractive) {
    const screen = new MonitorScreen(terminal, table, quit)
    return Object.assign(screen, { drawEveryMs: DRAW_MS })
  }
  let printed = 0
  return {
    title: '',
    capacity: 1000,
    drawEveryMs: SECOND_MS,
    draw(now) {
      if (printed > 0) terminal.line('')
      for (const line of table.lines(terminal, PLAIN_WIDTH, this.capacity, now)) terminal.line(line)
      if (++printed >= count) quit()
    },
    close() {},
  }
}

function schedule(
  view: View,
  table: MonitorTable,
  client: () => Client | undefined,
  url: string,
  timeoutMs: number,
): NodeJS.Timeout[] {
  view.draw(performance.now())
  return [
    setInterval(() => table.countRates(performance.now()), SECOND_MS),
    setInterval(() => view.draw(performance.now()), view.drawEveryMs),
    setInterval(() => refreshWriters(table, client(), view.capacity, url, timeoutMs), WRITERS_MS),
  ]
}

/** An update does not say who wrote it; GET does, for the rows on show. */
async function refreshWriters(
  table: MonitorTable,
  client: Client | undefined,
  capacity: number,
  url: string,
  timeoutMs: number,
): Promise<void> {
  if (client === undefined) return
  const stale = table
    .visible(capacity)
    .filter(({ last, writerRevision }) => last.signal === 'param' && last.revision !== writerRevision)
    .slice(0, MAX_WRITERS)
  if (stale.length === 0) return
  // A connection that is being lost is told elsewhere.
  const params = await Promise.all(stale.map(({ address }) => client.get(address).catch(() => undefined)))
  for (const param of params) if (param !== undefined) table.onWriter(param.address, param.writer, param.revision)
  const report = await fetchStatus(url, timeoutMs)
  if (report !== undefined) table.writerNames = new Map(report.sessions.map(({ id, name }) => [id, name || id]))
}
