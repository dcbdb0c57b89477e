import type { Clock } from '../../router/clock.ts'
import type { Log } from '../../router/log.ts'
import type { Refusal } from './hub-session.ts'
import type { LinkProgress } from './link-state.ts'

const LOG_INTERVAL_MS = 1000

/** Tells the operator what the hub does not take. A hub that complains without end does not fill the log. */
export class RefusalReport {
  private readonly log: Log
  private readonly clock: Clock
  private readonly progress: LinkProgress
  private loggedAt = Number.NEGATIVE_INFINITY
  private unlogged = 0

  constructor(log: Log, clock: Clock, progress: LinkProgress) {
    this.log = log
    this.clock = clock
    this.progress = progress
  }

  /** Without an address it is about some message that was sent. */
  report(address: string | undefined, { code, message }: Refusal): void {
    this.progress.failed(`the hub does not take ${address ?? 'a message'}: ${message} (${code})`)
    const now = this.clock.now()
    if (now - this.loggedAt < LOG_INTERVAL_MS) {
      this.unlogged++
      return
    }
    const more = this.unlogged === 0 ? undefined : this.unlogged
    this.log.warn('the hub refused a message', { address, code, reason: message, unlogged: more })
    this.loggedAt = now
    this.unlogged = 0
  }
}
