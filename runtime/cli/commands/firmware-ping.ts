import { CommandError, defineCommand } from '../command.ts'
import { FirmwarePages, pageOptions } from '../firmware-pages.ts'
import { deviceNamed } from '../firmware-target.ts'
import { jsonLine } from '../json-line.ts'
import { durationOption, wholeOption } from '../option-values.ts'
import { printable } from '../terminal.ts'

export const firmwarePing = defineCommand({
  usage: 'DEVICE',
  args: [1, 1],
  details:
    'Asks a device of the running router for a sign of life and prints how long each took, until Ctrl-C: from the router\n' +
    'to the device and back. DEVICE is its name, its uid, or the port that it is on. Exit code 1 when nothing answers.',
  options: {
    count: { type: 'string', short: 'n', value: 'N', help: 'End after N.' },
    interval: { type: 'string', short: 'i', value: 'TIME', help: 'From one to the next. Default: 1s' },
    json: {
      type: 'boolean',
      help: 'One object a line: rttMs or error; the last has sent, answered, minMs, medianMs …',
    },
    ...pageOptions,
  },
  examples: [
    ['firmware ping sim', 'by name, until Ctrl-C'],
    ['firmware ping /dev/ttyUSB0 -n 100 -i 20ms', 'a hundred, quickly'],
  ],
  async run({ values, args, terminal, signal }) {
    const count = wholeOption(values.count, '--count', 1) ?? Number.POSITIVE_INFINITY
    const intervalMs = durationOption(values.interval, '--interval') ?? 1000
    const pages = await FirmwarePages.of(values)
    const { uid, name } = await deviceNamed(await pages.report(), args[0], pages.place)
    if (!values.json) terminal.line(`ping ${printable(name)} (${uid}) through the router at ${pages.place}`)
    const roundTrips: number[] = []
    let sent = 0
    while (sent < count && !signal.aborted) {
      const startedAt = performance.now()
      const answer = await pages.ping(uid)
      sent++
      if ('rttMs' in answer) roundTrips.push(answer.rttMs)
      if (values.json) terminal.line(jsonLine({ number: sent, ...answer }))
      else if ('rttMs' in answer) terminal.line(`${sent}  ${answer.rttMs.toFixed(2)} ms`)
      else terminal.line(`${sent}  ${terminal.paint('red', printable(answer.error))}`)
      if (sent < count) await pause(intervalMs - (performance.now() - startedAt), signal)
    }
    const summary = { sent, answered: roundTrips.length, ...statistics(roundTrips) }
    if (values.json) terminal.line(jsonLine(summary))
    else for (const line of summaryLines(summary)) terminal.line(line)
    if (roundTrips.length > 0) return 0
    if (sent === 0) return 0
    throw new CommandError(`${printable(name)} does not answer: is it plugged in, and does it run?`)
  },
})

interface Summary {
  sent: number
  answered: number
  minMs?: number
  medianMs?: number
  p99Ms?: number
  maxMs?: number
}

function statistics(roundTrips: readonly number[]): Omit<Summary, 'sent' | 'answered'> {
  if (roundTrips.length === 0) return {}
  const sorted = [...roundTrips].sort((a, b) => a - b)
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)]
  return { minMs: sorted[0], medianMs: at(0.5), p99Ms: at(0.99), maxMs: sorted[sorted.length - 1] }
}

function summaryLines({ sent, answered, minMs, medianMs, p99Ms, maxMs }: Summary): string[] {
  const loss = sent === 0 ? 0 : ((sent - answered) / sent) * 100
  const lines = [`${sent} sent, ${answered} answered, ${loss.toFixed(loss === 0 || loss === 100 ? 0 : 1)} % lost`]
  if (minMs !== undefined) {
    const texts = Object.entries({ min: minMs, median: medianMs, p99: p99Ms, max: maxMs })
    lines.push(texts.map(([name, ms]) => `${name} ${(ms ?? 0).toFixed(2)} ms`).join(', '))
  }
  return lines
}

/** Until then, or until the signal. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (ms <= 0 || signal.aborted) return Promise.resolve()
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done)
  })
}
