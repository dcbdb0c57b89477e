import { SignalCode } from '../../../firmware-protocol/wire/constants.ts'
import type { Publish, Signal } from '../../../firmware-protocol/wire/message.ts'
import type { Clock } from '../../router/clock.ts'
import type { Connection } from './connection.ts'
import type { EventQueue } from './event-queue.ts'
import type { Mirror } from './mirror.ts'
import type { UplinkPolicy } from './uplink-policy.ts'

/** Everything but params, which are followed in the router's state. */
export const FORWARDED_SIGNALS: Signal[] = (Object.keys(SignalCode) as Signal[]).filter((signal) => signal !== 'param')

/**
 * Events, timelines, streams and gestures on their way to the hub. Streams and gestures leave at once or never; events wait
 * where their pattern was opted in, and are counted where they are dropped. Source: federation.md §13.6.
 */
export class LocalSignals {
  /** Events that nobody wanted to be kept. */
  dropped = 0
  private readonly clock: Clock
  private readonly mirror: Mirror
  private readonly policy: UplinkPolicy
  private readonly events: EventQueue

  constructor(clock: Clock, mirror: Mirror, policy: UplinkPolicy, events: EventQueue) {
    this.clock = clock
    this.mirror = mirror
    this.policy = policy
    this.events = events
  }

  /** `connection` null = there is none now. */
  forward(message: Publish, connection: Connection | null): void {
    const { events } = this
    const kind = this.mirror.kindOf(message.address)
    if (kind !== 'owned' && kind !== 'remote') return
    const isOwned = kind === 'owned'
    const mayWait = message.signal === 'event' || message.signal === 'timeline'
    const rule = this.policy.of(message.address, isOwned)
    // Where all are to arrive they wait also while the hub is there, until it is certain that it has them.
    if (rule.events !== 'all' || !mayWait) {
      if (connection?.publish(message, isOwned)) {
        if (rule.events === 'latest') events.supersede(message.address)
        return
      }
      if (!mayWait) return
      if (rule.events === 'drop') {
        this.dropped++
        return
      }
    }
    events.add(message, this.clock.wallUs() + rule.maxAgeMs * 1000, rule.events === 'latest')
    connection?.flushEvents().catch(() => {})
  }
}
