import { createReadStream } from 'node:fs'
import { importEntries } from '../../journal/offline.ts'
import { showCount } from '../amounts.ts'
import { CommandError, defineCommand } from '../command.ts'
import { importLine } from '../journal-line.ts'
import { journalOptions, journalPlace, withJournal } from '../journal-place.ts'
import { linesOf } from '../lines-of.ts'

export const journalImport = defineCommand({
  usage: 'FILE',
  args: [1, 1],
  details:
    'Reads what "journal export" has written (- = standard input) into the journal of this machine, while no router uses\n' +
    'it: history is added at the end, params are set where they are missing or older.',
  options: journalOptions,
  examples: [['journal import show.jsonl', 'state and history of another board']],
  async run({ values, args, terminal, signal }) {
    const folder = await journalPlace(values)
    const [file] = args
    const input = file === '-' ? terminal.input : createReadStream(file)
    const failed = new Promise<never>((_, reject) => {
      input.once('error', (error: NodeJS.ErrnoException) => {
        reject(
          new CommandError(`${file} cannot be read (${error.code ?? error.message}): name a file of "journal export"`),
        )
      })
    })
    failed.catch(() => {})
    async function* lines() {
      let number = 0
      for await (const text of linesOf(input, signal)) {
        number++
        if (text.trim() !== '') yield importLine(text, `${file}:${number}`)
      }
    }
    return withJournal(async () => {
      const { entries, params, olderParams } = await Promise.race([importEntries(folder, lines()), failed])
      const older = olderParams > 0 ? `, ${showCount(olderParams)} params were not newer than those there` : ''
      terminal.line(`${showCount(entries)} entries and ${showCount(params)} params imported into ${folder}${older}`)
      return 0
    })
  },
})
