import type { Config } from '../config/schema.ts'
import type { RouteTable } from '../routes/route-table.ts'
import type { EdgeScope } from './scope.ts'

/** Rules between addresses of the router itself. */
export class RoutesPart {
  private readonly scope: EdgeScope
  private table: RouteTable | undefined

  constructor(scope: EdgeScope) {
    this.scope = scope
  }

  /** Replaces the rules by those that `rules` tells when the code is loaded. */
  async apply(rules: () => Config['routes']): Promise<void> {
    if (rules().length === 0 && this.table === undefined) return
    const { router, clock, log, stops, reports, isStopping } = this.scope
    const { RouteTable } = await import('../routes/route-table.ts')
    const { routesReport } = await import('../routes/routes-report.ts')
    if (isStopping()) return
    if (this.table === undefined) stops.push(() => this.table?.stop())
    this.table?.stop()
    const table = new RouteTable(rules(), { router, clock, log })
    this.table = table
    reports.routes = () => routesReport(table.counters)
  }
}
