/** Hot path: `onMessage`. */

import { MAX_ADDRESS_BYTES, MessageCode } from '../../firmware-protocol/wire/constants.ts'
import { decodeMessage } from '../../firmware-protocol/wire/decode-message.ts'
import { DecodeError } from '../../firmware-protocol/wire/errors.ts'
import { encodeFrame } from '../../firmware-protocol/wire/frame.ts'
import type { Message, SignalDefinition } from '../../firmware-protocol/wire/message.ts'
import type { Pattern } from '../../firmware-protocol/wire/pattern.ts'
import { putUtf8 } from '../../firmware-protocol/wire/utf8.ts'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import type { Authorizer } from './access.ts'
import type { AddressEntry } from './address-table.ts'
import { Bundles } from './bundles.ts'
import type { Clock, Timer } from './clock.ts'
import { Core } from './core.ts'
import { Fanout } from './fanout.ts'
import { Gestures } from './gestures.ts'
import { FEATURES, Handshakes } from './handshakes.ts'
import { HeldRequests } from './held-requests.ts'
import type { StoredParam } from './journal.ts'
import { LegacyPath } from './legacy-path.ts'
import { CloseCode, type Link, type LinkAcceptor, type LinkHandler } from './link.ts'
import { LocalFrames } from './local-frames.ts'
import { LocalLink } from './local-link.ts'
import type { LocalSession, LocalSessionOptions } from './local-session.ts'
import type { Log } from './log.ts'
import type { RouterOptions } from './options.ts'
import { type Param, Writer } from './param.ts'
import { paramValue } from './param-value.ts'
import { PeerSignalling } from './peer-signalling.ts'
import { PublishPath } from './publish-path.ts'
import { Replays } from './replays.ts'
import { Schedule } from './schedule.ts'
import { Session } from './session.ts'
import type { SessionHost } from './session-host.ts'
import { SetPath } from './set-path.ts'
import { Signals } from './signals.ts'
import { Snapshots } from './snapshots.ts'
import type { RouterStats, SessionStats } from './stats.ts'
import { Subscriptions } from './subscriptions.ts'

/** Always the same, and asked for often. */
const PONG = encodeFrame({ type: 'PONG' })
const SWEEP_MS = 5000
const MESSAGE_NAMES = Object.keys(MessageCode) as (keyof typeof MessageCode)[]

export interface RouterParts {
  clock: Clock
  log: Log
  /** Absent = open mode: everybody may do everything. */
  authorizer?: Authorizer
  /** Makes the hashing of addresses unpredictable. */
  seed?: number
}

/**
 * The router: what arrives on any link is decoded, authorised, applied to the state and delivered to whoever
 * subscribed. It owns no socket and no file; links are attached to it. Behaviour: router reference.
 */
export class Router extends Core implements SessionHost, LinkAcceptor {
  private readonly fanout = new Fanout(this)
  private readonly sets = new SetPath(this, this.fanout)
  private readonly gestures = new Gestures(this, this.fanout)
  private readonly signalling = new PeerSignalling(this, this.fanout)
  private readonly publishes = new PublishPath(this, this.fanout, this.gestures, this.signalling)
  private readonly schedule: Schedule
  private readonly bundles: Bundles
  private readonly legacy: LegacyPath
  private readonly held = new HeldRequests(
    (session, bytes, at, stop) => this.handle(session, bytes, at, stop),
    () => this.options.queue.maxBytes,
  )
  readonly snapshots = new Snapshots(this, this.held)
  readonly subscriptions = new Subscriptions(this, this.snapshots)
  private readonly replays = new Replays(this, this.held)
  private readonly signals = new Signals(this)
  private readonly handshakes: Handshakes
  private readonly connections = new Set<Session>()
  private readonly received = new Float64Array(256)
  private readonly scratch = new Uint8Array(MAX_ADDRESS_BYTES * 3)
  private readonly restoredWriters = new Map<string, Writer>()
  private readonly startedAt: number
  private sweepTimer: Timer | null = null
  private isStopped = false

  constructor(options: RouterOptions, { clock, log, authorizer, seed }: RouterParts) {
    super(options, clock, log, seed ?? Math.floor(Math.random() * 0x7fff_ffff))
    this.handshakes = new Handshakes(this, authorizer, this.snapshots, (session) => this.forgetIdentity(session))
    this.schedule = new Schedule(clock)
    this.bundles = new Bundles(this, this.fanout, this.sets, this.publishes, this.schedule)
    this.legacy = new LegacyPath(this, this.sets, this.publishes, this.bundles)
    this.startedAt = clock.now()
    this.sweepTimer = clock.timer(SWEEP_MS, this.sweep)
  }

  attach(link: Link): LinkHandler {
    this.beginTurn()
    const session = new Session(link, this)
    const { maxSessions } = this.options
    this.connections.add(session)
    if (this.isStopped) {
      session.close(CloseCode.goingAway, 'the router is stopping')
    } else if (maxSessions > 0 && this.connections.size > maxSessions) {
      this.log.warn('connection refused: too many sessions', { remote: link.remote, max: maxSessions })
      this.refuse(session, 503, `Too many sessions (max ${maxSessions})`)
      session.close(CloseCode.tryAgainLater, 'too many sessions')
    } else {
      this.handshakes.expect(session)
    }
    return session
  }

  /** Connects a part of this process, by the same rules as any client; only reserved addresses are open to it alone. */
  openLocal({ name, isForced = false, isForeign = false, onMessage, onClose }: LocalSessionOptions): LocalSession {
    let isGreeted = false
    const link = new LocalLink(
      name,
      (message) => {
        // Everything up to here answers HELLO.
        if (isGreeted) onMessage?.(message)
        else isGreeted = message.type === 'PONG'
      },
      (reason) => onClose?.(reason),
    )
    const session = this.attach(link) as Session
    session.isLocal = true
    session.isInternal = !isForeign
    session.isForced = isForced
    link.connect(session)
    link.say({ type: 'HELLO', version: 1, features: FEATURES, name })
    link.say({ type: 'PING' })
    return {
      get id() {
        return session.id
      },
      send: (message) => link.say(message),
      close: () => session.close(CloseCode.normal, 'closed'),
    }
  }

  /** A part of this process that speaks for a peer outside, says HELLO itself and speaks in frames. Returns how to send one, and how to leave. */
  openFrames(
    name: string,
    onFrames: (bytes: Uint8Array) => void,
    onClosed: (reason: string) => void,
  ): { send(frame: Uint8Array): void; close(): void } {
    const link = new LocalFrames(name, onFrames, onClosed)
    const session = this.attach(link) as Session
    session.isLocal = true
    link.connect(session)
    return {
      send: (frame) => link.send(frame),
      close: () => session.close(CloseCode.normal, 'closed'),
    }
  }

  onHandshake(session: Session, bytes: Uint8Array, at: number, stop: number): void {
    const message = decodeMessage(bytes, at, stop)
    if (message instanceof DecodeError) {
      this.onUndecodable(session, message.reason)
    } else if (message.type !== 'HELLO') {
      this.log.info('connection closed: HELLO must come first', { remote: session.link.remote, got: message.type })
      session.close(CloseCode.protocolError, 'HELLO must come first')
    } else {
      this.received[MessageCode.hello]++
      this.handshakes.hello(session, message)
    }
  }

  onMessage(session: Session, bytes: Uint8Array, at: number, stop: number): void {
    const code = bytes[at]
    this.received[code]++
    if (session.rate !== null && code !== MessageCode.ping && code !== MessageCode.pong) {
      if (!session.rate.take(1, this.now)) {
        this.refuseRate(session)
        return
      }
    }
    if (session.isReplaying) {
      this.replays.hold(session, bytes, at, stop)
      return
    }
    if (session.isPaging && this.snapshots.holds(session, bytes, at, stop)) return
    this.handle(session, bytes, at, stop)
  }

  private handle(session: Session, bytes: Uint8Array, at: number, stop: number): void {
    const code = bytes[at]
    let isWellFormed = true
    if (code === MessageCode.set) isWellFormed = this.sets.accept(session, bytes, at, stop)
    else if (code === MessageCode.publish) isWellFormed = this.publishes.accept(session, bytes, at, stop)
    else if (code === MessageCode.bundle) isWellFormed = this.bundles.accept(session, bytes, at, stop)
    else this.onOther(session, bytes, at, stop)
    if (!isWellFormed)
      this.onUndecodable(session, `malformed ${MESSAGE_NAMES.find((name) => MessageCode[name] === code)}`)
  }

  /** After HELLO a bad frame costs nothing but a count; before it, the connection. Router reference §2.5, §3.1. */
  onUndecodable(session: Session, reason: string): void {
    this.stats.undecodable++
    this.log.debug('undecodable frame', { remote: session.link.remote, session: session.id, reason })
    if (session.state === 'handshake') session.close(CloseCode.protocolError, `not a CLASP HELLO: ${reason}`)
  }

  onClosed(session: Session, reason: string): void {
    this.connections.delete(session)
    this.handshakes.forget(session)
    if (session.id === '') return
    this.forgetIdentity(session)
    const level = session.isLocal ? 'debug' : 'info'
    this.log[level]('session ended', { session: session.id, name: session.name, remote: session.link.remote, reason })
  }

  /**
   * Puts back a param from storage, before anybody connects. Null when its time has run out meanwhile, when the address
   * cannot be one, or when it is there already. A wall clock that is behind the stamp is not set yet: then it lives as long
   * as from its last write.
   */
  restore(stored: StoredParam): AddressEntry | null {
    this.beginTurn()
    const { scratch } = this
    if (stored.address.length > MAX_ADDRESS_BYTES) return null
    const entry = this.intern(scratch, 0, putUtf8(scratch, 0, stored.address))
    if (entry === null) return null
    const lifetimeMs = this.store.lifetimeMs(entry, stored.ttlMode, stored.ttlMs)
    const ageMs = Math.max(0, (this.wallUs - stored.timestampUs) / 1000)
    if (ageMs >= lifetimeMs) {
      this.store.rememberRevision(stored.address, stored.revision)
      return null
    }
    let writer = this.restoredWriters.get(stored.writer)
    if (writer === undefined) {
      writer = new Writer(stored.writer)
      this.restoredWriters.set(stored.writer, writer)
    }
    return this.store.restore(entry, writer, stored, this.now + lifetimeMs - ageMs) === null ? null : entry
  }

  /** Everything is restored. Returns the params that there was no room for. */
  endRestore(): Param[] {
    return this.store.endRestore()
  }

  /** The revision of an address whose param has gone. */
  restoreRevision(address: string, revision: number): void {
    this.store.rememberRevision(address, revision)
  }

  setRevisionFloor(floor: number): void {
    this.store.revisionFloor = floor
  }

  /** Everything up to this ticket of the journal is stored: its ACKs go out. */
  releaseAnswers(ticket: number): void {
    this.beginTurn()
    this.answers.release(ticket)
  }

  /** What waits for this ticket or one before could not be stored: ERRORs instead of ACKs. */
  refuseAnswers(ticket: number, code: number, message: string): void {
    this.beginTurn()
    this.answers.refuse(ticket, code, message)
  }

  /** Signals as they were announced. */
  announced(pattern: Pattern): SignalDefinition[] {
    return this.signals.matching(pattern)
  }

  /** A param as it is now, with the id of the session that wrote it. */
  paramAt(address: string): { value: Value; writer: string } | undefined {
    const param = this.lookup(address)?.param ?? null
    if (param === null || param.expiresAt <= this.clock.now()) return undefined
    return { value: paramValue(this.store, param), writer: param.writer.id }
  }

  /** Takes over new options while running. Memory sizes keep their value, rates count for sessions that start later. */
  reconfigure(options: RouterOptions): void {
    Object.assign(this.options, options)
    this.policies.replace(options.policies)
  }

  /** Closes every session and stops every timer. */
  stop(): void {
    if (this.isStopped) return
    this.isStopped = true
    this.beginTurn()
    for (const session of [...this.connections]) session.close(CloseCode.goingAway, 'the router is stopping')
    this.sweepTimer?.cancel()
    this.sweepTimer = null
    this.gestures.stop()
    this.pacing.stop()
    this.schedule.stop()
  }

  get statistics(): RouterStats {
    const messages = {} as RouterStats['messages']
    for (const name of MESSAGE_NAMES) messages[name] = this.received[MessageCode[name]]
    return {
      name: this.options.name,
      uptimeSeconds: (this.clock.now() - this.startedAt) / 1000,
      sessions: this.sessions.size,
      handshakes: this.connections.size - this.sessions.size,
      subscriptions: this.index.size,
      params: this.store.params.length,
      paramBytes: this.table.arena.bytesInUse,
      signals: this.signals.size,
      scheduledBundles: this.schedule.size,
      messages,
      undecodable: this.stats.undecodable,
      deliveries: this.stats.deliveries,
      drops: this.stats.drops,
      errors: Object.fromEntries(this.stats.errors),
      evictions: this.store.evictions,
      expirations: this.store.expirations,
    }
  }

  sessionStatistics(): SessionStats[] {
    const now = this.clock.now()
    return [...this.sessions.values()].map((session) => ({
      id: session.id,
      name: session.name,
      transport: session.link.transport,
      remote: session.link.remote,
      connectedAt: session.connectedAtUs,
      idleMs: now - session.heardAt,
      subscriptions: this.subscriptions.count(session),
      received: session.received,
      delivered: session.delivered,
      dropped: session.dropped,
      queuedBytes: session.queuedBytes,
      queuedMessages: session.queuedMessages,
    }))
  }

  private onOther(session: Session, bytes: Uint8Array, at: number, stop: number): void {
    const message = decodeMessage(bytes, at, stop)
    if (message instanceof DecodeError) this.onUndecodable(session, message.reason)
    else this.dispatch(session, message)
  }

  private dispatch(session: Session, message: Message): void {
    switch (message.type) {
      case 'HELLO':
        this.handshakes.hello(session, message)
        return
      case 'SUBSCRIBE':
        this.subscriptions.subscribe(session, message)
        return
      case 'UNSUBSCRIBE':
        this.subscriptions.unsubscribe(session, message.id)
        return
      case 'GET':
        this.get(session, message.address)
        return
      case 'PING':
        if (session.held !== null) session.held.add(session, PONG, false)
        else session.deliver(PONG, 0, PONG.length)
        return
      case 'SYNC': {
        const t2 = this.clock.wallUs()
        session.reply({ type: 'SYNC', t1: message.t1, t2, t3: t2 })
        return
      }
      case 'QUERY':
        this.signals.query(session, message.pattern)
        return
      case 'ANNOUNCE':
        this.signals.announce(session, message)
        return
      case 'REPLAY':
        this.replays.accept(session, message)
        return
      case 'FEDERATION_SYNC':
        if (session.isFederationPeer && this.peers !== null) this.peers.onSync(session, message)
        else if (session.isFederationPeer) this.refuse(session, 501, 'This router does not accept federation peers')
        else this.refuse(session, 403, 'FederationSync requires federation feature')
        return
      case 'SET':
      case 'PUBLISH':
      case 'BUNDLE':
        this.legacy.accept(session, message)
        return
      default:
        // WELCOME, SNAPSHOT, PONG, ACK, ERROR and RESULT mean nothing from a client.
        return
    }
  }

  private get(session: Session, address: string): void {
    if (session.access !== null && !session.access.canRead(address)) {
      this.refuse(session, 301, 'Insufficient scope for read operation', address)
    } else {
      this.snapshots.sendOne(session, address)
    }
  }

  /** Everything that hangs on the session's id. */
  private forgetIdentity(session: Session): void {
    this.sessions.delete(session.id)
    for (const observer of this.sessionObservers) observer.onSessionEnd(session.id)
    this.subscriptions.forget(session)
    this.snapshots.forget(session)
    this.replays.forget(session)
    this.answers.forget(session)
    if (session.isFederationPeer) this.peers?.onEnded(session)
    this.pacing.forget(session)
    this.gestures.sessionClosed(session)
    this.sets.releaseLocks(session)
  }

  private readonly sweep = (): void => {
    this.beginTurn()
    this.gestures.sweep()
    this.signals.sweep()
    const isComplete = this.store.sweep(this.now)
    this.sweepTimer = this.clock.timer(isComplete ? SWEEP_MS : 20, this.sweep)
  }
}
