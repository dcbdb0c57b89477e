import type { PartReport } from '../router/part-report.ts'
import type { JournalStatistics } from './statistics.ts'

/** For the status page: one line, and the figures. */
export function journalReport(statistics: JournalStatistics): PartReport {
  const { state, sinceUs, reason, durableWithinMs, movedTo, lost, params, entries, bytesToday } = statistics
  const parts = [
    state === 'memory'
      ? `the state is kept in memory only since ${new Date(sinceUs / 1000).toISOString()}`
      : `${params} params and ${entries} entries of history stored, ${(bytesToday / 1e6).toFixed(1)} MB written today`,
  ]
  if (state === 'sparing' && durableWithinMs !== null) {
    parts.push(`the write budget is used up: changes are stored within ${Math.ceil(durableWithinMs / 1000)} s`)
  }
  if (reason !== '') parts.push(reason)
  if (movedTo !== '') parts.push(`a damaged database was moved to ${movedTo}`)
  if (lost > 0) parts.push(`${lost} entries of history were lost`)
  const { durableWithinMs: within, ...figures } = statistics
  return { summary: parts.join('; '), facts: within === null ? figures : { ...figures, durableWithinMs: within } }
}
