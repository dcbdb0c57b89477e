import type { Update } from './bridge.ts'

const DEFAULT_ENTRIES = 1024

/**
 * What waits for gear that is slower than the router: the last value of each param and stream, events in order, of which
 * the oldest go when there are too many. Source: bridges.md §2.7.
 */
export class OutboundQueue {
  private readonly maxEntries: number
  private readonly onDropped: () => void
  /** By key: the address of what may be replaced, a number of its own for everything else. */
  private readonly waiting = new Map<string, Update>()
  private events = 0

  constructor(onDropped: () => void, maxEntries = DEFAULT_ENTRIES) {
    this.onDropped = onDropped
    this.maxEntries = maxEntries
  }

  get size(): number {
    return this.waiting.size
  }

  push(update: Update): void {
    const isState = update.signal === 'param' || update.signal === 'stream'
    const key = isState ? update.address : `#${this.events++}`
    // A newer value goes to the end: what came before it stays before it.
    if (!this.waiting.delete(key) && this.waiting.size >= this.maxEntries) this.drop()
    this.waiting.set(key, update)
  }

  /** The next one; undefined: nothing waits. */
  shift(): Update | undefined {
    for (const [key, update] of this.waiting) {
      this.waiting.delete(key)
      return update
    }
    return undefined
  }

  clear(): void {
    this.waiting.clear()
  }

  /** The oldest event, for params are what late joiners need. */
  private drop(): void {
    let oldest: string | undefined
    for (const [key, { signal }] of this.waiting) {
      oldest ??= key
      if (signal === 'param') continue
      oldest = key
      break
    }
    if (oldest !== undefined) this.waiting.delete(oldest)
    this.onDropped()
  }
}
