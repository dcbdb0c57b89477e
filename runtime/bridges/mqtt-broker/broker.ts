import { randomBytes } from 'node:crypto'
import type { IConnectPacket, ISubscription } from 'mqtt-packet'
import type { Client } from '../../client/client.ts'
import type { Clock, Timer } from '../../router/clock.ts'
import type { BridgeContext } from '../bridge.ts'
import { SeenTopics } from '../mqtt/seen-topics.ts'
import { filterProblem, matchesFilter } from '../mqtt/topic-filter.ts'
import { AccessList } from './access-list.ts'
import type { BrokerConnection } from './broker-connection.ts'
import type { BrokerSession } from './broker-session.ts'
import { BrokerSessions } from './broker-sessions.ts'
import { connackOf, connectProblem, sessionExpiry } from './connect-answer.ts'
import type { MqttBrokerOptions } from './mqtt-broker-kind.ts'
import type { Outgoing } from './outgoing.ts'
import { type Publication, PublicationFlow } from './publication-flow.ts'
import { ConnectReason, DisconnectReason, PublishReason, SubscribeReason, UnsubscribeReason } from './reason-codes.ts'
import { deliverRetained, RetainedFeeds } from './retained-feed.ts'
import { RetainedMessages } from './retained-messages.ts'
import type { SessionKeeper } from './session-keeper.ts'
import type { StoredSession } from './stored-session.ts'
import { type Match, SubscriptionTree } from './subscription-tree.ts'
import { isSystemTopic, systemMessages } from './system-topics.ts'
import { Wills, willOf } from './wills.ts'

/** Connections of those that are told that there are too many clients. */
export const MAX_MORE = 64
const SWEEP_MS = 1000
const SYSTEM_EVERY_MS = 30_000
const MAX_SUBSCRIPTIONS = 1000
/** Longer ones match no topic that is an address. */
const MAX_FILTER_LENGTH = 2048

/** Clients, their sessions, their subscriptions and their wills. Source: MQTT 5.0 §3.1, §3.8, §4; bridges.md §10.2. */
export class Broker {
  readonly options: MqttBrokerOptions
  readonly clock: Clock
  private readonly context: BridgeContext<MqttBrokerOptions>
  private readonly access: AccessList
  private readonly flow: PublicationFlow
  private readonly feeds: RetainedFeeds
  private readonly seen: SeenTopics
  private readonly tree = new SubscriptionTree()
  private readonly sessions: BrokerSessions
  private readonly connections = new Set<BrokerConnection>()
  /** By client id. */
  private readonly connected = new Map<string, BrokerConnection>()
  /** Client that takes over its own session: no other one has to end for it. */
  private arriving = ''
  private readonly wills: Wills
  private readonly dirty = new Set<BrokerConnection>()
  private passing: Outgoing | null = null
  private isFlushing = false
  private sweepTimer: Timer
  private systemAtMs: number
  private readonly startedAtMs: number
  private sent = 0

  /** `client` reads the params of the router; `keeper`, if any, keeps sessions. */
  constructor(context: BridgeContext<MqttBrokerOptions>, client: Client, keeper: SessionKeeper | null) {
    const { options, clock, namespace, router } = context
    this.context = context
    this.options = options
    this.clock = clock
    this.access = new AccessList(options)
    this.sessions = new BrokerSessions({
      ...{ options, clock, tree: this.tree, access: this.access, keeper },
      onSent: () => this.sent++,
      onDropped: () => context.counters.outDropped++,
      onEnded: (clientId) => this.wills.release(clientId),
    })
    const retained = new RetainedMessages({ client, namespace, quotesStrings: options.quoteStrings, clock })
    this.feeds = new RetainedFeeds(retained, (message) => context.problem('retained', message))
    this.seen = new SeenTopics(router, namespace, clock)
    this.flow = new PublicationFlow(context, {
      retained,
      seen: this.seen,
      fanOut: (message) => this.fanOut(message),
    })
    this.wills = new Wills((will) => this.flow.publish(will))
    this.startedAtMs = clock.now()
    this.systemAtMs = this.startedAtMs
    this.sweepTimer = clock.timer(SWEEP_MS, () => this.sweep())
  }

  /** Sessions of before the start; before anybody connects. */
  restore(stored: readonly StoredSession[]): void {
    this.sessions.restore(stored)
  }

  /** A connection that has not said who it is; false when there are too many. */
  welcome(connection: BrokerConnection): boolean {
    if (this.connections.size >= this.options.maxClients + MAX_MORE) {
      this.context.counters.inDropped++
      return false
    }
    this.connections.add(connection)
    return true
  }

  /** Lets a client in. Resolves with a reason where it may not; a CONNACK has been sent otherwise. */
  async connect(connection: BrokerConnection, packet: IConnectPacket): Promise<ConnectReason> {
    const refusal = connectProblem(packet)
    if (refusal !== undefined) return refusal
    if (this.isFull(packet)) return ConnectReason.serverBusy
    const identity = await this.access.identify(packet.username, packet.password)
    if (identity === undefined) {
      return packet.username === undefined ? ConnectReason.notAuthorized : ConnectReason.badUserOrPassword
    }
    const { owner, rights } = identity
    const will = willOf(packet, packet.clientId)
    if (will !== null && !rights.canWrite(will.topic)) return ConnectReason.notAuthorized
    if (connection.isClosed) return ConnectReason.success
    // Others may have come meanwhile.
    if (this.isFull(packet)) return ConnectReason.serverBusy
    const clientId = packet.clientId === '' ? `auto-${randomBytes(8).toString('hex')}` : packet.clientId
    this.arriving = clientId
    this.connected.get(clientId)?.end(DisconnectReason.takenOver)
    this.arriving = ''
    const known = this.sessions.get(clientId)
    // What waits for one user is not for another.
    const isPresent = known !== undefined && packet.clean !== true && known.owner === owner
    if (known !== undefined && !isPresent) this.sessions.end(known)
    const session = isPresent ? known : this.sessions.open(clientId, owner)
    // Of a session that ended it was sent; one that goes on needs it no more.
    this.wills.cancel(clientId)
    const expirySeconds = sessionExpiry(packet, this.options)
    this.sessions.setExpiry(session, expirySeconds)
    session.rights = rights
    this.connected.set(clientId, connection)
    this.context.setPeers(this.connected.size)
    connection.accept(session, packet, connackOf(packet, { clientId, expirySeconds, isPresent }, this.options))
    session.attach(connection)
    return ConnectReason.success
  }

  /** How long the session is kept after its connection. */
  setExpiry(session: BrokerSession, seconds: number): void {
    this.sessions.setExpiry(session, seconds)
  }

  /** The connection has ended; `isGraceful`: its client said so, and wants no will. */
  leave(connection: BrokerConnection, isGraceful: boolean): void {
    this.connections.delete(connection)
    this.dirty.delete(connection)
    const { session, will } = connection
    if (session === null || this.connected.get(session.clientId) !== connection) return
    this.connected.delete(session.clientId)
    this.context.setPeers(this.connected.size)
    session.detach()
    if (will !== null && !isGraceful) {
      const delayMs = Math.min(connection.willDelaySeconds, session.expirySeconds) * 1000
      if (delayMs > 0) this.wills.delay(session.clientId, will, this.clock.now() + delayMs)
      else this.flow.publish(will)
    }
    this.sessions.left(session)
    if (session.clientId !== this.arriving) this.sessions.limit(this.connected.size)
  }

  publish(publication: Publication, session: BrokerSession): PublishReason {
    if (isSystemTopic(publication.topic) || !session.rights.canWrite(publication.topic)) {
      // Publishers of version 3.1.1 are told nothing.
      this.problem('refused', `${session.clientId.slice(0, 80)} may not write ${publication.topic.slice(0, 80)}`)
      return PublishReason.notAuthorized
    }
    return this.flow.publish(publication)
  }

  whenTaken(callback: () => void): void {
    this.flow.whenTaken(callback)
  }

  /** What SUBACK says of it. */
  subscribe(session: BrokerSession, wanted: ISubscription, identifier: number): number {
    const isTooLong = wanted.topic.length > MAX_FILTER_LENGTH
    if (isTooLong || filterProblem(wanted.topic) !== undefined) return SubscribeReason.filterInvalid
    const known = session.subscriptions.get(wanted.topic)
    if (known === undefined && session.subscriptions.size >= MAX_SUBSCRIPTIONS) return SubscribeReason.quotaExceeded
    this.sessions.subscribe(session, {
      name: wanted.topic,
      qos: wanted.qos,
      isNoLocal: wanted.nl === true,
      keepsRetainFlag: wanted.rap === true,
      identifier,
    })
    return wanted.qos
  }

  /** Sends what is retained; to be called after SUBACK, with what was subscribed to before it. */
  sendRetained(session: BrokerSession, wanted: ISubscription, isNew: boolean): void {
    const handling = wanted.rh ?? 0
    const subscription = session.subscriptions.get(wanted.topic)
    if (subscription === undefined || subscription.group !== undefined) return
    if (handling === 2 || (handling === 1 && !isNew)) return
    const { filter } = subscription
    if (isSystemTopic(filter)) {
      const wantedOnes = this.systemMessages().filter(({ parts }) => matchesFilter(filter, parts.topic))
      for (const message of wantedOnes) deliverRetained(message, subscription)
    } else this.feeds.add(wanted.topic, subscription)
  }

  unsubscribe(session: BrokerSession, filter: string): number {
    return this.sessions.unsubscribe(session, filter) ? UnsubscribeReason.success : UnsubscribeReason.notThere
  }

  /** Writes of one turn go out together. */
  flushSoon(connection: BrokerConnection): void {
    this.dirty.add(connection)
    if (this.isFlushing) return
    this.isFlushing = true
    queueMicrotask(() => {
      this.isFlushing = false
      for (const one of this.dirty) one.flush()
      this.dirty.clear()
    })
  }

  problem(code: string, message: string): void {
    this.context.counters.inDropped++
    this.context.problem(code, message)
  }

  /** Tells all clients, and sends their wills. */
  stop(): void {
    this.sweepTimer.cancel()
    this.seen.stop()
    for (const connection of this.connections) connection.end(DisconnectReason.shuttingDown)
    this.wills.sweep(Number.POSITIVE_INFINITY)
  }

  private isFull({ clientId }: IConnectPacket): boolean {
    return this.connected.size >= this.options.maxClients && !this.connected.has(clientId)
  }

  private fanOut(message: Outgoing): void {
    this.passing = message
    this.tree.each(message.parts.topic, this.deliver)
  }

  /** Of the message that is passing; a member, so that there is none for each message. */
  private readonly deliver = (all: Match) => {
    const message = this.passing as Outgoing
    const { origin, topic, isRetained } = message.parts
    const { session } = all
    const match = origin === session.clientId ? all.own : all
    if (match === undefined || !session.rights.canRead(topic)) return
    const least = message.parts.qos < match.qos ? message.parts.qos : match.qos
    session.deliver(message, least, match.keepsRetainFlag && isRetained, match.identifiers)
  }

  private systemMessages(): Outgoing[] {
    return systemMessages({
      counters: this.context.counters,
      sent: this.sent,
      connected: this.connected.size,
      sessions: this.sessions.size,
      subscriptions: this.sessions.subscriptionCount,
      uptimeMs: this.clock.now() - this.startedAtMs,
    })
  }

  private sweep(): void {
    this.sweepTimer = this.clock.timer(SWEEP_MS, () => this.sweep())
    const now = this.clock.now()
    for (const connection of this.connections) connection.check(now)
    this.wills.sweep(now)
    this.sessions.sweep(now)
    if (now - this.systemAtMs < SYSTEM_EVERY_MS) return
    this.systemAtMs = now
    for (const message of this.systemMessages()) this.fanOut(message)
  }
}
