import type { Clock } from '../router/clock.ts'

/** At most so many messages a second, with a burst of one second: a token bucket, which may be part of a larger one. */
export class MessageBudget {
  /** Messages that were not allowed, since the start. */
  refused = 0
  private readonly perSecond: number
  private readonly clock: Clock
  private readonly whole: MessageBudget | undefined
  private tokens: number
  private filledAt: number

  constructor(perSecond: number, clock: Clock, whole?: MessageBudget) {
    this.perSecond = perSecond
    this.clock = clock
    this.whole = whole
    this.tokens = perSecond
    this.filledAt = clock.now()
  }

  take(): boolean {
    this.fill()
    const isAllowed = this.tokens >= 1 && (this.whole === undefined || this.whole.take())
    if (isAllowed) this.tokens--
    else this.refused++
    return isAllowed
  }

  private fill(): void {
    const now = this.clock.now()
    this.tokens = Math.min(this.perSecond, this.tokens + ((now - this.filledAt) / 1000) * this.perSecond)
    this.filledAt = now
  }
}
