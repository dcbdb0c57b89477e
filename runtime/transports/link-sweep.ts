import type { Clock, Timer } from '../router/clock.ts'

/** Something that has to look at the time now and then. */
export interface Swept {
  sweep(now: number): void
}

/** One coarse timer for all links of a listener, in place of several per link. It runs only while there are links. */
export class LinkSweep {
  private readonly clock: Clock
  private readonly periodMs: number
  private readonly members = new Set<Swept>()
  private timer: Timer | null = null

  /** The finest of `intervalsMs` (0 = not used) is kept to within a quarter. */
  constructor(clock: Clock, intervalsMs: readonly number[]) {
    this.clock = clock
    const shortest = Math.min(20_000, ...intervalsMs.filter((ms) => ms > 0))
    this.periodMs = Math.max(5, shortest / 4)
  }

  add(member: Swept): void {
    this.members.add(member)
    if (this.timer === null) this.schedule()
  }

  remove(member: Swept): void {
    this.members.delete(member)
    if (this.members.size > 0) return
    this.timer?.cancel()
    this.timer = null
  }

  private schedule(): void {
    this.timer = this.clock.timer(this.periodMs, () => {
      const now = this.clock.now()
      for (const member of this.members) member.sweep(now)
      this.timer = null
      if (this.members.size > 0) this.schedule()
    })
  }
}
