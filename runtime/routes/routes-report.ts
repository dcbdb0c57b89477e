import type { PartReport } from '../router/part-report.ts'
import type { RouteCounters } from './route-table.ts'

/** The routes in `status` and in the metrics. */
export function routesReport(counters: RouteCounters): PartReport {
  const { rules, failures, loops, refused } = counters
  const troubles = [
    failures > 0 ? `${failures} without a result` : '',
    loops > 0 ? `${loops} stopped in a loop` : '',
    refused > 0 ? `${refused} refused` : '',
  ].filter((text) => text !== '')
  const summary = `${rules} ${rules === 1 ? 'rule' : 'rules'}, ${counters.out} values written`
  return { summary: [summary, ...troubles].join('; '), facts: { ...counters } }
}
