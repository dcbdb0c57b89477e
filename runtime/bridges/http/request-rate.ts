import type { Clock } from '../../router/clock.ts'

const MAX_CLIENTS = 4096

/** Token buckets by client: so many requests a second, and so many at once. The least recent clients are forgotten. */
export class RequestRate {
  private readonly clock: Clock
  private readonly perSecond: number
  private readonly burst: number
  private readonly buckets = new Map<string, { tokens: number; filledAt: number }>()

  constructor(clock: Clock, perSecond: number, burst: number) {
    this.clock = clock
    this.perSecond = perSecond
    this.burst = burst
  }

  /** 0: the request may pass; otherwise whole seconds until one may. */
  take(client: string): number {
    const now = this.clock.now()
    const bucket = this.buckets.get(client) ?? { tokens: this.burst, filledAt: now }
    bucket.tokens = Math.min(this.burst, bucket.tokens + ((now - bucket.filledAt) / 1000) * this.perSecond)
    bucket.filledAt = now
    // The order of the map is the order of use.
    this.buckets.delete(client)
    this.buckets.set(client, bucket)
    if (this.buckets.size > MAX_CLIENTS) this.buckets.delete(this.buckets.keys().next().value as string)
    if (bucket.tokens >= 1) {
      bucket.tokens--
      return 0
    }
    return Math.max(1, Math.ceil((1 - bucket.tokens) / this.perSecond))
  }
}
