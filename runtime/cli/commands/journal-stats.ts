import { openJournalForReading } from '../../journal/offline.ts'
import { showBytes, showCount } from '../amounts.ts'
import { defineCommand } from '../command.ts'
import { journalOptions, journalPlace, withJournal } from '../journal-place.ts'
import { printable } from '../terminal.ts'

export const journalStats = defineCommand({
  usage: '',
  args: [0, 0],
  details: 'Shows what the journal of this machine holds. A router may be running.',
  options: { json: { type: 'boolean', help: 'As one JSON object.' }, ...journalOptions },
  examples: [['journal stats', 'the journal that the configuration names']],
  async run({ values, terminal }) {
    const folder = await journalPlace(values)
    return withJournal(async () => {
      const journal = await openJournalForReading(folder)
      try {
        const stats = journal.stats()
        const damaged = journal.damaged()
        if (values.json) {
          terminal.line(JSON.stringify({ folder, ...stats, damaged }))
          return 0
        }
        const time = (us: number) => new Date(us / 1000).toISOString()
        const pairs = [
          ['folder', folder],
          ['params', showCount(stats.params)],
          [
            'history',
            stats.entries === 0
              ? 'no entries'
              : `${showCount(stats.entries)} entries (${stats.firstSeq} … ${stats.lastSeq}), ${time(stats.oldestUs)} … ${time(stats.newestUs)}`,
          ],
          ['events for hub', showCount(stats.events)],
          ['size', `${showBytes(stats.fileBytes)}, of which ${showBytes(stats.freeBytes)} are free`],
          ...(damaged > 0
            ? [['damaged', `${damaged} rows cannot be read: the next start of the router repairs it`]]
            : []),
        ]
        for (const [title, text] of pairs)
          terminal.line(`${terminal.paint('bold', title.padEnd(14))}  ${printable(text)}`)
        return 0
      } finally {
        journal.close()
      }
    })
  },
})
