import {
  ALL_SIGNALS_MASK,
  ASSIGNED_SIGNALS_MASK,
  MessageCode,
  SignalCode,
} from '../../firmware-protocol/wire/constants.ts'
import type { Signal, Subscribe } from '../../firmware-protocol/wire/message.ts'
import { Pattern } from '../../firmware-protocol/wire/pattern.ts'
import type { Core } from './core.ts'
import type { Session } from './session.ts'
import type { Snapshots } from './snapshots.ts'
import { Subscription } from './subscription.ts'

/** SUBSCRIBE and UNSUBSCRIBE. Neither is acknowledged; stored params that match follow as SNAPSHOT. Router reference §4.3. */
export class Subscriptions {
  private readonly core: Core
  private readonly snapshots: Snapshots
  private readonly bySession = new Map<Session, Map<string, Subscription>>()

  constructor(core: Core, snapshots: Snapshots) {
    this.core = core
    this.snapshots = snapshots
  }

  count(session: Session): number {
    return this.bySession.get(session)?.size ?? 0
  }

  subscribe(session: Session, message: Subscribe): void {
    const { core } = this
    const pattern = Pattern.parse(message.pattern)
    if (typeof pattern === 'string') {
      core.refuse(session, 202, `invalid address: ${pattern}`, message.pattern)
      return
    }
    if (session.access !== null && !session.access.canSubscribe(message.pattern)) {
      core.refuse(session, 301, 'Insufficient scope for subscription', message.pattern)
      return
    }
    let own = this.bySession.get(session)
    if (own === undefined) {
      own = new Map()
      this.bySession.set(session, own)
    }
    const key = keyOf(message)
    const replaced = own.get(key)
    const limit = core.options.maxSubscriptionsPerSession
    if (replaced === undefined && own.size >= limit) {
      core.refuse(session, 429, `Subscription limit reached (max ${limit})`, message.pattern)
      return
    }
    const mask = maskOf(message.types)
    const subscription = new Subscription(session, message.id, message.pattern, mask, message.options)
    if (replaced !== undefined) core.index.remove(replaced)
    core.index.add(subscription)
    own.set(key, subscription)
    if (replaced !== undefined) {
      this.dropUnwanted(session)
      this.snapshots.cancel(session, replaced.pattern)
    }
    core.pacing.hasten(session, pattern)
    this.sendHistory(session, pattern, subscription)
    this.snapshots.send(session, pattern, false)
  }

  unsubscribe(session: Session, id: number): void {
    const own = this.bySession.get(session)
    if (own === undefined) return
    for (const [key, subscription] of own) {
      if (subscription.id !== id) continue
      this.core.index.remove(subscription)
      this.snapshots.cancel(session, subscription.pattern)
      own.delete(key)
    }
    this.dropUnwanted(session)
  }

  /**
   * Subscribes a session on its behalf, with the ids from `firstId` on, to all signals and without a SNAPSHOT. They take the
   * place of the `replaced` ones that were made so before. No limit applies. Every pattern must be valid.
   */
  replaceQuietly(session: Session, firstId: number, replaced: number, patterns: readonly string[]): void {
    const own = this.bySession.get(session) ?? new Map<string, Subscription>()
    this.bySession.set(session, own)
    for (let id = firstId; id < firstId + Math.max(replaced, patterns.length); id++) {
      const key = `${id}`
      const before = own.get(key)
      if (before === undefined) continue
      this.core.index.remove(before)
      own.delete(key)
    }
    for (const [i, pattern] of patterns.entries()) {
      const subscription = new Subscription(session, firstId + i, pattern, ALL_SIGNALS_MASK, undefined)
      this.core.index.add(subscription)
      own.set(`${subscription.id}`, subscription)
    }
    this.dropUnwanted(session)
  }

  forget(session: Session): void {
    for (const subscription of this.bySession.get(session)?.values() ?? []) this.core.index.remove(subscription)
    this.bySession.delete(session)
  }

  private dropUnwanted(session: Session): void {
    const { index, pacing } = this.core
    const isOwn = (subscription: Subscription) => subscription.session === session
    pacing.dropUnwanted(session, (address) =>
      index.match(address).some(({ subscriptions }) => [...subscriptions].some(isOwn)),
    )
  }

  /**
   * `history` asks for the last n messages of each matching address, `window` for those of the last so many ms, both
   * for those that satisfy both. They come before the SNAPSHOT, oldest first.
   */
  private sendHistory(session: Session, pattern: Pattern, { options, mask }: Subscription): void {
    const count = options?.history ?? 0
    const windowMs = options?.window ?? 0
    if (count === 0 && windowMs === 0) return
    const since = windowMs === 0 ? Number.NEGATIVE_INFINITY : this.core.now - windowMs
    const limit = count === 0 ? Number.POSITIVE_INFINITY : count
    const frames = this.core.history.select(limit, since, (ring, payload, address) => {
      const signal = ring[payload] === MessageCode.set ? SignalCode.param : ring[payload + 1] >>> 5
      const isWanted = (mask & (1 << signal)) !== 0 && pattern.matches(address)
      return isWanted && (session.access === null || session.access.canRead(address))
    })
    for (const frame of frames) session.deliver(frame, 0, frame.length)
  }
}

/** The embedded client calls all its subscriptions 0: they are told apart by their pattern (wire reference §18). */
function keyOf({ id, pattern }: Subscribe): string {
  return id === 0 ? `0 ${pattern}` : `${id}`
}

function maskOf(types: readonly Signal[]): number {
  if (types.length === 0) return ALL_SIGNALS_MASK
  let mask = 0
  for (const type of types) mask |= 1 << SignalCode[type]
  return mask & ASSIGNED_SIGNALS_MASK
}
