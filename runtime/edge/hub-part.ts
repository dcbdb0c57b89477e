import type { EdgeScope } from './scope.ts'

/** Lets leaves below join this router. */
export async function startHubPart({ router, clock, log, reports }: EdgeScope, name: string): Promise<void> {
  const { Hub } = await import('../federation/hub/hub.ts')
  const { hubReport } = await import('../federation/hub/hub-report.ts')
  const hub = new Hub(router, { log, clock, name })
  router.peers = hub
  reports.leaves = () => hubReport(hub.statistics)
}
