import type { Clock } from '../../router/clock.ts'
import { parseShare } from '../mqtt/topic-filter.ts'
import type { AccessList } from './access-list.ts'
import { BrokerSession } from './broker-session.ts'
import { limitExpiry } from './connect-answer.ts'
import type { MqttBrokerOptions } from './mqtt-broker-kind.ts'
import type { SessionKeeper } from './session-keeper.ts'
import type { StoredSession, StoredSubscription } from './stored-session.ts'
import type { Subscription, SubscriptionTree } from './subscription-tree.ts'

export interface SessionsParts {
  readonly options: MqttBrokerOptions
  readonly clock: Clock
  readonly tree: SubscriptionTree
  readonly access: AccessList
  /** Null: sessions do not survive the end of the process. */
  readonly keeper: SessionKeeper | null
  onSent(): void
  onDropped(): void
  onEnded(clientId: string): void
}

/** Sessions by client id, whether their clients are connected or not. */
export class BrokerSessions {
  private readonly parts: SessionsParts
  private readonly sessions = new Map<string, BrokerSession>()

  constructor(parts: SessionsParts) {
    this.parts = parts
  }

  get size(): number {
    return this.sessions.size
  }

  get subscriptionCount(): number {
    return [...this.sessions.values()].reduce((sum, { subscriptions }) => sum + subscriptions.size, 0)
  }

  get(clientId: string): BrokerSession | undefined {
    return this.sessions.get(clientId)
  }

  open(clientId: string, owner: string | undefined): BrokerSession {
    const { options, clock, onSent, onDropped } = this.parts
    const now = () => clock.now()
    const session = new BrokerSession({ clientId, owner, maxQueued: options.maxQueued, now, onSent, onDropped })
    this.sessions.set(clientId, session)
    return session
  }

  /** Above 0 s, it is kept on the disk. */
  setExpiry(session: BrokerSession, seconds: number): void {
    session.expirySeconds = seconds
    const { keeper } = this.parts
    if (seconds > 0) keeper?.keep(session)
    else keeper?.forget(session)
  }

  /** In place of one of the same name. */
  subscribe(session: BrokerSession, { name, ...rest }: StoredSubscription): void {
    this.unsubscribe(session, name)
    const { group, filter } = parseShare(name)
    const subscription: Subscription = { session, filter, group, ...rest }
    session.subscriptions.set(name, subscription)
    session.touchFacts()
    this.parts.tree.add(subscription)
  }

  /** False when there is no such subscription. */
  unsubscribe(session: BrokerSession, name: string): boolean {
    const subscription = session.subscriptions.get(name)
    if (subscription === undefined) return false
    session.subscriptions.delete(name)
    session.touchFacts()
    this.parts.tree.remove(subscription)
    return true
  }

  end(session: BrokerSession): void {
    const { clientId, subscriptions } = session
    if (this.sessions.get(clientId) !== session) return
    this.sessions.delete(clientId)
    this.parts.keeper?.forget(session)
    for (const subscription of subscriptions.values()) this.parts.tree.remove(subscription)
    subscriptions.clear()
    this.parts.onEnded(clientId)
  }

  /** The connection of a session has ended. */
  left(session: BrokerSession): void {
    if (session.expirySeconds === 0) {
      this.end(session)
      return
    }
    // The order of the map is that of leaving.
    this.sessions.delete(session.clientId)
    this.sessions.set(session.clientId, session)
  }

  /** Ends those whose time is over. */
  sweep(nowMs: number): void {
    for (const session of this.sessions.values()) {
      const isOver = !session.isConnected && session.leftAtMs + session.expirySeconds * 1000 <= nowMs
      if (isOver) this.end(session)
    }
  }

  /** Sessions of before the start; not those whose time or whose user is over. */
  restore(stored: readonly StoredSession[]): void {
    const { access, clock, keeper, options } = this.parts
    // As in `left`; those without a time had a connection to the last.
    const order = [...stored].sort((a, b) => (a.leftAtMs ?? Number.MAX_VALUE) - (b.leftAtMs ?? Number.MAX_VALUE))
    for (const one of order) {
      const rights = access.rightsOfOwner(one.owner)
      if (rights === undefined || keeper === null) continue
      const session = this.open(one.clientId, one.owner)
      session.rights = rights
      session.expirySeconds = limitExpiry(one.expirySeconds, options)
      for (const subscription of one.subscriptions) this.subscribe(session, subscription)
      keeper.restore(session, one)
    }
    this.sweep(clock.now())
    this.limit(0)
  }

  /** Of those whose clients are away, which `connected` are not, too many: who has been away longest ends. */
  limit(connected: number): void {
    let away = this.sessions.size - connected
    for (const session of this.sessions.values()) {
      if (away <= this.parts.options.maxSessions) return
      if (session.isConnected) continue
      this.end(session)
      away--
    }
  }
}
