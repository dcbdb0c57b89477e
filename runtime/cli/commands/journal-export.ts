import { openJournalForReading } from '../../journal/offline.ts'
import { defineCommand } from '../command.ts'
import { exportText } from '../journal-line.ts'
import { journalOptions, journalPlace, withJournal } from '../journal-place.ts'

/** Lines written at a time. */
const CHUNK = 1000

export const journalExport = defineCommand({
  usage: '',
  args: [0, 0],
  details:
    'Prints the whole journal as JSON Lines: first the params with their newest values, then the history. A router may be\n' +
    'running; what it writes meanwhile may be missing. "journal import" reads it back.',
  options: {
    'params-only': { type: 'boolean', help: 'Without the history.' },
    ...journalOptions,
  },
  examples: [['journal export > show.jsonl', 'a copy for another board']],
  async run({ values, terminal, signal }) {
    const folder = await journalPlace(values)
    return withJournal(async () => {
      const journal = await openJournalForReading(folder)
      try {
        let lines: string[] = []
        const flush = async () => {
          if (lines.length > 0) terminal.line(lines.join('\n'))
          lines = []
          // Lets the output drain and a signal through.
          await new Promise((resolve) => setImmediate(resolve))
        }
        for (const source of [journal.params(), values['params-only'] ? [] : journal.entries()]) {
          for (const line of source) {
            lines.push(exportText(line))
            if (lines.length < CHUNK) continue
            await flush()
            if (signal.aborted) return 1
          }
        }
        await flush()
        const damaged = journal.damaged()
        if (damaged > 0) terminal.note(`${damaged} damaged rows were left out`)
        return 0
      } finally {
        journal.close()
      }
    })
  },
})
