import type { PartReport } from '../router/part-report.ts'
import type { RunnerReport } from './device-runner.ts'

/** The devices for status page, params and metrics. */
export function devicesReport(reports: readonly RunnerReport[]): PartReport {
  const count = (state: RunnerReport['state']) => reports.filter((report) => report.state === state).length
  const broken = reports.filter(({ state }) => state === 'absent' || state === 'failing')
  const simulated = reports.filter(({ isSimulated }) => isSimulated).length
  const madeUp = simulated === 0 ? '' : `, ${simulated} simulated`
  const summary =
    broken.length === 0
      ? `${reports.length} running${madeUp}`
      : `${reports.length - broken.length} of ${reports.length} running${madeUp}; ${broken[0].name}: ${broken[0].problem}`
  return {
    summary,
    facts: {
      running: count('running'),
      absent: count('absent'),
      failing: count('failing'),
      simulated,
      dropped: reports.reduce((sum, { dropped }) => sum + dropped, 0),
    },
  }
}
