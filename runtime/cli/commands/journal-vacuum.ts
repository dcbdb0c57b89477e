import { vacuum } from '../../journal/offline.ts'
import { showBytes } from '../amounts.ts'
import { defineCommand } from '../command.ts'
import { journalOptions, journalPlace, withJournal } from '../journal-place.ts'

export const journalVacuum = defineCommand({
  usage: '',
  args: [0, 0],
  details:
    'Writes the journal anew without its gaps, while no router uses it. A running router gives space back by itself, only\n' +
    'more slowly.',
  options: journalOptions,
  examples: [['journal vacuum', 'after retention was made shorter']],
  async run({ values, terminal }) {
    const folder = await journalPlace(values)
    return withJournal(async () => {
      const { before, after } = await vacuum(folder)
      terminal.line(`${folder}: ${showBytes(before)} before, ${showBytes(after)} now`)
      return 0
    })
  },
})
