import type { Message } from '../../firmware-protocol/wire/message.ts'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import type { Clock, Timer } from '../router/clock.ts'
import type { LocalSession, LocalSessionOptions } from '../router/local-session.ts'
import type { Log } from '../router/log.ts'
import type { BridgeCounters, BridgeState } from './bridge.ts'
import type { BridgeEntry } from './bridge-entry.ts'
import { BridgeTraffic } from './bridge-traffic.ts'
import { plainMap } from './plain-map.ts'

const STATUS_EVERY_MS = 30_000
const STATUS_TTL_S = 90
/** Changes of the counters alone are no reason for more messages. */
const STATUS_PAUSE_MS = 1000
const PROBLEM_PAUSE_MS = 1000

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

export interface StatusParts {
  openLocal(options: LocalSessionOptions): LocalSession
  clock: Clock
  log: Log
  /** Somebody has set the param `enabled`. */
  onEnabled(isWanted: boolean): void
}

/** How a bridge goes, at `/_meta/bridges/<id>` and in the log. Source: bridges.md §2.13. */
export class BridgeStatus {
  readonly traffic: BridgeTraffic
  state: BridgeState = 'stopped'
  private readonly entry: BridgeEntry
  private readonly parts: StatusParts
  private readonly session: LocalSession
  private reason = ''
  private lastError = ''
  private peers = 0
  private sinceUs: number
  private refresh: Timer | null = null
  private problemAt = Number.NEGATIVE_INFINITY
  private toldAt = Number.NEGATIVE_INFINITY
  private isClosed = false

  constructor(entry: BridgeEntry, parts: StatusParts) {
    this.entry = entry
    this.parts = parts
    this.traffic = new BridgeTraffic(parts.clock)
    this.sinceUs = parts.clock.wallUs()
    this.session = parts.openLocal({
      name: 'bridge status',
      onMessage: (message) => this.receive(message),
    })
    this.session.send({ type: 'SUBSCRIBE', id: 1, pattern: this.address('enabled'), types: ['param'] })
  }

  get report(): BridgeReport {
    const { entry, state, reason, lastError, peers, traffic } = this
    const { id, kind, namespace } = entry
    const { in: received, out, inDropped, outDropped, errors } = traffic
    const counters: BridgeCounters = { in: received, out, inDropped, outDropped, errors }
    return { id, kind, namespace, state, reason, lastError, peers, ...counters }
  }

  enter(state: BridgeState, reason: string): void {
    if (state === this.state && reason === this.reason) return
    const { id, kind } = this.entry
    if (reason !== '') this.parts.log.warn(`bridge ${id}: ${reason}`, { kind, state })
    else if (state === 'running' || state === 'stopped') this.parts.log.info(`bridge ${id} is ${state}`, { kind })
    if (state !== this.state) this.sinceUs = this.parts.clock.wallUs()
    this.state = state
    this.reason = reason
    this.tell()
  }

  /** It does not run, and will be tried again. */
  fail(message: string): void {
    this.count(message)
    if (this.mayTell()) this.publishProblem('failed', message)
    this.enter('degraded', message)
  }

  /** Counted each time, and told at most once a second. */
  problem(code: string, message: string): void {
    this.count(message)
    if (!this.mayTell()) return
    this.parts.log.warn(`bridge ${this.entry.id}: ${message}`, { kind: this.entry.kind, code })
    this.publishProblem(code, message)
    this.tellSoon()
  }

  setPeers(count: number): void {
    if (count === this.peers) return
    this.peers = count
    this.tellSoon()
  }

  tellEnabled(): void {
    const value: Value = { type: 'bool', value: true }
    this.session.send({ type: 'SET', address: this.address('enabled'), value, ttl: { mode: 'never' } })
  }

  close(): void {
    this.isClosed = true
    this.refresh?.cancel()
    this.session.close()
  }

  private receive(message: Message): void {
    if (message.type !== 'SET') return
    const { value } = message
    if (value.type === 'bool') this.parts.onEnabled(value.value)
    else if (value.type !== 'null') this.problem('enabled', `${message.address} takes only true and false`)
  }

  private count(message: string): void {
    this.traffic.errors++
    this.lastError = message
  }

  private mayTell(): boolean {
    const now = this.parts.clock.now()
    if (now - this.problemAt < PROBLEM_PAUSE_MS) return false
    this.problemAt = now
    return true
  }

  private publishProblem(code: string, message: string): void {
    const payload = plainMap({ code, message, t: this.parts.clock.wallUs() })
    this.session.send({ type: 'PUBLISH', address: this.address('error'), signal: 'event', payload })
  }

  private tellSoon(): void {
    // A bridge that did not stop in time may still have something to say.
    if (this.isClosed) return
    const waitMs = this.toldAt + STATUS_PAUSE_MS - this.parts.clock.now()
    this.refresh?.cancel()
    this.refresh = this.parts.clock.timer(Math.max(0, waitMs), () => this.tell())
  }

  private tell(): void {
    const { entry, parts, traffic } = this
    this.toldAt = parts.clock.now()
    this.refresh?.cancel()
    this.refresh = parts.clock.timer(STATUS_EVERY_MS, () => this.tell())
    const value = plainMap({
      protocol: entry.kind,
      name: entry.id,
      namespace: entry.namespace,
      state: this.state,
      reason: this.reason,
      since: this.sinceUs,
      in_msgs: traffic.in,
      out_msgs: traffic.out,
      in_drop: traffic.inDropped,
      out_drop: traffic.outDropped,
      errors: traffic.errors,
      last_error: this.lastError,
      last_in: traffic.lastInUs,
      last_out: traffic.lastOutUs,
      peer_count: this.peers,
    })
    const ttl = { mode: 'sliding', seconds: STATUS_TTL_S } as const
    this.session.send({ type: 'SET', address: `/_meta/bridges/${entry.id}`, value, ttl })
  }

  private address(key: string): string {
    return `/_meta/bridges/${this.entry.id}/${key}`
  }
}
