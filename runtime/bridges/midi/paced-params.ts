import type { Value } from '../../../firmware-protocol/wire/value.ts'
import type { Clock, Timer } from '../../router/clock.ts'

const MAX_ENTRIES = 4096

interface Entry {
  toldAt: number
  /** Newer than what was told. */
  value: Value | undefined
}

/** Tells params no more often than so, each on its own; the last value always comes. */
export class PacedParams {
  private readonly pauseMs: number
  private readonly clock: Clock
  private readonly tell: (address: string, value: Value) => void
  private readonly entries = new Map<string, Entry>()
  /** Of those that wait, in the order in which they are due. */
  private readonly waiting = new Set<string>()
  private timer: Timer | null = null

  /** `maxRate`: Hz; 0: no limit. */
  constructor(maxRate: number, clock: Clock, tell: (address: string, value: Value) => void) {
    this.pauseMs = maxRate === 0 ? 0 : 1000 / maxRate
    this.clock = clock
    this.tell = tell
  }

  set(address: string, value: Value): void {
    if (this.pauseMs === 0) {
      this.tell(address, value)
      return
    }
    const now = this.clock.now()
    const entry = this.entries.get(address)
    if (entry === undefined) {
      this.makeRoom()
      this.entries.set(address, { toldAt: now, value: undefined })
    } else if (now - entry.toldAt < this.pauseMs) {
      entry.value = value
      this.waiting.add(address)
      this.timer ??= this.clock.timer(entry.toldAt + this.pauseMs - now, this.onTimer)
      return
    } else {
      entry.toldAt = now
      entry.value = undefined
      this.waiting.delete(address)
    }
    this.tell(address, value)
  }

  /** Tells what waits. */
  flush(): void {
    this.timer?.cancel()
    this.timer = null
    for (const address of this.waiting) this.tellWaiting(address)
  }

  private readonly onTimer = (): void => {
    this.timer = null
    const now = this.clock.now()
    for (const address of this.waiting) {
      const { toldAt } = this.entries.get(address) as Entry
      const left = toldAt + this.pauseMs - now
      if (left <= 0) this.tellWaiting(address)
      else {
        this.timer = this.clock.timer(left, this.onTimer)
        return
      }
    }
  }

  private tellWaiting(address: string): void {
    const entry = this.entries.get(address) as Entry
    const { value } = entry
    this.waiting.delete(address)
    entry.toldAt = this.clock.now()
    entry.value = undefined
    if (value !== undefined) this.tell(address, value)
  }

  private makeRoom(): void {
    if (this.entries.size < MAX_ENTRIES) return
    const oldest = this.entries.keys().next().value as string
    if (this.waiting.has(oldest)) this.tellWaiting(oldest)
    this.entries.delete(oldest)
  }
}
