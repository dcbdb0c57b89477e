/** So many stuck transactions in a row, of whomever, and all have to set their chips up anew on a bus that was reopened. */
const REOPEN_AFTER = 3
/** So many, and the bus is freed by hand. */
const RECOVER_AFTER = 6
const PAUSE_MS = 10_000
const LONGEST_PAUSE_MS = 600_000

/** Decides what is done about a stuck bus: the gentle remedy first, the other one ever more rarely. */
export class StuckCount {
  private inARow = 0
  private recoverAt = Number.NEGATIVE_INFINITY
  private pauseMs = PAUSE_MS

  /** The bus did its work. */
  worked(): void {
    this.inARow = 0
    this.pauseMs = PAUSE_MS
  }

  /** Another stuck transaction. `nowMs`: monotonic. */
  count(nowMs: number): 'reopen' | 'recover' | undefined {
    this.inARow++
    if (this.inARow % REOPEN_AFTER !== 0) return undefined
    if (this.inARow < RECOVER_AFTER || nowMs < this.recoverAt) return 'reopen'
    this.recoverAt = nowMs + this.pauseMs
    this.pauseMs = Math.min(LONGEST_PAUSE_MS, 2 * this.pauseMs)
    return 'recover'
  }
}
