/** Hot path: `add`. */

import type { MirrorRecord } from './mirror-record.ts'

/**
 * Params to be told to the hub, each once, in the order of their first change; the value is read when it is sent, so that
 * a param that changes often takes no more room than one that changed once. Beyond `maxParams` only the marks of the
 * records know: when the queue has run empty they are looked through, so that nothing is lost.
 */
export class Outbox {
  /** Called when something was added. */
  onAdded: () => void = () => {}
  /** Changes that found the queue full. */
  overflows = 0
  /** Taken, and not settled: on their way to the hub, or resting before they are sent again. */
  away = 0
  private readonly maxParams: number
  private readonly records: () => Iterable<MirrorRecord>
  private queue: MirrorRecord[] = []
  private at = 0
  private isOverfull = false

  /** `records`: everything that may belong here. */
  constructor(maxParams: number, records: () => Iterable<MirrorRecord>) {
    this.maxParams = maxParams
    this.records = records
  }

  /** Queued ones; more are waiting while it is overfull. */
  get size(): number {
    return this.queue.length - this.at
  }

  get needsFullPush(): boolean {
    return this.isOverfull
  }

  /** The longest waiting. */
  get oldest(): MirrorRecord | undefined {
    return this.queue[this.at]
  }

  add(record: MirrorRecord): void {
    if (record.isQueued) return
    if (this.queue.length - this.at >= this.maxParams) {
      this.isOverfull = true
      this.overflows++
      return
    }
    record.isQueued = true
    this.queue.push(record)
    this.onAdded()
  }

  /** The next that is to be sent, undefined when there is none. What is under way or parked comes back by itself. */
  take(): MirrorRecord | undefined {
    for (;;) {
      if (this.at === this.queue.length) {
        this.queue = []
        this.at = 0
        if (!this.isOverfull) return undefined
        this.refill()
        if (this.queue.length === 0) return undefined
      }
      const record = this.queue[this.at++]
      if (this.at >= 4096 && this.at * 2 > this.queue.length) {
        this.queue = this.queue.slice(this.at)
        this.at = 0
      }
      record.isQueued = false
      if (record.isDirty && record.inFlight === null && !record.isParked) return record
    }
  }

  private refill(): void {
    this.isOverfull = false
    for (const record of this.records()) {
      if (!record.isDirty || record.isQueued || record.inFlight !== null || record.isParked) continue
      if (this.queue.length >= this.maxParams) {
        this.isOverfull = true
        return
      }
      record.isQueued = true
      this.queue.push(record)
    }
  }
}
