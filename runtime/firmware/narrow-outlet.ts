import type { Clock, Timer } from '../router/clock.ts'
import type { Link } from '../router/link.ts'
import type { NarrowCounters } from './narrow-counters.ts'
import { isSlowCarrier } from './narrow-options.ts'
import type { NarrowQueue } from './narrow-queue.ts'

/** Written at a time: a slow line should not be filled with what may soon be out of date. */
const SLOW_BURST_BYTES = 256
const FAST_BURST_BYTES = 16_384

/** Writes what waits for a device to its carrier: never more than that has room for, and what has to wait for time then. */
export class NarrowOutlet {
  private readonly link: Link
  private readonly queue: NarrowQueue
  private readonly clock: Clock
  private readonly counters: NarrowCounters
  private readonly burstBytes: number
  private timer: Timer | undefined
  private isPumping = false
  private isStopped = false

  constructor(link: Link, queue: NarrowQueue, clock: Clock, counters: NarrowCounters) {
    this.link = link
    this.queue = queue
    this.clock = clock
    this.counters = counters
    this.burstBytes = isSlowCarrier(link.transport) ? SLOW_BURST_BYTES : FAST_BURST_BYTES
  }

  /** Writes as much as may go now, and comes back when time allows more. When room comes, the carrier's owner calls. */
  pump(): void {
    if (this.isPumping || this.isStopped) return
    this.isPumping = true
    const { clock, link, queue } = this
    while (link.backlogBytes === 0 && !this.isStopped) {
      this.fill()
      if (link.output.length === 0) break
      link.flush()
    }
    this.isPumping = false
    this.timer?.cancel()
    this.timer = undefined
    const nextAt = queue.nextAt()
    if (link.backlogBytes > 0 || this.isStopped || nextAt === Number.POSITIVE_INFINITY) return
    this.timer = clock.timer(nextAt - clock.now(), () => {
      this.timer = undefined
      this.pump()
    })
  }

  /** Hands over what may go now, so that a newer value need not replace it. */
  release(): void {
    const { link } = this
    if (link.backlogBytes > 0 || this.isStopped) return
    this.fill()
    if (link.output.length >= this.burstBytes) link.flush()
  }

  /** Appends one bare frame to what the carrier is to take next. */
  put(bytes: Uint8Array, start: number, end: number): void {
    const { framing, output } = this.link
    const header = framing.headerBytes(end - start)
    const at = output.reserve(header + end - start)
    framing.putHeader(output.bytes, at, end - start)
    output.length = at + header
    output.append(bytes, start, end)
    this.counters.sent++
  }

  stop(): void {
    this.isStopped = true
    this.timer?.cancel()
    this.queue.clear()
  }

  private fill(): void {
    while (this.link.output.length < this.burstBytes) {
      const frame = this.queue.take(this.clock.now())
      if (frame === undefined) return
      this.put(frame, 0, frame.length)
    }
  }
}
