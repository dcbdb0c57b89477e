import type { PartReport } from '../router/part-report.ts'
import type { BridgeReport } from './bridge-status.ts'

/** The bridges in `status` and in the metrics. */
export function bridgesReport(reports: readonly BridgeReport[]): PartReport {
  const facts: Record<string, string | number> = {}
  for (const { id, state, reason, peers, in: received, out, inDropped, outDropped, errors } of reports) {
    facts[`${id}State`] = reason === '' ? state : `${state}: ${reason}`
    facts[`${id}Peers`] = peers
    facts[`${id}In`] = received
    facts[`${id}Out`] = out
    facts[`${id}Dropped`] = inDropped + outDropped
    facts[`${id}Errors`] = errors
  }
  const troubled = reports.filter(({ state }) => state === 'degraded')
  const running = reports.filter(({ state }) => state === 'running').length
  const paused = reports.filter(({ state }) => state === 'stopped').map(({ id }) => `; ${id}: paused`)
  const trouble = [...troubled.map(({ id, reason }) => `; ${id}: ${reason}`), ...paused].join('')
  return { summary: `${running} of ${reports.length} run${trouble}`, facts }
}
