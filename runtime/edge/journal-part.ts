import { join } from 'node:path'
import { journalOptions } from '../config/part-options.ts'
import { ConfigError } from '../config/problem.ts'
import type { Config } from '../config/schema.ts'
import type { RunningJournal } from '../journal/journal.ts'
import type { EdgeScope } from './scope.ts'

/** Brings back the state of before and keeps it from now on. undefined: it is kept in memory only. */
export async function startJournalPart(
  scope: EdgeScope,
  wanted: Config['journal'],
): Promise<RunningJournal | undefined> {
  const { router, clock, log, programs, stops, reports } = scope
  const { usualJournalFolder } = await import('../journal/journal-folder.ts')
  const folder = wanted.folder ?? usualJournalFolder(process.env)
  if (folder === undefined) {
    const remedy = 'set journal.folder in the configuration'
    if (wanted.enabled === true) {
      const message = 'journal.enabled: there is no folder for the journal'
      throw new ConfigError('configuration', [{ line: 0, column: 0, message, remedy }])
    }
    log.info('the state is kept in memory only and is gone after a stop', { remedy })
    return undefined
  }
  const { startJournal } = await import('../journal/journal.ts')
  const { journalReport } = await import('../journal/journal-report.ts')
  const program = join(programs, 'journal-worker.cjs')
  const journal = await startJournal(journalOptions(wanted, folder), { router, clock, log, program })
  router.journal = journal
  stops.push(() => journal.stop())
  reports.journal = () => journalReport(journal.statistics)
  return journal
}
