import { randomBytes } from 'node:crypto'
import type { Message } from '../../../firmware-protocol/wire/message.ts'
import { BackOff } from '../../client/back-off.ts'
import type { Clock } from '../../router/clock.ts'
import type { LocalSession } from '../../router/local-session.ts'
import type { Log } from '../../router/log.ts'
import type { Router } from '../../router/router.ts'
import { Connection, type ConnectionEnd, type Dial } from './connection.ts'
import { dialHub } from './dialed-hub-session.ts'
import { Epoch } from './epoch.ts'
import { EventQueue } from './event-queue.ts'
import type { ForwardCounters } from './forward.ts'
import { HubClock } from './hub-clock.ts'
import { readToken } from './hub-token.ts'
import { Inbound, type InboundCounters } from './inbound.ts'
import { type LeafOptions, startRate } from './leaf-options.ts'
import { LinkProgress } from './link-state.ts'
import { type LeafStatistics, LinkStatus } from './link-status.ts'
import { FORWARDED_SIGNALS, LocalSignals } from './local-signals.ts'
import { Mirror } from './mirror.ts'
import type { MirrorRecord } from './mirror-record.ts'
import { Outbox } from './outbox.ts'
import { OwnSessions } from './own-sessions.ts'
import { PingPongGuard } from './ping-pong-guard.ts'
import { RefusalReport } from './refusal-report.ts'
import { RetryPause } from './retry-pause.ts'
import { UplinkPolicy } from './uplink-policy.ts'
import type { UplinkStore } from './uplink-store.ts'

/** After this long without trouble the waiting times begin anew. */
const SETTLED_MS = 60_000
const AUTH_WAIT = { baseMs: 60_000, capMs: 900_000 }
const MISCONFIGURED_MS = 900_000
/** A hub without federation may get it with an update. */
const PLAIN_MS = 3_600_000

export interface LeafParts {
  router: Router
  store: UplinkStore
  clock: Clock
  log: Log
  version?: string
  /** Default: over a socket. */
  dial?: typeof dialHub
  /** 0…1, for the waiting times. */
  random?: () => number
  signal: AbortSignal
  /** The link is up, or was lost. */
  onLink?: (isUp: boolean) => void
}

/** A running uplink. */
export interface Leaf {
  readonly routerId: string
  readonly statistics: LeafStatistics
  /** Without waiting: the network has come back, or the configuration has changed. */
  reconnectNow(): void
  /** Ends the connection and everything that hangs on it. What the hub does not have yet stays marked in the store. */
  stop(): Promise<void>
}

/** Starts the uplink. The options have been checked with `leafProblems`. Runs until `stop` or the signal. */
export function startLeaf(options: LeafOptions, parts: LeafParts): Leaf {
  return new RunningLeaf(options, parts)
}

class RunningLeaf implements Leaf {
  readonly routerId: string
  private readonly options: LeafOptions
  private readonly parts: LeafParts
  private readonly aborter = new AbortController()
  private readonly progress: LinkProgress
  private readonly mirror: Mirror
  private readonly owned: Outbox
  private readonly remote: Outbox
  private readonly events: EventQueue
  private readonly signals: LocalSignals
  private readonly refusals: RefusalReport
  private readonly hubClock: HubClock
  private readonly guard: PingPongGuard
  private readonly epoch: Epoch
  private readonly sessions: OwnSessions
  private readonly inbound: Inbound
  private readonly status: LinkStatus
  private readonly local: LocalSession
  private readonly forwarded: ForwardCounters = {
    sets: 0,
    bundles: 0,
    acknowledged: 0,
    refused: 0,
    discarded: 0,
    tooLarge: 0,
  }
  private readonly received: InboundCounters = { applied: 0, discarded: 0, conflictsHub: 0, conflictsLocal: 0 }
  private connection: Connection | null = null
  private connections = 0
  private token: string | undefined
  private plainUntil = Number.NEGATIVE_INFINITY
  private isPumpDue = false
  private isUp = false
  private readonly pause: RetryPause
  private readonly over: Promise<void>

  constructor(options: LeafOptions, parts: LeafParts) {
    const { router, store, clock, signal } = parts
    this.options = options
    this.parts = parts
    this.routerId = options.routerId ?? rememberedId(store)
    this.progress = new LinkProgress(clock)
    this.pause = new RetryPause(clock, this.aborter.signal)
    this.hubClock = new HubClock(clock)
    const records = (): Iterable<MirrorRecord> => this.mirror.records.values()
    this.owned = new Outbox(options.outbox.maxParams, ofKind(records, 'owned'))
    this.remote = new Outbox(options.outbox.maxParams, ofKind(records, 'remote'))
    this.local = router.openLocal({ name: 'hub', isForced: true, onMessage: (message) => this.onLocal(message) })
    this.mirror = new Mirror(options, this.routerId, {
      router,
      store,
      owned: this.owned,
      remote: this.remote,
      hubWriter: this.local.id,
    })
    this.events = new EventQueue(options.outbox, store)
    this.signals = new LocalSignals(clock, this.mirror, new UplinkPolicy(options.policy), this.events)
    this.refusals = new RefusalReport(parts.log, clock, this.progress)
    this.guard = new PingPongGuard((address) => {
      const words = `${address} is sent to and fro between this router and the hub: look for rules that answer each other`
      parts.log.warn('an address goes round in circles and rests for 5 s', { address })
      this.progress.failed(words)
    })
    this.epoch = new Epoch(this.mirror.controlPrefix, store)
    this.sessions = new OwnSessions(store)
    this.inbound = new Inbound(
      {
        router,
        mirror: this.mirror,
        local: this.local,
        clock: this.hubClock,
        guard: this.guard,
        isOwnSession: (id) => this.sessions.has(id),
      },
      this.received,
    )
    this.mirror.load()
    this.owned.onAdded = this.remote.onAdded = this.schedulePump
    router.observer = this.mirror
    for (const [i, pattern] of [...options.namespaces, ...options.writeRemote].entries())
      this.local.send({ type: 'SUBSCRIBE', id: i + 1, pattern, types: FORWARDED_SIGNALS })
    this.status = new LinkStatus({
      clock,
      local: this.local,
      controlPrefix: this.mirror.controlPrefix,
      version: parts.version ?? '',
      statistics: () => this.statistics,
      session: () => this.connection?.session ?? null,
    })
    this.progress.onChange = () => {
      const isUp = this.progress.state === 'active'
      if (isUp && !this.isUp) parts.log.info('connected to the hub', { hub: options.url, router: this.routerId })
      if (isUp !== this.isUp) parts.onLink?.(isUp)
      this.isUp = isUp
      this.status.publish()
    }
    signal.addEventListener('abort', this.abort, { once: true })
    if (signal.aborted) this.abort()
    this.over = this.run()
  }

  get statistics(): LeafStatistics {
    const { options, progress, owned, remote, events, mirror, parts, hubClock } = this
    const session = this.connection?.session ?? null
    const oldest = Math.min(...[owned.oldest, remote.oldest].map((record) => record?.editedAtMs ?? Infinity))
    return {
      state: progress.state,
      since: progress.sinceUs,
      hub: {
        url: options.url,
        name: session?.hubName ?? '',
        session: session?.id ?? '',
        isPeer: parts.clock.now() >= this.plainUntil,
      },
      routerId: this.routerId,
      namespaces: options.namespaces,
      lastError: progress.lastError,
      lastErrorAt: progress.lastErrorAtUs,
      queue: {
        params: owned.size + owned.away + remote.size + remote.away,
        events: events.size,
        isOverfull: owned.needsFullPush || remote.needsFullPush,
      },
      lagMs: oldest === Infinity || oldest < 0 ? 0 : Math.max(0, parts.clock.now() - oldest),
      mirrored: mirror.records.size,
      connections: this.connections,
      clock: { isKnown: hubClock.isKnown, offsetUs: hubClock.offsetUs },
      forwarded: { ...this.forwarded },
      received: { ...this.received },
      dropped: { events: this.signals.dropped + events.dropped, evicted: mirror.evictedChanges, unheld: mirror.unheld },
      pingPong: this.guard.pauses,
      verifyPages: this.connection?.verify?.pages ?? 0,
      framesPerSecond: session === null || session.rate === Infinity ? 0 : session.rate,
    }
  }

  reconnectNow(): void {
    if (this.connection !== null && this.progress.state === 'active') this.connection.close('connecting anew as asked')
    this.pause.wake()
  }

  async stop(): Promise<void> {
    this.abort()
    await this.over
  }

  private readonly abort = (): void => {
    if (this.aborter.signal.aborted) return
    this.aborter.abort()
    this.parts.signal.removeEventListener('abort', this.abort)
    this.connection?.close('the router is stopping')
    this.pause.wake()
  }

  private async run(): Promise<void> {
    const { log, clock, random } = this.parts
    const { signal } = this.aborter
    const retries = new BackOff({ ...this.options.backOff, random })
    const refusals = new BackOff({ ...AUTH_WAIT, random })
    while (!signal.aborted) {
      const isPeer = clock.now() >= this.plainUntil
      const { end, activeMs } = await this.connect(isPeer)
      if (signal.aborted) break
      if (end.kind === 'plain') {
        log.info('the hub knows no federation: connecting as an ordinary client', { hub: this.options.url })
        this.plainUntil = clock.now() + PLAIN_MS
        continue
      }
      if (activeMs >= SETTLED_MS) retries.reset()
      if (end.kind !== 'unauthorized') refusals.reset()
      if (this.progress.lastError !== end.words)
        log.warn('no link to the hub', { hub: this.options.url, reason: end.words })
      this.progress.failed(end.words)
      if (end.kind === 'unauthorized') {
        this.progress.enter('authWait')
        await this.pause.forToken(refusals.next(), this.options, this.token)
      } else if (end.kind === 'misconfigured') {
        this.progress.enter('misconfigured')
        await this.pause.wait(MISCONFIGURED_MS)
      } else {
        this.progress.enter('backoff')
        await this.pause.wait(retries.next())
      }
    }
    this.progress.enter('stopped')
    this.status.stop()
    if (this.parts.router.observer === this.mirror) this.parts.router.observer = null
    this.parts.store.describe = null
    this.local.close()
  }

  private async connect(isPeer: boolean): Promise<{ end: ConnectionEnd; activeMs: number }> {
    const { router, log, clock, store } = this.parts
    this.connections++
    const token = await readToken(this.options)
    if (typeof token === 'object') return { end: { kind: 'unauthorized', words: token.problem }, activeMs: 0 }
    this.token = token
    const dial: Dial = async (handler, isPeerSession) => {
      const isOwnKind = store.meta('hubKind') === 'clasp-edge'
      const dialled = await (this.parts.dial ?? dialHub)(
        {
          url: this.options.url,
          token,
          name: this.routerId,
          isPeer: isPeerSession,
          rate: startRate(this.options, token !== undefined, isOwnKind),
          window: this.options.window,
          connectTimeoutMs: this.options.connectTimeoutMs,
          answerTimeoutMs: this.options.answerTimeoutMs,
          ca: this.options.ca,
        },
        handler,
        { clock, signal: this.aborter.signal },
      )
      if (!('words' in dialled) && dialled.isFederatingHub !== isOwnKind)
        store.setMeta('hubKind', dialled.isFederatingHub ? 'clasp-edge' : '')
      return dialled
    }
    const connection = new Connection(
      {
        router,
        log,
        options: this.options,
        routerId: this.routerId,
        mirror: this.mirror,
        owned: this.owned,
        remote: this.remote,
        events: this.events,
        inbound: this.inbound,
        guard: this.guard,
        clock: this.hubClock,
        epoch: this.epoch,
        sessions: this.sessions,
        progress: this.progress,
        refusals: this.refusals,
        counters: this.forwarded,
        local: this.local,
        dial,
      },
      isPeer,
    )
    this.connection = connection
    if (this.aborter.signal.aborted) connection.close('the router is stopping')
    const end = await connection.run()
    this.connection = null
    const activeMs = this.progress.state === 'active' ? clock.now() - this.progress.sinceMs : 0
    return { end, activeMs }
  }

  /** Changes leave at the end of the turn in which they were made. */
  private readonly schedulePump = (): void => {
    if (this.isPumpDue || this.connection === null) return
    this.isPumpDue = true
    this.parts.clock.afterTurn(this.pump)
  }

  private readonly pump = (): void => {
    this.isPumpDue = false
    this.connection?.pump()
  }

  private onLocal(message: Message): void {
    if (message.type === 'PUBLISH') this.signals.forward(message, this.connection)
    else if (message.type === 'ERROR')
      this.progress.failed(`the router did not take ${message.address ?? 'a value'} from the hub: ${message.message}`)
  }
}

function* only(records: Iterable<MirrorRecord>, kind: MirrorRecord['kind']): Iterable<MirrorRecord> {
  for (const record of records) if (record.kind === kind) yield record
}

function ofKind(records: () => Iterable<MirrorRecord>, kind: MirrorRecord['kind']): () => Iterable<MirrorRecord> {
  return () => only(records(), kind)
}

/** The name by which the hub knows this leaf, the same after every start. */
function rememberedId(store: UplinkStore): string {
  const known = store.meta('routerId')
  if (known !== undefined) return known
  const made = `leaf-${randomBytes(6).toString('hex')}`
  store.setMeta('routerId', made)
  return made
}
