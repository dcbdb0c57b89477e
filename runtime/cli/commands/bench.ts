import type { Client } from '../../client/client.ts'
import { connect } from '../../client/connect.ts'
import { showCount } from '../amounts.ts'
import { CommandError, defineCommand } from '../command.ts'
import { connectionOptions, connectOptions, routerUrl } from '../connection.ts'
import { durationOption, wholeOption } from '../option-values.ts'

const NAMESPACE = '/bench'
const LONGEST_MS = 60_000

interface Latency {
  count: number
  p50Ms: number
  p99Ms: number
  maxMs: number
}

export const bench = defineCommand({
  usage: '',
  args: [0, 0],
  details:
    'Measures a running router through an ordinary client: round trips, acknowledged SETs one at a time and with many\n' +
    'under way, and the way from one client to another. The figures include this program, the network and whatever else\n' +
    `the router is doing. Writes below ${NAMESPACE}; what it has written expires by itself.`,
  options: {
    time: { type: 'string', value: 'TIME', help: 'For each of the four measurements, up to 1m. Default: 2s' },
    window: { type: 'string', value: 'N', help: 'SETs under way at a time, up to 10000. Default: 1000' },
    json: { type: 'boolean', help: 'One JSON object.' },
    ...connectionOptions,
  },
  examples: [
    ['bench', 'the router on this machine'],
    ['bench --url tcp://pi.local --time 5s', 'one on the network, over TCP'],
  ],
  async run({ values, terminal, signal }) {
    const timeMs = Math.min(LONGEST_MS, durationOption(values.time, '--time') ?? 2000)
    const window = wholeOption(values.window, '--window', 1, 10_000) ?? 1000
    const options = { ...(await connectOptions(values)), signal }
    const writer = await connect(routerUrl(values), options)
    try {
      const reader = await connect(routerUrl(values), options)
      try {
        const roundTrip = await latency(timeMs, signal, () => writer.ping())
        const set = await latency(timeMs, signal, (i) => setOne(writer, 'latency', i))
        const setsPerSecond = Math.round(await throughput(writer, timeMs, window, signal))
        const delivery = await deliveryLatency(writer, reader, timeMs, signal)
        if (values.json) {
          terminal.line(
            JSON.stringify({
              router: writer.router.name,
              url: writer.url.href,
              roundTrip,
              set,
              setsPerSecond,
              window,
              delivery,
            }),
          )
          return 0
        }
        const show = ({ p50Ms, p99Ms, maxMs, count }: Latency) =>
          `p50 ${p50Ms.toFixed(3)} ms   p99 ${p99Ms.toFixed(3)} ms   most ${maxMs.toFixed(3)} ms   (${showCount(count)} times)`
        terminal.line(`round trip (PING)           ${show(roundTrip)}`)
        terminal.line(`acknowledged SET            ${show(set)}`)
        terminal.line(`from client to client       ${show(delivery)}`)
        terminal.line(`acknowledged SETs           ${showCount(setsPerSecond)} a second, ${window} under way`)
      } finally {
        await reader.close()
      }
    } finally {
      await writer.close()
    }
    return 0
  },
})

async function setOne(client: Client, name: string, value: number): Promise<void> {
  await client.set(`${NAMESPACE}/${name}`, { type: 'i64', value }, { ttl: { mode: 'sliding', seconds: 1 } })
}

async function latency(timeMs: number, signal: AbortSignal, once: (i: number) => Promise<unknown>): Promise<Latency> {
  const samples: number[] = []
  for (const end = performance.now() + timeMs; performance.now() < end && !signal.aborted; ) {
    const start = performance.now()
    await once(samples.length)
    samples.push(performance.now() - start)
  }
  return summary(samples)
}

async function throughput(client: Client, timeMs: number, window: number, signal: AbortSignal): Promise<number> {
  const start = performance.now()
  let done = 0
  const worker = async (number: number) => {
    while (performance.now() - start < timeMs && !signal.aborted) {
      await setOne(client, `throughput/${number % 100}`, done)
      done++
    }
  }
  await Promise.all(Array.from({ length: window }, (_, number) => worker(number)))
  return done / ((performance.now() - start) / 1000)
}

async function deliveryLatency(writer: Client, reader: Client, timeMs: number, signal: AbortSignal): Promise<Latency> {
  const address = `${NAMESPACE}/delivery`
  let arrived: () => void = () => {}
  await reader.subscribe([address], ({ isInitial }) => isInitial || arrived(), { types: ['event'] })
  return latency(timeMs, signal, () => {
    return new Promise<void>((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new CommandError('an event did not arrive within 5 s: is the router overloaded?')),
        5000,
      )
      arrived = () => {
        clearTimeout(timer)
        resolve()
      }
      writer.send({ type: 'PUBLISH', address, signal: 'event', value: { type: 'null' } })
    })
  })
}

function summary(samples: number[]): Latency {
  if (samples.length === 0) throw new CommandError('interrupted before anything was measured')
  samples.sort((a, b) => a - b)
  // To the microsecond; what is behind it is noise.
  const at = (index: number) => Math.round(samples[Math.min(samples.length - 1, index)] * 1000) / 1000
  const { length: count } = samples
  return { count, p50Ms: at(Math.floor(count * 0.5)), p99Ms: at(Math.floor(count * 0.99)), maxMs: at(count - 1) }
}
