import type { Clock, Timer } from '../router/clock.ts'

/** Something that wants to be called at a time that it may change at will. */
export interface Ticking {
  /** Monotonic ms; Infinity: not at all. */
  readonly dueAt: number
  poll(nowMs: number): void
}

/** Due times closer together than this share one timer. */
const GRAIN_MS = 2

/** One timer for many links: hundreds of devices with deadlines of milliseconds would otherwise be hundreds of timers. */
export class LinkTicker {
  private readonly clock: Clock
  private readonly items = new Set<Ticking>()
  private timer: Timer | null = null
  private timerAt = Infinity

  constructor(clock: Clock) {
    this.clock = clock
  }

  add(item: Ticking): void {
    this.items.add(item)
    this.changed(item)
  }

  remove(item: Ticking): void {
    this.items.delete(item)
  }

  /** To be called after whatever may have brought an item's due time forward. */
  changed(item: Ticking): void {
    if (item.dueAt < this.timerAt - GRAIN_MS) this.arm(item.dueAt)
  }

  stop(): void {
    this.timer?.cancel()
    this.timer = null
    this.timerAt = Infinity
    this.items.clear()
  }

  private arm(at: number): void {
    this.timer?.cancel()
    this.timerAt = at
    this.timer = this.clock.timer(Math.max(1, at - this.clock.now()), this.tick)
  }

  private readonly tick = (): void => {
    this.timer = null
    this.timerAt = Infinity
    const now = this.clock.now()
    let next = Infinity
    for (const item of this.items) {
      if (item.dueAt <= now + 0.5) item.poll(now)
      if (item.dueAt < next) next = item.dueAt
    }
    if (next < this.timerAt) this.arm(next)
  }
}
