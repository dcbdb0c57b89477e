import type { Board } from '../../boards/board.ts'
import type { Clock } from '../router/clock.ts'
import type { Log } from '../router/log.ts'
import type { PartReport } from '../router/part-report.ts'
import type { Router } from '../router/router.ts'

/** What the parts of one running router have in common. */
export interface EdgeScope {
  readonly router: Router
  readonly clock: Clock
  readonly log: Log
  readonly version: string
  readonly board: Board
  /** Whether hardware is made up where the configuration leaves that open. */
  readonly isSimulated: boolean
  /** Folder of the programs that come with the runtime. */
  readonly programs: string
  /** Called at the stop, what was added last first. */
  readonly stops: (() => void | Promise<void>)[]
  /** By the name of the part, for the status page. */
  readonly reports: Record<string, () => PartReport>
  /** Aborted when everything has stopped. */
  readonly signal: AbortSignal
  /** The stop has begun: nothing new is started. */
  readonly isStopping: () => boolean
}
