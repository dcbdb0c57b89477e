import { isDeepStrictEqual } from 'node:util'
import type { Pace, Plain } from '../../devices/device.ts'
import type { Clock, Timer } from '../router/clock.ts'

/** When there is no message left to spend. */
const AGAIN_MS = 20

/**
 * Decides which values of a param are worth a message: changes beyond the deadband, an unchanged one after the heartbeat,
 * not too many a second; the last value always goes out. Source: bridges.md §2.9.
 */
export class PacedParam {
  private readonly pace: Pace
  private readonly clock: Clock
  private readonly publish: (value: Plain) => boolean
  private last: Plain | undefined
  private sentAt = Number.NEGATIVE_INFINITY
  private waiting: Plain | undefined
  private timer: Timer | null = null

  /** `publish` returns false when nothing may be sent at the moment. */
  constructor(pace: Pace, clock: Clock, publish: (value: Plain) => boolean) {
    this.pace = pace
    this.clock = clock
    this.publish = publish
  }

  /** What subscribers have; undefined: nothing yet. */
  get value(): Plain | undefined {
    return this.last
  }

  offer(value: Plain): void {
    const { heartbeatMs = 0, maxRateHz = 0 } = this.pace
    const now = this.clock.now()
    const isDue = heartbeatMs > 0 && now - this.sentAt >= heartbeatMs
    if (!this.isChange(value) && !isDue) {
      // It went there and back while it had to wait.
      this.waiting = undefined
      return
    }
    const allowedAt = maxRateHz > 0 ? this.sentAt + 1000 / maxRateHz : now
    if (now < allowedAt) this.wait(value, allowedAt - now)
    else this.send(value)
  }

  /** Somebody else set it: that is what subscribers have now. */
  adopt(value: Plain): void {
    this.last = value
    this.waiting = undefined
  }

  /** Subscribers have something else: the next value goes out whatever it is. */
  forget(): void {
    this.last = undefined
  }

  /** What had to wait goes out now, if it may: a total that is kept is to be the last one. */
  stop(): void {
    this.timer?.cancel()
    this.timer = null
    if (this.waiting !== undefined) this.publish(this.waiting)
    this.waiting = undefined
  }

  private isChange(value: Plain): boolean {
    const { last, pace } = this
    if (typeof value !== 'number' || typeof last !== 'number') return !isDeepStrictEqual(value, last)
    if (Math.sign(value) !== Math.sign(last)) return true
    const { deadband = 0, deadbandRelative = 0 } = pace
    const change = Math.abs(value - last)
    if (change === 0) return false
    if (deadband === 0 && deadbandRelative === 0) return true
    if (deadbandRelative > 0 && change >= deadbandRelative * Math.abs(last)) return true
    return deadband > 0 && change >= deadband
  }

  private wait(value: Plain, delayMs: number): void {
    this.waiting = value
    this.timer ??= this.clock.timer(delayMs, () => {
      this.timer = null
      const { waiting } = this
      this.waiting = undefined
      if (waiting !== undefined) this.send(waiting)
    })
  }

  private send(value: Plain): void {
    if (!this.publish(value)) {
      this.wait(value, AGAIN_MS)
      return
    }
    this.last = value
    this.sentAt = this.clock.now()
    this.waiting = undefined
  }
}
