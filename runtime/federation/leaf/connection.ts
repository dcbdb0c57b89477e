import type { Publish, SetParam, SnapshotParam } from '../../../firmware-protocol/wire/message.ts'
import type { Timer } from '../../router/clock.ts'
import type { LocalSession } from '../../router/local-session.ts'
import type { Log } from '../../router/log.ts'
import type { Router } from '../../router/router.ts'
import type { Epoch } from './epoch.ts'
import { type EventQueue, sendEvents } from './event-queue.ts'
import { type ForwardCounters, Forwarder } from './forward.ts'
import { Heartbeat } from './heartbeat.ts'
import type { HubClock } from './hub-clock.ts'
import type { HubSession, HubSessionHandler, LinkProblem, Refusal } from './hub-session.ts'
import type { Inbound } from './inbound.ts'
import type { LeafOptions } from './leaf-options.ts'
import type { LinkProgress } from './link-state.ts'
import type { Mirror } from './mirror.ts'
import type { MirrorRecord } from './mirror-record.ts'
import type { Outbox } from './outbox.ts'
import type { OwnSessions } from './own-sessions.ts'
import type { PingPongGuard } from './ping-pong-guard.ts'
import type { RefusalReport } from './refusal-report.ts'
import { RemoteSession } from './remote-session.ts'
import { watchStall } from './stall-watch.ts'
import { Verify } from './verify.ts'

const FIRST_OWN_SUBSCRIPTION = 1000
const PAGE_PAUSE_MS = 1000
const CLOCK_INTERVAL_MS = 3_600_000
/** A hub tells once in 10 s that it has dropped broadcasts; one that says it all the time is not asked more often. */
const COMPARE_PAUSE_MS = 10_000

export type Dial = (handler: HubSessionHandler, isPeer: boolean) => Promise<HubSession | LinkProblem>

export interface ConnectionParts {
  router: Router
  log: Log
  options: LeafOptions
  routerId: string
  mirror: Mirror
  owned: Outbox
  remote: Outbox
  events: EventQueue
  inbound: Inbound
  guard: PingPongGuard
  clock: HubClock
  epoch: Epoch
  sessions: OwnSessions
  progress: LinkProgress
  refusals: RefusalReport
  counters: ForwardCounters
  local: LocalSession
  dial: Dial
}

/** How a connection ended. `plain`: the hub knows no federation, to be connected to as an ordinary client. */
export type ConnectionEnd = { kind: 'lost' | 'misconfigured' | 'unauthorized'; words: string } | { kind: 'plain' }

/**
 * One connection to the hub from dialling to its end, through the states of federation.md §13.4. Session A carries the
 * own namespaces, `RemoteSession` those of others (§13.2).
 */
export class Connection implements HubSessionHandler {
  session: HubSession | null = null
  verify: Verify | null = null
  readonly remote: RemoteSession | null
  private readonly parts: ConnectionParts
  private readonly isPeer: boolean
  private forwarder: Forwarder | null = null
  private heartbeat: Heartbeat | null = null
  private isComparing = false
  /** Received in SNAPSHOTs. */
  private params = 0
  /** What was broadcast while the comparison was not through, the newest of each address. */
  private early: Map<MirrorRecord, SetParam> | null = new Map()
  private timers: Timer[] = []
  private stall: { stop(): void } | null = null
  private isVerifying = false
  /** ERROR 503: what was dropped is found by a comparison, now or as soon as there is one. */
  private hasLostBroadcasts = false
  private overflow: Timer | null = null
  /** Start of the last comparison, monotonic ms. */
  private comparedAt = Number.NEGATIVE_INFINITY
  private isFlushingEvents = false
  private end: ConnectionEnd | null = null
  private readonly ended: Promise<ConnectionEnd>
  private resolveEnd: (end: ConnectionEnd) => void = () => {}

  constructor(parts: ConnectionParts, isPeer: boolean) {
    this.parts = parts
    this.isPeer = isPeer
    this.ended = new Promise((resolve) => {
      this.resolveEnd = resolve
    })
    const { subscribe, writeRemote } = parts.options
    this.remote =
      subscribe.length + writeRemote.length === 0
        ? null
        : new RemoteSession({
            ...parts,
            fail: (words) => this.finish({ kind: 'lost', words }),
            onRoom: () => this.flushSoon(),
            onOverflow: () => this.onOverflow(),
          })
  }

  /** Resolves when the connection is over; everything that hung on it has stopped then. */
  async run(): Promise<ConnectionEnd> {
    this.live().catch((error: unknown) => {
      this.parts.log.error('the uplink failed', { reason: String(error) })
      this.finish({ kind: 'lost', words: 'internal error in the uplink, see the log; connecting anew' })
    })
    return this.ended
  }

  close(words: string): void {
    this.finish({ kind: 'lost', words })
  }

  /** A local event, stream value or gesture. False = it could not be sent now. */
  publish(message: Publish, isOwned: boolean): boolean {
    if (this.parts.progress.state !== 'active') return false
    if (!isOwned) return this.remote?.publish(message) ?? false
    return this.session?.publish(message) ?? false
  }

  readonly pump = (): void => {
    this.forwarder?.pump()
    this.remote?.pump()
  }

  /** Sends the events that have waited. */
  async flushEvents(): Promise<void> {
    if (this.session === null || this.isFlushingEvents) return
    this.isFlushingEvents = true
    const { events, mirror, router } = this.parts
    const { session, remote } = this
    const used = { own: false, remote: false }
    await sendEvents(events, router.clock, {
      publish: (message) => {
        const isOwned = mirror.isOwned(message.address)
        if (this.end !== null || !this.publish(message, isOwned)) return false
        used[isOwned ? 'own' : 'remote'] = true
        return true
      },
      isThrough: async () => {
        if (used.own && (await session.barrier()).kind !== 'done') return false
        if (used.remote && (remote === null || !(await remote.barrier()))) return false
        used.own = used.remote = false
        return true
      },
      throttled: () => session.counters.throttled + (remote?.throttled ?? 0),
    })
    this.isFlushingEvents = false
  }

  onSet(message: SetParam): void {
    const { mirror, inbound } = this.parts
    const { session, forwarder } = this
    if (message.address === this.heartbeat?.address) this.heartbeat.onSet(message)
    const record = mirror.recordFromHub(message.address)
    if (record?.kind !== 'owned' || session === null || forwarder === null) return
    if (this.early !== null && record.inFlight === null) {
      const held = this.early.get(record)
      if (held === undefined || Number(held.revision ?? 0) <= Number(message.revision ?? 0))
        this.early.set(record, message)
      return
    }
    inbound.onSet(record, message, () => session.get(record.address), this.later)
  }

  onPublish(message: Publish): void {
    if (this.parts.mirror.isOwned(message.address)) this.parts.local.send(message)
  }

  onSnapshot(params: SnapshotParam[]): void {
    const { mirror, inbound, epoch } = this.parts
    this.params += params.length
    for (const param of params) {
      if (param.address === epoch.address) {
        epoch.onSnapshot(param)
        this.verify?.onCanary()
      } else if (this.isComparing) {
        const record = mirror.recordFromHub(param.address)
        if (record?.kind !== 'owned') continue
        this.verify?.onParam(record)
        inbound.compare(param, record)
      }
    }
  }

  onOverflow(): void {
    this.hasLostBroadcasts = true
    this.compareSoon()
  }

  onRefused(refusal: Refusal): void {
    this.parts.refusals.report(refusal.address, refusal)
  }

  onEnded(problem: LinkProblem): void {
    this.finish({ kind: problem.kind === 'unauthorized' ? 'unauthorized' : 'lost', words: problem.words })
  }

  onRoom(): void {
    this.forwarder?.pump()
    this.flushSoon()
  }

  private flushSoon(): void {
    if (this.parts.events.size > 0 && this.parts.progress.state === 'active') this.flushEvents().catch(() => {})
  }

  private async live(): Promise<void> {
    const { progress, options, routerId, mirror, clock, epoch, inbound, sessions, router } = this.parts
    progress.enter('connecting')
    const dialled = await this.parts.dial(this, this.isPeer)
    if ('words' in dialled) return this.finish(endOf(dialled))
    if (this.end !== null) return dialled.close()
    const session = dialled
    this.session = session
    sessions.add(session.id)
    const forwarder = new Forwarder(
      {
        ...this.parts,
        outbox: this.parts.owned,
        session,
        isOwner: true,
        onForeign: (record, message) => inbound.onForeign(record, message, this.later),
        onRefused: (address, refusal) => this.parts.refusals.report(address, refusal),
      },
      this.parts.counters,
    )
    this.forwarder = forwarder
    const verify = new Verify({
      clock: router.clock,
      session,
      mirror,
      inbound,
      namespaces: options.namespaces,
      canary: epoch.address,
      isPeer: this.isPeer,
    })
    this.verify = verify

    this.stall = watchStall(router.clock, this.progressMark, () => {
      const words = `the hub answers, but nothing comes of it (${progress.state}); connecting anew`
      this.finish({ kind: 'lost', words })
    })
    progress.enter('drain')
    if ((await session.barrier()).kind !== 'done') return this.silent('the first PING')
    progress.enter('declare')
    if (this.isPeer) {
      const answer = await session.declare(options.namespaces, routerId, options.probeTimeoutMs)
      if (answer.kind === 'unanswered') return this.finish({ kind: 'plain' })
      if (answer.kind === 'refused') return this.finish({ kind: 'misconfigured', words: declareWords(answer.refusal) })
      if (answer.kind !== 'done') return
    }
    progress.enter('subscribe')
    if (!this.isPeer) {
      for (const [i, pattern] of options.namespaces.entries()) session.subscribe(FIRST_OWN_SUBSCRIPTION + i, pattern)
      if ((await session.barrier()).kind !== 'done') return this.silent('SUBSCRIBE')
    }
    // The times of both sides are compared from here on.
    await clock.measure(session)
    mirror.isClockSteady = !clock.hasStepped
    if (this.remote !== null && !(await this.remote.start())) return
    if (this.end !== null) return

    progress.enter('sync')
    const isSameEpoch = await epoch.check(session)
    if (isSameEpoch === undefined) return this.silent('the epoch of the last connection')
    inbound.isSameEpoch = isSameEpoch
    if (!isSameEpoch) {
      for (const record of mirror.records.values()) if (record.kind === 'owned') record.hubRevision = 0
    }
    for (const record of mirror.records.values()) {
      record.isParked = false
      if (record.isDirty) mirror.outboxOf(record).add(record)
    }
    this.isComparing = true
    const outcome = await verify.run(0)
    if (outcome === 'lost') return this.silent('a request for the state of the namespaces')
    if (outcome !== 'done') return this.finish({ kind: 'misconfigured', words: declareWords(outcome) })
    const early = this.early ?? new Map<MirrorRecord, SetParam>()
    this.early = null
    for (const [record, message] of early) inbound.onSet(record, message, () => session.get(record.address), this.later)

    progress.enter('reconcile')
    await forwarder.drain()
    if (this.end !== null) return
    epoch.confirm()
    inbound.isSameEpoch = true

    const heartbeat = new Heartbeat(mirror.controlPrefix, {
      clock: router.clock,
      session,
      intervalMs: options.heartbeatMs,
      onFailed: (words) => this.finish({ kind: 'lost', words }),
    })
    this.heartbeat = heartbeat
    if (!(await heartbeat.start()) || this.end !== null) return
    mirror.isActive = true
    progress.enter('active')
    this.repeat(options.verifyIntervalMs, () => this.verifyAll())
    this.repeat(CLOCK_INTERVAL_MS, () => clock.measure(session))
    this.remote?.activate(heartbeat.address)
    this.pump()
    await this.flushEvents()
    if (this.hasLostBroadcasts) this.compareSoon()
  }

  private compareSoon(): void {
    if (this.overflow !== null || this.isVerifying || this.parts.progress.state !== 'active') return
    const { clock } = this.parts.router
    this.overflow = clock.timer(this.comparedAt + COMPARE_PAUSE_MS - clock.now(), () => {
      this.overflow = null
      this.verifyAll().catch(() => {})
    })
  }

  private async verifyAll(): Promise<void> {
    if (this.isVerifying || this.parts.progress.state !== 'active' || this.verify === null) return
    this.isVerifying = true
    this.hasLostBroadcasts = false
    this.comparedAt = this.parts.router.clock.now()
    const outcome = await this.verify.run(PAGE_PAUSE_MS)
    await this.remote?.verify()
    this.isVerifying = false
    if (outcome === 'lost') this.silent('a request for the state of the namespaces')
    this.pump()
    if (this.hasLostBroadcasts) this.compareSoon()
  }

  private repeat(intervalMs: number, run: () => Promise<void>): void {
    const at = this.timers.length
    const arm = (): void => {
      this.timers[at] = this.parts.router.clock.timer(intervalMs, () => {
        run().then(
          () => this.end === null && arm(),
          () => {},
        )
      })
    }
    arm()
  }

  /** Another text whenever the connection has come nearer to its goal; undefined = it is there. */
  private readonly progressMark = (): string | undefined => {
    const { progress, counters } = this.parts
    if (progress.state === 'active') return undefined
    return `${progress.state} ${counters.acknowledged} ${this.verify?.pages} ${this.params}`
  }

  private readonly later = (record: MirrorRecord, delayMs: number): void => {
    this.forwarder?.retryLater(record, delayMs)
  }

  private silent(what: string): void {
    this.finish({ kind: 'lost', words: `the hub did not answer ${what}; connecting anew` })
  }

  private finish(end: ConnectionEnd): void {
    if (this.end !== null) return
    this.end = end
    this.parts.mirror.isActive = false
    for (const timer of this.timers) timer.cancel()
    this.overflow?.cancel()
    this.stall?.stop()
    this.heartbeat?.stop()
    this.verify?.stop()
    this.forwarder?.stop()
    this.remote?.stop()
    this.session?.close()
    this.resolveEnd(end)
  }
}

function endOf({ kind, words }: LinkProblem): ConnectionEnd {
  if (kind === 'unauthorized') return { kind: 'unauthorized', words }
  return { kind: kind === 'url' ? 'misconfigured' : 'lost', words }
}

function declareWords({ code, message }: Refusal): string {
  if (code === 501) return `the hub accepts no leaves: ${message} (${code}); set hub.accept: true there`
  const remedy = message.startsWith('insufficient scope')
    ? 'the token needs the scopes read:<namespace> and write:<namespace>; admin does not count at this hub'
    : 'change hub.namespaces here, or ask who runs the hub'
  return `the hub refused the namespaces of this leaf: ${message} (${code}); ${remedy}`
}
