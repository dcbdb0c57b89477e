import type { NarrowCounters } from './narrow-counters.ts'

/** Initial values, which nobody is waiting for urgently: so many in so many ms. Firmware reference §5.2 rule 6. */
const INITIAL_FRAMES = 20
const INITIAL_WINDOW_MS = 100
/** What may wait for one device, with what a map entry costs beside the frame; more is dropped. */
const MAX_BYTES = 2_097_152
const ENTRY_BYTES = 64
/** A value that was sent so long ago has arrived, or never will. */
const FLIGHT_MS = 1000

/**
 * Frames on their way to a small device. A newer value replaces an older one that still waits; values of one address go out
 * at most so often, and the newest always does in the end; initial values come last and at a steady pace. What happened
 * once (events, replies) is never replaced. Times are monotonic ms.
 */
export class NarrowQueue {
  private readonly counters: NarrowCounters
  /** Between two values of one address; 0 = none. */
  private readonly intervalMs: number
  /** Sent as soon as the carrier has room, in this order. */
  private readonly ready = new Map<string, Uint8Array>()
  /** Values that come too soon after the last one of their address. */
  private readonly resting = new Map<string, Uint8Array>()
  private readonly initial = new Map<string, Uint8Array>()
  /** By key, in the order of time. */
  private readonly sentAt = new Map<string, number>()
  private serial = 0
  private bytes = 0
  private windowStart = Number.NEGATIVE_INFINITY
  private sentInWindow = 0

  constructor(updatesPerSecond: number, counters: NarrowCounters) {
    this.intervalMs = updatesPerSecond > 0 ? 1000 / updatesPerSecond : 0
    this.counters = counters
  }

  get length(): number {
    return this.ready.size + this.resting.size + this.initial.size
  }

  /** Whether a value of this key waits for nothing but room. */
  isReady(key: string): boolean {
    return this.ready.has(key)
  }

  /** Whether a value of this key waits, or was sent within the last second: the device may not have it yet. */
  isInFlight(key: string, now: number): boolean {
    const sentAt = this.sentAt.get(key)
    return this.ready.has(key) || this.resting.has(key) || (sentAt !== undefined && now - sentAt < FLIGHT_MS)
  }

  /** Something that happened once. `after` names the key of which nothing may go out later than this. */
  addLasting(frame: Uint8Array, after?: string): void {
    const rested = after === undefined ? undefined : this.resting.get(after)
    if (after !== undefined && rested !== undefined) {
      this.remove(this.resting, after, rested)
      this.place(this.ready, after, rested)
    }
    this.place(this.ready, `${this.serial++}`, frame)
  }

  /** A value, of which only the newest of its key matters. The key starts with something that is no digit. */
  addValue(key: string, frame: Uint8Array, now: number): void {
    this.replace(this.initial, key)
    this.replace(this.ready, key)
    const sentAt = this.sentAt.get(key)
    const isTooSoon = sentAt !== undefined && now - sentAt < this.intervalMs
    if (this.replace(this.resting, key) || isTooSoon) this.place(this.resting, key, frame)
    else this.place(this.ready, key, frame)
  }

  /** A stored value that was asked for; newer than any value that waits already. */
  addInitial(key: string, frame: Uint8Array, now: number): void {
    if (this.ready.has(key) || this.resting.has(key)) {
      this.addValue(key, frame, now)
      return
    }
    this.replace(this.initial, key)
    this.place(this.initial, key, frame)
  }

  /** The next frame that may go out now. */
  take(now: number): Uint8Array | undefined {
    if (this.resting.size > 0) this.wake(now)
    for (const [key, frame] of this.ready) return this.takeFrom(this.ready, key, frame, now)
    if (now - this.windowStart >= INITIAL_WINDOW_MS) {
      this.windowStart = now
      this.sentInWindow = 0
    }
    if (this.sentInWindow >= INITIAL_FRAMES) return undefined
    for (const [key, frame] of this.initial) {
      this.sentInWindow++
      return this.takeFrom(this.initial, key, frame, now)
    }
    return undefined
  }

  /** When time alone makes the next frame ready; Infinity when nothing waits for time. */
  nextAt(): number {
    let next = this.initial.size > 0 ? this.windowStart + INITIAL_WINDOW_MS : Number.POSITIVE_INFINITY
    for (const key of this.resting.keys()) next = Math.min(next, this.dueAt(key))
    return next
  }

  /** What happened once and has not gone out yet; nothing else is worth sending before the end. */
  takeLasting(): Uint8Array[] {
    const frames = [...this.ready].filter(([key]) => isLasting(key)).map(([, frame]) => frame)
    this.clear()
    return frames
  }

  clear(): void {
    for (const map of [this.ready, this.resting, this.initial, this.sentAt]) map.clear()
    this.bytes = 0
  }

  private wake(now: number): void {
    for (const [key, frame] of this.resting) {
      if (this.dueAt(key) > now) continue
      this.remove(this.resting, key, frame)
      this.place(this.ready, key, frame)
    }
  }

  private dueAt(key: string): number {
    return (this.sentAt.get(key) ?? Number.NEGATIVE_INFINITY) + this.intervalMs
  }

  private takeFrom(map: Map<string, Uint8Array>, key: string, frame: Uint8Array, now: number): Uint8Array {
    this.remove(map, key, frame)
    if (!isLasting(key)) {
      this.sentAt.delete(key)
      this.sentAt.set(key, now)
    }
    for (const [oldest, at] of this.sentAt) {
      if (now - at < Math.max(FLIGHT_MS, this.intervalMs)) break
      this.sentAt.delete(oldest)
    }
    return frame
  }

  private replace(map: Map<string, Uint8Array>, key: string): boolean {
    const older = map.get(key)
    if (older === undefined) return false
    this.remove(map, key, older)
    this.counters.coalesced++
    return true
  }

  private place(map: Map<string, Uint8Array>, key: string, frame: Uint8Array): void {
    const size = frame.length + ENTRY_BYTES
    while (this.bytes + size > MAX_BYTES) {
      this.counters.dropped++
      // Initial values give way to news. Of news, those that waited first are kept.
      const [oldest] = map === this.initial ? [] : this.initial
      if (oldest === undefined) return
      this.remove(this.initial, ...oldest)
    }
    map.set(key, frame)
    this.bytes += size
  }

  private remove(map: Map<string, Uint8Array>, key: string, frame: Uint8Array): void {
    map.delete(key)
    this.bytes -= frame.length + ENTRY_BYTES
  }
}

function isLasting(key: string): boolean {
  const first = key.charCodeAt(0)
  return first >= 0x30 && first <= 0x39
}
