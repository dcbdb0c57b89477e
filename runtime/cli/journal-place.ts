import { findConfig } from '../config/find.ts'
import { usualJournalFolder } from '../journal/journal-folder.ts'
import { JournalError } from '../journal/offline.ts'
import { CommandError } from './command.ts'

export const journalOptions = {
  folder: {
    type: 'string',
    short: 'f',
    value: 'FOLDER',
    help: 'Folder of the journal, instead of the configured one.',
  },
  config: { type: 'string', short: 'c', value: 'FILE', help: 'Configuration that names the folder.' },
} as const

/** The folder of the journal on this machine. Throws a CommandError when there is none. */
export async function journalPlace(values: { folder?: string; config?: string }): Promise<string> {
  if (values.folder !== undefined) return values.folder
  const { config } = await findConfig(values.config)
  const folder = config.journal.folder ?? usualJournalFolder(process.env)
  if (folder !== undefined) return folder
  throw new CommandError(
    'no journal is configured on this machine: name its folder with --folder, or the configuration with --config',
  )
}

/** What the database says, as a message for the operator. */
export async function withJournal<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof JournalError) throw new CommandError(error.message)
    throw error
  }
}
