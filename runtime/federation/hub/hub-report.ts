import type { PartReport } from '../../router/part-report.ts'
import type { HubStats } from './hub.ts'
import { shown } from './peer.ts'

/** For the status page: one line, and the figures. */
export function hubReport({ peers, refusals, takeovers, conflicts }: HubStats): PartReport {
  const declared = peers.filter(({ declaredAt }) => declaredAt !== undefined)
  const names = declared.map(
    ({ routerId, namespaces }) => `${routerId} (${namespaces.slice(0, 3).map(shown).join(' ')})`,
  )
  const listed = names.length > 5 ? [...names.slice(0, 5), `and ${names.length - 5} more`] : names
  const parts = [
    listed.length === 0 ? 'none connected' : listed.join(', '),
    ...conflicts.slice(-3).map(({ words }) => words),
  ]
  return {
    summary: parts.join('; '),
    facts: {
      connected: declared.length,
      sets: sum(peers.map(({ sets }) => sets)),
      publishes: sum(peers.map(({ publishes }) => publishes)),
      refused: sum(peers.map(({ refused }) => refused)),
      conflicts: conflicts.length,
      refusals,
      takeovers,
    },
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
