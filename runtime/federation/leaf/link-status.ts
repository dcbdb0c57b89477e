import type { Value } from '../../../firmware-protocol/wire/value.ts'
import { fromJs } from '../../../firmware-protocol/wire/values.ts'
import type { Clock, Timer } from '../../router/clock.ts'
import type { LocalSession } from '../../router/local-session.ts'
import type { ForwardCounters } from './forward.ts'
import type { HubSession } from './hub-session.ts'
import type { InboundCounters } from './inbound.ts'
import type { LinkState } from './link-state.ts'

/** The uplink as operators see it. Counters begin with the process. */
export interface LeafStatistics {
  state: LinkState
  /** Unix time in µs. */
  since: number
  hub: { url: string; name: string; session: string; isPeer: boolean }
  routerId: string
  namespaces: readonly string[]
  /** The last thing that went wrong, empty = nothing yet; and when, µs. */
  lastError: string
  lastErrorAt: number
  queue: {
    /** Changed params that the hub does not have yet. */
    params: number
    events: number
    /** More params have changed than are queued one by one. */
    isOverfull: boolean
  }
  /** How long the oldest change has waited, ms. */
  lagMs: number
  mirrored: number
  connections: number
  clock: { isKnown: boolean; offsetUs: number }
  forwarded: ForwardCounters
  received: InboundCounters
  dropped: {
    /** Events that did not reach the hub. */
    events: number
    /** Changes that the router itself had no room for. */
    evicted: number
    /** Values of the hub that this router had no room for. */
    unheld: number
  }
  /** Addresses that were sent round in circles and had to rest. */
  pingPong: number
  verifyPages: number
  framesPerSecond: number
}

const INTERVAL_MS = 1000
/** At the hub the status costs a frame of the little that some allow. */
const HUB_INTERVAL_MS = 10_000

export interface LinkStatusParts {
  clock: Clock
  local: LocalSession
  /** With a slash at the end. */
  controlPrefix: string
  version: string
  statistics(): LeafStatistics
  /** The hub's side, null while the link is down. */
  session(): HubSession | null
}

/**
 * Keeps the state of the link as params below the leaf's own prefix: here `state`, `since`, `queue`, `lag`, `error` and
 * `status`, at the hub `status`. Only what has changed is written, at most once a second. Source: federation.md §13.8.
 */
export class LinkStatus {
  private readonly parts: LinkStatusParts
  private readonly told = new Map<string, string | number>()
  private timer: Timer | null = null
  private toldHub = ''
  private toldHubAt = Number.NEGATIVE_INFINITY

  constructor(parts: LinkStatusParts) {
    this.parts = parts
    this.tick()
  }

  /** Tells a change of state at once. */
  publish(): void {
    const statistics = this.parts.statistics()
    this.tell('state', statistics.state)
    this.tell('since', statistics.since)
    this.tell('queue', statistics.queue.params + statistics.queue.events)
    this.tell('lag', Math.round(statistics.lagMs))
    this.tell('error', statistics.lastError)
    const summary = this.summary(statistics)
    const text = JSON.stringify(summary)
    if (this.told.get('status') !== text) {
      this.told.set('status', text)
      this.set('status', fromJs(summary))
    }
    this.tellHub(statistics)
  }

  stop(): void {
    this.timer?.cancel()
    this.timer = null
  }

  private tick(): void {
    this.timer = this.parts.clock.timer(INTERVAL_MS, () => {
      this.publish()
      this.tick()
    })
  }

  private tellHub(statistics: LeafStatistics): void {
    const { clock, controlPrefix } = this.parts
    const session = this.parts.session()
    const now = clock.now()
    if (statistics.state !== 'active' || session === null || !session.canSend) return
    if (now - this.toldHubAt < HUB_INTERVAL_MS) return
    const summary = this.summary(statistics)
    const text = JSON.stringify(summary)
    if (text === this.toldHub) return
    this.toldHubAt = now
    this.toldHub = text
    session.set(`${controlPrefix}status`, fromJs(summary), { mode: 'never' }).then(({ kind }) => {
      if (kind !== 'stored') this.toldHub = ''
    })
  }

  private summary({ state, namespaces, queue, dropped, clock, lastError }: LeafStatistics): object {
    return {
      version: this.parts.version,
      namespaces: [...namespaces],
      hub: state === 'active' ? 'online' : 'offline',
      queue: queue.params + queue.events,
      droppedEvents: dropped.events,
      evicted: dropped.evicted,
      clockOk: clock.isKnown,
      error: lastError,
    }
  }

  private tell(name: string, value: string | number): void {
    if (this.told.get(name) === value) return
    this.told.set(name, value)
    this.set(name, fromJs(value))
  }

  private set(name: string, value: Value): void {
    const { local, controlPrefix } = this.parts
    local.send({ type: 'SET', address: `${controlPrefix}${name}`, value, ttl: { mode: 'never' } })
  }
}
