import { randomUUID } from 'node:crypto'
import type { Message, Publish, SetParam, Signal, SignalDefinition } from '../../firmware-protocol/wire/message.ts'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import { type Clock, systemClock, type Timer } from '../../runtime/router/clock.ts'
import { UpstreamConnection } from './upstream-connection.ts'
import { UpstreamFaults } from './upstream-faults.ts'
import { listenTcp, listenWebSocket, type UpstreamLine, type UpstreamListener } from './upstream-line.ts'
import { type Fate, kindOf, type RecordedFrame, SeenFrames } from './upstream-record.ts'
import { type UpstreamToken, UpstreamTokens } from './upstream-scopes.ts'
import type { UpstreamSession } from './upstream-session.ts'
import { type UpstreamParam, UpstreamState, type UpstreamWrite, widened } from './upstream-state.ts'

export interface UpstreamSetup {
  /** Default: the system clock. */
  clock?: Clock
  /** WELCOME name. Default: `CLASP Relay`. */
  name?: string
  /** Tokens by their text: authenticated mode with 30 frames per second. Default: open mode, no limit. */
  auth?: Record<string, UpstreamToken>
  /** false = built without federation: FEDERATION_SYNC meets silence. */
  federation?: boolean
  /** Frames per second and session; 0 = unlimited. */
  rateLimit?: number
  /** Session ids to be given out first. */
  sessionIds?: string[]
  /** Seconds without a broadcast until a session is forgotten; 0 = never. Default: 300. */
  sessionTimeoutS?: number
}

interface ForeignFields extends Omit<UpstreamWrite, 'address' | 'value'> {
  /** Session id of the client. */
  writer?: string
}

/**
 * What a hub comes back with (federation.md §12): nothing, its snapshot file, what it makes of its journal, or everything
 * but its sessions, as if just the network had been away.
 */
export type UpstreamRestart = 'empty' | 'snapshot' | 'journal' | 'kept'

const PARAM_SWEEP_MS = 60_000
const MIN_SESSION_SWEEP_MS = 10_000
const FOREIGN_WRITER = 'ffffffff-ffff-4fff-8fff-ffffffffffff'

/**
 * An upstream hub as a leaf meets it, on WebSocket and TCP, with its defects: what it does is written from
 * federation.md §5 and router.md §4, and shares no code with our router but the codec and the clock. Its time is the
 * test's. A test reads what came in `seen` and `log`, writes as somebody else with `set` and `publish`, and spoils
 * things with `faults`, `kill` and `restart`.
 */
export class UpstreamHub {
  readonly clock: Clock
  readonly name: string
  readonly faults = new UpstreamFaults()
  readonly state: UpstreamState
  readonly signals = new Map<string, SignalDefinition>()
  /** null = open mode. */
  readonly tokens: UpstreamTokens | null
  /** Every session since the start of the test, in the order of their HELLOs. */
  readonly sessions: UpstreamSession[] = []
  /** What all of them sent. */
  readonly seen = new SeenFrames()
  /** Every frame of every connection, in order. */
  readonly log: RecordedFrame[] = []
  hasFederation: boolean
  rateLimit: number
  /** Beyond them connections are not served. */
  maxSessions = 1000
  /** Messages with more receivers than this go out after the ACK and in reverse order. */
  inlineReceivers = 10
  /** Whether a connection that is not served, or whose HELLO is refused, is closed; false = it hangs. */
  closesRefused = true
  /** Why a value may not be written; undefined = it may. */
  writeRule: ((address: string, value: Value) => string | undefined) | undefined
  /** Whether a snapshot shows a param to a session. Broadcasts and revision vectors do not ask. */
  snapshotFilter: ((address: string, session: UpstreamSession) => boolean) | undefined
  private readonly sessionIds: string[]
  private readonly sessionTimeoutS: number
  private readonly connections: UpstreamConnection[] = []
  private listeners: UpstreamListener[] = []
  private ports = [0, 0]
  private timers = new Set<Timer>()
  private deferred: (() => void)[] = []
  private accepted = 0

  private constructor(setup: UpstreamSetup) {
    this.clock = setup.clock ?? systemClock
    this.name = setup.name ?? 'CLASP Relay'
    this.state = new UpstreamState(this.clock)
    this.hasFederation = setup.federation ?? true
    this.rateLimit = setup.rateLimit ?? (setup.auth === undefined ? 0 : 30)
    this.sessionIds = [...(setup.sessionIds ?? [])]
    this.sessionTimeoutS = setup.sessionTimeoutS ?? 300
    this.tokens = setup.auth === undefined ? null : new UpstreamTokens()
    for (const [text, token] of Object.entries(setup.auth ?? {})) this.addToken(text, token)
  }

  /** Ends with the test. */
  static async start(t: { after(end: () => Promise<void>): void }, setup: UpstreamSetup = {}): Promise<UpstreamHub> {
    const hub = new UpstreamHub(setup)
    t.after(() => hub.stop())
    await hub.open()
    return hub
  }

  get url(): string {
    return `ws://127.0.0.1:${this.ports[0]}`
  }

  get tcpUrl(): string {
    return `tcp://127.0.0.1:${this.ports[1]}`
  }

  get params(): Map<string, UpstreamParam> {
    return this.state.params
  }

  /** Sessions whose connection is open, oldest first. */
  get openSessions(): UpstreamSession[] {
    return this.sessions.filter(({ isOpen }) => isOpen)
  }

  /** The newest open session with the federation bit. */
  get peer(): UpstreamSession | undefined {
    return this.openSessions.findLast(({ isPeer }) => isPeer)
  }

  addToken(text: string, token: UpstreamToken): void {
    this.tokens?.add(text, token, this.clock.wallUs())
  }

  /** A SET by some other client: the new revision, or the text of the refusal. */
  set(address: string, value: Value, fields: ForeignFields = {}): number | string {
    const { writer = FOREIGN_WRITER, ...rest } = fields
    return this.write({ type: 'SET', address, value, ...rest }, writer)
  }

  /** A PUBLISH by some other client. */
  publish(address: string, value: Value, fields: Partial<Publish> = {}): void {
    const message: Publish = {
      type: 'PUBLISH',
      address,
      signal: 'event',
      phase: 'start',
      value: widened(value),
      ...fields,
    }
    this.deliver(message, address, message.signal)
  }

  /** Stores and broadcasts, the writer included: the new revision, or the text of the refusal. */
  write(message: SetParam, writer: string): number | string {
    const value = widened(message.value)
    const revision = this.state.set({ ...message, value }, writer)
    if (typeof revision === 'string') return revision
    const { address } = message
    const told = this.faults.echoRevision?.(address, revision) ?? revision
    this.deliver({ ...message, value, revision: told }, address, 'param')
    return revision
  }

  /** To every listed session with a matching subscription, once each. */
  deliver(message: Message, address: string, signal: Signal | undefined, except?: UpstreamSession): void {
    const receivers = this.sessions.filter((session) => {
      return session !== except && session.isListed && session.isSubscribedTo(address, signal)
    })
    const send = () => {
      for (const receiver of receivers) receiver.broadcast(message)
    }
    if (receivers.length <= this.inlineReceivers) {
      send()
      return
    }
    this.deferred.push(send)
    if (this.deferred.length === 1) {
      this.clock.afterTurn(() => {
        for (const later of this.deferred.splice(0).reverse()) later()
      })
    }
  }

  visibleParams(matches: (address: string) => boolean, session: UpstreamSession): [string, UpstreamParam][] {
    return [...this.params].filter(([address]) => matches(address) && this.isVisible(address, session))
  }

  isVisible(address: string, session: UpstreamSession): boolean {
    return this.snapshotFilter?.(address, session) ?? true
  }

  newSessionId(): string {
    return this.sessionIds.shift() ?? randomUUID()
  }

  record(connection: UpstreamConnection, direction: 'in' | 'out', message: Message, fate: Fate): void {
    const kind = kindOf(message)
    this.log.push({ atMs: this.clock.now(), connection: connection.number, direction, kind, fate, message })
  }

  /** See `UpstreamFaults.endlessSnapshot`. */
  flood(session: UpstreamSession): void {
    const params = this.faults.endlessSnapshot
    if (params === undefined || !session.isOpen) return
    if (!session.connection.queue.isFull) session.connection.reply({ type: 'SNAPSHOT', params })
    setImmediate(() => this.flood(session))
  }

  /** The session is forgotten as if it had been idle for too long: ACKs go on, broadcasts do not come any more. */
  makeZombie(session: UpstreamSession): void {
    session.unlist()
  }

  /** Cuts every connection and stops listening; the state stays, for `reopen`. */
  async kill(): Promise<void> {
    for (const timer of this.timers) timer.cancel()
    this.timers.clear()
    this.deferred = []
    for (const connection of this.connections.splice(0)) connection.cut()
    for (const session of this.sessions) session.unlist()
    await Promise.all(this.listeners.splice(0).map((listener) => listener.stop()))
  }

  /** Listens again on the same ports. */
  async reopen({ state }: { state: UpstreamRestart }): Promise<void> {
    if (state === 'empty') this.state.clear()
    if (state === 'snapshot') this.state.restore()
    if (state === 'journal') this.state.recover()
    if (state === 'kept') this.state.sweep()
    else {
      this.signals.clear()
      this.tokens?.forgetShortLived()
    }
    await this.open()
  }

  async restart(how: { state: UpstreamRestart }): Promise<void> {
    await this.kill()
    await this.reopen(how)
  }

  async stop(): Promise<void> {
    await this.kill()
  }

  private async open(): Promise<void> {
    const accept = (line: UpstreamLine) => this.accept(line)
    this.listeners = [await listenWebSocket(this.ports[0], accept), await listenTcp(this.ports[1], accept)]
    this.ports = this.listeners.map(({ port }) => port)
    this.repeat(PARAM_SWEEP_MS, () => this.state.sweep())
    const timeoutMs = this.sessionTimeoutS * 1000
    if (timeoutMs === 0) return
    this.repeat(Math.max(MIN_SESSION_SWEEP_MS, Math.floor(timeoutMs / 4000) * 1000), () =>
      this.sweepSessions(timeoutMs),
    )
  }

  private accept(line: UpstreamLine): UpstreamConnection {
    const connection = new UpstreamConnection(this, line, ++this.accepted)
    this.connections.push(connection)
    if (this.sessions.filter(({ isListed }) => isListed).length >= this.maxSessions) connection.giveUp()
    return connection
  }

  /** Only what is sent to a session keeps it alive, and its connection is left open (D6). */
  private sweepSessions(timeoutMs: number): void {
    for (const session of this.sessions) {
      if (session.isListed && this.clock.now() - session.activeMs > timeoutMs) session.unlist()
    }
  }

  private repeat(everyMs: number, work: () => void): void {
    const timer = this.clock.timer(everyMs, () => {
      this.timers.delete(timer)
      work()
      this.repeat(everyMs, work)
    })
    this.timers.add(timer)
  }
}
