import type { Message, SignalDefinition } from '../../firmware-protocol/wire/message.ts'
import type { Pattern } from '../../firmware-protocol/wire/pattern.ts'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import { BackOff } from '../client/back-off.ts'
import type { Client } from '../client/client.ts'
import type { Clock, Timer } from '../router/clock.ts'
import type { LocalSession, LocalSessionOptions } from '../router/local-session.ts'
import type { Log } from '../router/log.ts'
import type { Mapper } from '../routes/mapper.ts'
import type {
  BridgeContext,
  BridgeCounters,
  BridgeKind,
  BridgeProgram,
  BridgeState,
  RunningBridge,
  WebSurface,
} from './bridge.ts'
import type { BridgeEntry } from './bridge-entry.ts'
import { RouterSession } from './bridge-session.ts'
import type { MirrorGuard } from './mirror-guard.ts'

const FIRST_RETRY_MS = 1000
const LAST_RETRY_MS = 30_000
/** A connection that held for so long starts the delays anew. */
const STABLE_MS = 30_000
/** Bridges.md §2.7. */
const STOP_DEADLINE_MS = 2000
const STATUS_EVERY_MS = 30_000
const STATUS_TTL_S = 90
/** Changes of the counters alone are no reason for more messages. */
const STATUS_PAUSE_MS = 1000
const PROBLEM_PAUSE_MS = 1000

export interface RunnerParts {
  openLocal(options: LocalSessionOptions): LocalSession
  openClient(name: string): Promise<Client>
  announced(pattern: Pattern): readonly SignalDefinition[]
  program(name: BridgeProgram): Promise<string | null>
  /** Of the entry's rules, for each direction; made anew for each start. */
  mapper(direction: 'in' | 'out'): Mapper | null
  clock: Clock
  log: Log
  folder: string | undefined
  web: WebSurface
  mirrors: MirrorGuard
  random: () => number
}

/** What an operator sees of a bridge. */
export interface BridgeReport extends BridgeCounters {
  id: string
  kind: string
  namespace: string
  state: BridgeState
  /** Why it does not run, or not in full; '' when it does. */
  reason: string
  lastError: string
  peers: number
}

/** One configured bridge: opened, and again after it failed; never a reason for others to stop. */
export class BridgeRunner {
  readonly entry: BridgeEntry
  private readonly kind: BridgeKind
  private readonly parts: RunnerParts
  private readonly status: LocalSession
  private readonly backOff: BackOff
  private readonly counters: BridgeCounters = { in: 0, out: 0, inDropped: 0, outDropped: 0, errors: 0 }
  private bridge: RunningBridge | null = null
  private session: RouterSession | null = null
  private aborter = new AbortController()
  private work: Promise<void> = Promise.resolve()
  private retry: Timer | null = null
  private refresh: Timer | null = null
  private state: BridgeState = 'stopped'
  private reason = ''
  private lastError = ''
  private peers = 0
  private sinceUs: number
  private openedAt = 0
  private problemAt = Number.NEGATIVE_INFINITY
  private toldAt = Number.NEGATIVE_INFINITY
  private isWanted = false
  private isOver = false
  /** While it is being opened: it is to be over soon. */
  private giveUpOpening: (() => void) | null = null

  constructor(entry: BridgeEntry, kind: BridgeKind, parts: RunnerParts) {
    this.entry = entry
    this.kind = kind
    this.parts = parts
    this.sinceUs = parts.clock.wallUs()
    this.backOff = new BackOff({ baseMs: FIRST_RETRY_MS, capMs: LAST_RETRY_MS, random: parts.random })
    this.status = parts.openLocal({
      name: `status of bridge ${entry.id}`,
      onMessage: (message) => this.onControl(message),
    })
    this.status.send({ type: 'SUBSCRIBE', id: 1, pattern: this.address('enabled'), types: ['param'] })
  }

  get report(): BridgeReport {
    const { entry, state, reason, lastError, peers, counters } = this
    const { id, kind, namespace } = entry
    return { id, kind, namespace, state, reason, lastError, peers, ...counters }
  }

  /** Resolves when it was tried for the first time. */
  start(): Promise<void> {
    // First, for what it tells comes back to it.
    this.isWanted = true
    this.tellEnabled()
    return this.resume()
  }

  /** For good: whoever enables it now comes too late. A foreign side that does not answer is waited for no longer. */
  giveUp(): void {
    this.isOver = true
    this.halt()
  }

  private resume(): Promise<void> {
    this.isWanted = true
    return this.afterwards(() => this.open())
  }

  /** All that it opened is closed when it resolves. The entry stays, and its status can be seen. */
  private pause(): Promise<void> {
    this.halt()
    return this.afterwards(async () => {
      this.enter('stopping', '')
      await this.close()
      this.enter('stopped', '')
    })
  }

  private halt(): void {
    this.isWanted = false
    this.retry?.cancel()
    this.giveUpOpening?.()
  }

  async stop(): Promise<void> {
    this.isOver = true
    await this.pause()
    this.refresh?.cancel()
    this.status.close()
  }

  private afterwards(step: () => Promise<void>): Promise<void> {
    this.work = this.work.then(step).catch((error) => this.fail(error))
    return this.work
  }

  private async open(): Promise<void> {
    if (!this.isWanted || this.bridge !== null) return
    this.retry?.cancel()
    const { parts, entry } = this
    this.enter('starting', '')
    const aborter = new AbortController()
    this.aborter = aborter
    const session = new RouterSession({
      openLocal: (options) => parts.openLocal(options),
      name: `bridge ${entry.id}`,
      clock: parts.clock,
      counters: this.counters,
      mapIn: parts.mapper('in'),
      mapOut: parts.mapper('out'),
      onLoop: (address) =>
        this.onProblem('loop', `values go round in circles at ${address}: it rests for 5 s; is there a second bridge?`),
    })
    this.session = session
    try {
      const open = await this.kind.load()
      this.bridge = await this.openedInTime(open(this.context(aborter, session)), aborter)
    } catch (error) {
      aborter.abort()
      await this.close()
      this.fail(error as Error)
      return
    }
    this.openedAt = parts.clock.now()
    // It may have said meanwhile that it works in part, or that it is lost.
    if (this.state === 'starting' && !aborter.signal.aborted) this.enter('running', '')
  }

  /** Rejects when it is given up and the bridge does not end what it does in time; if it opens later, it is stopped then. */
  private async openedInTime(opening: Promise<RunningBridge>, aborter: AbortController): Promise<RunningBridge> {
    let deadline: Timer | undefined
    const late = new Promise<never>((_, reject) => {
      this.giveUpOpening = () => {
        this.giveUpOpening = null
        aborter.abort()
        deadline = this.parts.clock.timer(STOP_DEADLINE_MS, () => reject(new Error('it was stopped while it opened')))
      }
    })
    try {
      return await Promise.race([opening, late])
    } catch (error) {
      opening.then((bridge) => bridge.stop()).catch(() => {})
      throw error
    } finally {
      this.giveUpOpening = null
      deadline?.cancel()
    }
  }

  private context(aborter: AbortController, session: RouterSession): BridgeContext {
    const { parts, entry } = this
    const isCurrent = () => aborter === this.aborter && !aborter.signal.aborted
    return {
      id: entry.id,
      namespace: entry.namespace,
      options: entry.options,
      clock: parts.clock,
      log: parts.log,
      signal: aborter.signal,
      router: session,
      counters: this.counters,
      mirrors: parts.mirrors,
      folder: parts.folder,
      random: parts.random,
      openClient: (name) => parts.openClient(name),
      announced: (pattern) => parts.announced(pattern),
      program: (name) => parts.program(name),
      web: parts.web,
      tell: (state, reason = '') => {
        if (isCurrent()) this.enter(state, reason)
      },
      setPeers: (count) => {
        this.peers = count
        this.tellSoon()
      },
      problem: (code, message) => this.onProblem(code, message),
      lost: (error) => {
        if (!isCurrent()) return
        aborter.abort()
        void this.afterwards(async () => {
          await this.close()
          this.fail(error)
        })
      },
    }
  }

  private fail(error: Error): void {
    if (!this.isWanted) return
    this.onProblem('failed', error.message)
    this.enter('degraded', error.message)
    if (this.parts.clock.now() - this.openedAt >= STABLE_MS) this.backOff.reset()
    this.retry?.cancel()
    this.retry = this.parts.clock.timer(this.backOff.next(), () => void this.afterwards(() => this.open()))
  }

  private async close(): Promise<void> {
    const { bridge, session } = this
    this.bridge = null
    this.session = null
    if (bridge !== null) await this.stopInTime(bridge)
    this.aborter.abort()
    session?.close()
    this.peers = 0
  }

  private async stopInTime(bridge: RunningBridge): Promise<void> {
    let deadline: Timer | undefined
    const late = new Promise<void>((resolve) => {
      deadline = this.parts.clock.timer(STOP_DEADLINE_MS, () => {
        this.onProblem('stop', 'it did not stop in time')
        resolve()
      })
    })
    try {
      await Promise.race([bridge.stop(), late])
    } catch (error) {
      this.onProblem('stop', (error as Error).message)
    }
    deadline?.cancel()
  }

  private enter(state: BridgeState, reason: string): void {
    if (state === this.state && reason === this.reason) return
    const { id, kind } = this.entry
    if (reason !== '') this.parts.log.warn(`bridge ${id}: ${reason}`, { kind, state })
    else if (state === 'running' || state === 'stopped') this.parts.log.info(`bridge ${id} is ${state}`, { kind })
    if (state !== this.state) this.sinceUs = this.parts.clock.wallUs()
    this.state = state
    this.reason = reason
    this.tell()
  }

  private onProblem(code: string, message: string): void {
    this.counters.errors++
    this.lastError = message
    const now = this.parts.clock.now()
    if (now - this.problemAt < PROBLEM_PAUSE_MS) return
    this.problemAt = now
    this.parts.log.warn(`bridge ${this.entry.id}: ${message}`, { kind: this.entry.kind, code })
    const payload = mapOf({ code, message, t: this.parts.clock.wallUs() })
    this.status.send({ type: 'PUBLISH', address: this.address('error'), signal: 'event', payload })
    this.tellSoon()
  }

  private onControl(message: Message): void {
    if (message.type !== 'SET' || message.value.type !== 'bool') return
    const isWanted = message.value.value
    if (isWanted === this.isWanted || this.isOver) return
    void (isWanted ? this.resume() : this.pause())
  }

  private tellEnabled(): void {
    const value: Value = { type: 'bool', value: true }
    this.status.send({ type: 'SET', address: this.address('enabled'), value, ttl: { mode: 'never' } })
  }

  private tellSoon(): void {
    const waitMs = this.toldAt + STATUS_PAUSE_MS - this.parts.clock.now()
    this.refresh?.cancel()
    this.refresh = this.parts.clock.timer(Math.max(0, waitMs), () => this.tell())
  }

  /** `/_meta/bridges/<id>`, bridges.md §2.13. */
  private tell(): void {
    const { entry, parts, counters } = this
    this.toldAt = parts.clock.now()
    this.refresh?.cancel()
    this.refresh = parts.clock.timer(STATUS_EVERY_MS, () => this.tell())
    const value = mapOf({
      protocol: entry.kind,
      name: entry.id,
      namespace: entry.namespace,
      state: this.state,
      reason: this.reason,
      since: this.sinceUs,
      in_msgs: counters.in,
      out_msgs: counters.out,
      in_drop: counters.inDropped,
      out_drop: counters.outDropped,
      errors: counters.errors,
      last_error: this.lastError,
      peer_count: this.peers,
    })
    const ttl = { mode: 'sliding', seconds: STATUS_TTL_S } as const
    this.status.send({ type: 'SET', address: `/_meta/bridges/${entry.id}`, value, ttl })
  }

  private address(key: string): string {
    return `/_meta/bridges/${this.entry.id}/${key}`
  }
}

function mapOf(members: Readonly<Record<string, string | number>>): Value {
  return {
    type: 'map',
    value: Object.entries(members).map(([key, value]) => [
      key,
      typeof value === 'string' ? { type: 'string', value } : { type: 'i64', value },
    ]),
  }
}
