import type { Clock, Timer } from '../../router/clock.ts'

const MAX_ADDRESSES = 8192
/** So many are looked at for one that is not missed. */
const MAX_LOOKS = 16

interface Entry<T> {
  sentAt: number
  waiting: T | undefined
}

/** Lets each address pass once in an interval; of what came meanwhile the last one follows at its end. */
export class OscPace<T> {
  private readonly intervalMs: number
  private readonly clock: Clock
  private readonly onDue: (item: T) => void
  private readonly entries = new Map<string, Entry<T>>()
  private timer: Timer | null = null
  private readonly waiting = new Map<string, Entry<T>>()

  constructor(intervalMs: number, clock: Clock, onDue: (item: T) => void) {
    this.intervalMs = intervalMs
    this.clock = clock
    this.onDue = onDue
  }

  offer(address: string, item: T): void {
    if (this.intervalMs === 0) {
      this.onDue(item)
      return
    }
    const now = this.clock.now()
    const entry = this.entries.get(address)
    if (entry === undefined) {
      if (this.entries.size >= MAX_ADDRESSES) this.forgetOne(now)
      this.entries.set(address, { sentAt: now, waiting: undefined })
      this.onDue(item)
    } else if (entry.waiting !== undefined) {
      entry.waiting = item
    } else if (now - entry.sentAt >= this.intervalMs) {
      entry.sentAt = now
      this.onDue(item)
    } else {
      entry.waiting = item
      this.waiting.set(address, entry)
      this.timer ??= this.clock.timer(entry.sentAt + this.intervalMs - now, this.tick)
    }
  }

  /** What waits passes now: something is to come behind it. */
  flush(): void {
    if (this.waiting.size === 0) return
    const now = this.clock.now()
    for (const [address, entry] of [...this.waiting]) this.release(address, entry, now)
  }

  stop(): void {
    this.timer?.cancel()
    this.timer = null
    this.entries.clear()
    this.waiting.clear()
  }

  private readonly tick = (): void => {
    this.timer = null
    const now = this.clock.now()
    let nextMs = Number.POSITIVE_INFINITY
    for (const [address, entry] of [...this.waiting]) {
      const leftMs = entry.sentAt + this.intervalMs - now
      if (leftMs > 0) nextMs = Math.min(nextMs, leftMs)
      else this.release(address, entry, now)
    }
    if (nextMs < Number.POSITIVE_INFINITY) this.timer ??= this.clock.timer(nextMs, this.tick)
  }

  private release(address: string, entry: Entry<T>, now: number): void {
    const item = entry.waiting as T
    entry.waiting = undefined
    entry.sentAt = now
    this.waiting.delete(address)
    this.onDue(item)
  }

  /** Rather one that may pass again anyway. Moving each to the end when it passes took 0.06 µs a message. */
  private forgetOne(now: number): void {
    let looks = 0
    for (const [address, entry] of this.entries) {
      this.entries.delete(address)
      const isMissed = now - entry.sentAt < this.intervalMs || entry.waiting !== undefined
      if (isMissed && ++looks < MAX_LOOKS) {
        this.entries.set(address, entry)
        continue
      }
      this.waiting.delete(address)
      if (entry.waiting !== undefined) this.onDue(entry.waiting)
      return
    }
  }
}
