import type { BridgeHost } from '../bridges/bridge-host.ts'
import type { Config } from '../config/schema.ts'
import { findProgram } from '../find-program.ts'
import type { Timer } from '../router/clock.ts'
import type { WebRoutes } from '../transports/web-routes.ts'
import type { EdgeScope } from './scope.ts'

/** Bridges are tried before anybody connects; foreign sides that do not answer are not waited for. */
const PATIENCE_MS = 2000

/** The configured bridges; their code is loaded with the first of them. */
export class BridgesPart {
  private readonly scope: EdgeScope
  private readonly web: WebRoutes
  private readonly folder: string | undefined
  private host: Promise<BridgeHost> | undefined

  /** `folder`: that of the journal; undefined: the usual one. */
  constructor(scope: EdgeScope, web: WebRoutes, folder: string | undefined) {
    this.scope = scope
    this.web = web
    this.folder = folder
  }

  /** Starts them; resolves when each was tried once, or after a while. */
  async start(entries: Config['bridges']): Promise<void> {
    if (entries.length === 0) return
    let patience: Timer | undefined
    const enough = new Promise<void>((resolve) => {
      patience = this.scope.clock.timer(PATIENCE_MS, resolve)
    })
    await Promise.race([this.apply(entries), enough])
    patience?.cancel()
  }

  /** Starts, stops and restarts bridges until they are as configured. */
  async apply(entries: Config['bridges']): Promise<void> {
    if (this.scope.isStopping()) return
    // One host, also for reloads that follow each other closely.
    this.host ??= this.open()
    await (await this.host).apply(entries)
  }

  readonly stop = async (): Promise<void> => {
    // Where its code could not be loaded there is nothing to stop, and the others still have to be.
    const host = await this.host?.catch(() => undefined)
    await host?.stop()
  }

  private async open(): Promise<BridgeHost> {
    const { router, clock, log, programs, stops, reports } = this.scope
    stops.push(this.stop)
    const { BridgeHost } = await import('../bridges/bridge-host.ts')
    const { bridgesReport } = await import('../bridges/bridges-report.ts')
    const { usualJournalFolder } = await import('../journal/journal-folder.ts')
    const host = new BridgeHost({
      router,
      clock,
      log,
      folder: this.folder ?? usualJournalFolder(process.env),
      web: this.web,
      findProgram: (name) => findProgram(programs, name),
    })
    reports.bridges = () => bridgesReport(host.reports)
    return host
  }
}
