import { Pattern } from '../../../firmware-protocol/wire/pattern.ts'
import { formatValue } from '../../../firmware-protocol/wire/values.ts'
import { parseDuration } from '../../config/duration.ts'
import { type ExportEntry, openJournalForReading } from '../../journal/offline.ts'
import { defineCommand, UsageError } from '../command.ts'
import { exportText } from '../journal-line.ts'
import { journalOptions, journalPlace, withJournal } from '../journal-place.ts'
import { patternArgument, signalsOption, wholeOption } from '../option-values.ts'
import { printable, type Terminal } from '../terminal.ts'

const USUAL_LIMIT = 100

export const journalReplay = defineCommand({
  usage: '[PATTERN]',
  args: [0, 1],
  details:
    'Prints the newest entries of the history, oldest first: time, address, value and what it is. A router may be running.\n' +
    'A time is a date (2026-11-21T20:15, local unless it ends in Z) or so long ago (90s, 2h, 3d).',
  options: {
    from: { type: 'string', value: 'TIME', help: 'Nothing older.' },
    to: { type: 'string', value: 'TIME', help: 'Nothing newer.' },
    limit: {
      type: 'string',
      short: 'n',
      value: 'N',
      help: `At most so many entries, the newest; ${USUAL_LIMIT} if not said.`,
    },
    types: { type: 'string', short: 't', value: 'LIST', help: 'Only these: param,event,stream,gesture,timeline.' },
    json: { type: 'boolean', help: 'One JSON object a line.' },
    ...journalOptions,
  },
  examples: [
    ["journal replay '/show/**' --from 2h", 'what happened in the last two hours'],
    ["journal replay --types event -n 20 '/cues/**'", 'the last 20 cues'],
  ],
  async run({ values, args, terminal }) {
    const pattern = Pattern.parse(patternArgument(args[0] ?? '/**')) as Pattern
    const types = signalsOption(values.types, '--types')
    const limit = wholeOption(values.limit, '--limit', 1) ?? USUAL_LIMIT
    const fromUs = timeOption(values.from, '--from') ?? 0
    const toUs = timeOption(values.to, '--to') ?? Number.POSITIVE_INFINITY
    const folder = await journalPlace(values)
    return withJournal(async () => {
      const journal = await openJournalForReading(folder)
      try {
        const newest: ExportEntry[] = []
        for (const entry of journal.entries()) {
          if (entry.timeUs < fromUs || entry.timeUs > toUs) continue
          if (types.length > 0 && !types.includes(entry.signal)) continue
          if (!pattern.matches(entry.address)) continue
          newest.push(entry)
          // Not with every entry: moving a long list costs.
          if (newest.length >= limit * 2 + 1000) newest.splice(0, newest.length - limit)
        }
        for (const entry of newest.slice(-limit))
          terminal.line(values.json ? exportText(entry) : lineOf(entry, terminal))
        if (newest.length === 0) terminal.note(`the journal in ${folder} has no such entries`)
        return 0
      } finally {
        journal.close()
      }
    })
  },
})

function lineOf({ timeUs, address, signal, value, revision }: ExportEntry, terminal: Terminal): string {
  const time = new Date(timeUs / 1000).toISOString().replace('T', ' ').replace('Z', '')
  const kind = revision > 0 ? `${signal} revision ${revision}` : signal
  const text = value === null ? '–' : printable(formatValue(value))
  return `${terminal.paint('dim', time)}  ${printable(address).padEnd(24)}  ${terminal.paint('cyan', text)}  ${terminal.paint('dim', kind)}`
}

/** µs since the Unix epoch. */
function timeOption(text: string | undefined, name: string): number | undefined {
  if (text === undefined) return undefined
  const days = /^(\d+(?:\.\d+)?)\s*d$/.exec(text)
  const agoMs =
    days === null ? (/^[\d.]+\s*[a-z]+$/i.test(text) ? parseDuration(text) : undefined) : Number(days[1]) * 86_400_000
  if (agoMs !== undefined) return (Date.now() - agoMs) * 1000
  const date = /^\d{4}-\d\d/.test(text) ? Date.parse(text) : Number.NaN
  if (!Number.isNaN(date)) return date * 1000
  throw new UsageError(
    `${name}: "${text}" is not a time: expected a date such as 2026-11-21T20:15, or 90s, 2h, 3d for so long ago`,
  )
}
