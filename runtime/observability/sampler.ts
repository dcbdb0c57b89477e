import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks'
import type { Clock, Timer } from '../router/clock.ts'
import type { RouterStats } from '../router/stats.ts'

/** What one interval brought, and what the process takes at its end. */
export interface Sample {
  /** Monotonic milliseconds. */
  at: number
  intervalSeconds: number
  stats: RouterStats
  messagesPerSecond: number
  deliveriesPerSecond: number
  dropsPerSecond: number
  /** Of one core: 0..1, above with worker threads. */
  cpuShare: number
  /** Since the process started. */
  cpuSeconds: number
  /** 99th percentile within the interval: how late the event loop came to its timers. */
  loopDelayMs: number
  rssBytes: number
  heapUsedBytes: number
  externalBytes: number
}

const DEFAULT_INTERVAL_MS = 5000
/** Coarse, because each step wakes the processor of an idle board. */
const LOOP_RESOLUTION_MS = 50

/** Looks at the router at a steady interval, so that all who show rates show the same ones. */
export class Sampler {
  private readonly stats: () => RouterStats
  private readonly clock: Clock
  private readonly intervalMs: number
  private readonly listeners = new Set<(sample: Sample) => void>()
  private readonly loopDelay: IntervalHistogram
  private timer: Timer | undefined
  private sample: Sample

  constructor(stats: () => RouterStats, clock: Clock, signal: AbortSignal, intervalMs = DEFAULT_INTERVAL_MS) {
    this.stats = stats
    this.clock = clock
    this.intervalMs = intervalMs
    this.loopDelay = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS })
    this.sample = this.take(undefined)
    if (signal.aborted) return
    this.loopDelay.enable()
    this.schedule()
    signal.addEventListener('abort', () => this.stop(), { once: true })
  }

  /** The last complete interval; rates are 0 before the first one has passed. */
  get last(): Sample {
    return this.sample
  }

  /** Calls back after each interval, until the signal is aborted. */
  onSample(listener: (sample: Sample) => void, signal: AbortSignal): void {
    if (signal.aborted) return
    this.listeners.add(listener)
    signal.addEventListener('abort', () => this.listeners.delete(listener), { once: true })
  }

  private schedule(): void {
    this.timer = this.clock.timer(this.intervalMs, () => {
      this.sample = this.take(this.sample)
      this.schedule()
      for (const listener of this.listeners) listener(this.sample)
    })
  }

  private stop(): void {
    this.timer?.cancel()
    this.loopDelay.disable()
    this.listeners.clear()
  }

  private take(previous: Sample | undefined): Sample {
    const at = this.clock.now()
    const stats = this.stats()
    const memory = process.memoryUsage()
    const { user, system } = process.cpuUsage()
    const cpuSeconds = (user + system) / 1e6
    const intervalSeconds = previous === undefined ? 0 : (at - previous.at) / 1000
    const perSecond = (now: number, before: number | undefined) =>
      before === undefined || intervalSeconds <= 0 ? 0 : (now - before) / intervalSeconds
    // The histogram holds the time between two of its own timers, which is the resolution plus the delay.
    const delayMs = this.loopDelay.count > 0 ? this.loopDelay.percentile(99) / 1e6 - LOOP_RESOLUTION_MS : 0
    this.loopDelay.reset()
    return {
      at,
      intervalSeconds,
      stats,
      messagesPerSecond: perSecond(received(stats), previous && received(previous.stats)),
      deliveriesPerSecond: perSecond(stats.deliveries, previous?.stats.deliveries),
      dropsPerSecond: perSecond(stats.drops, previous?.stats.drops),
      cpuShare: perSecond(cpuSeconds, previous?.cpuSeconds),
      cpuSeconds,
      loopDelayMs: Math.max(0, delayMs),
      rssBytes: memory.rss,
      heapUsedBytes: memory.heapUsed,
      externalBytes: memory.external,
    }
  }
}

function received(stats: RouterStats): number {
  return Object.values(stats.messages).reduce((sum, count) => sum + count, 0)
}
