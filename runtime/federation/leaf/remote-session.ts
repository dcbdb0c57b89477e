import type { Publish, SetParam, SnapshotParam } from '../../../firmware-protocol/wire/message.ts'
import type { Timer } from '../../router/clock.ts'
import type { ConnectionParts } from './connection.ts'
import { Forwarder } from './forward.ts'
import type { HubSession, HubSessionHandler, LinkProblem, Refusal } from './hub-session.ts'
import type { MirrorRecord } from './mirror-record.ts'

const FIRST_SUBSCRIPTION = 1
/** For the heartbeat of the other session, which keeps this one from being forgotten. */
const HEARTBEAT_SUBSCRIPTION = 999
/** Above the interval of the heartbeat. */
const SILENCE_FACTOR = 1.25

export interface RemoteParts extends ConnectionParts {
  fail(words: string): void
  /** There is room for events again. */
  onRoom(): void
  /** The hub has dropped broadcasts. */
  onOverflow(): void
}

/**
 * Session B: an ordinary client at the same hub, for the addresses of others, which a federation session may not write.
 * Source: federation.md §13.2, §11.
 */
export class RemoteSession implements HubSessionHandler {
  private readonly parts: RemoteParts
  private session: HubSession | null = null
  private forwarder: Forwarder | null = null
  private heartbeatAddress = ''
  private silence: Timer | null = null
  private isStopped = false
  /** Numbers the comparisons. */
  private pass = 0

  constructor(parts: RemoteParts) {
    this.parts = parts
  }

  /** Connects, and mirrors the patterns of others. False when it failed, which `fail` has been told. */
  async start(): Promise<boolean> {
    const { options, inbound, sessions, remote, counters } = this.parts
    const dialled = await this.parts.dial(this, false)
    if ('words' in dialled) {
      this.parts.fail(`the second session, for addresses of others: ${dialled.words}`)
      return false
    }
    if (this.isStopped) {
      dialled.close()
      return false
    }
    this.session = dialled
    sessions.add(dialled.id)
    this.forwarder = new Forwarder(
      {
        ...this.parts,
        outbox: remote,
        session: dialled,
        isOwner: false,
        onForeign: (record, message) => inbound.onForeign(record, message, this.later),
        onRefused: (address, refusal) => this.parts.refusals.report(address, refusal),
      },
      counters,
    )
    if ((await dialled.barrier()).kind !== 'done') return this.silent()
    this.pass++
    for (const [i, pattern] of options.subscribe.entries()) dialled.subscribe(FIRST_SUBSCRIPTION + i, pattern)
    return (await dialled.barrier()).kind === 'done' || this.silent()
  }

  /** The link is up: local writes go out. */
  activate(heartbeatAddress: string): void {
    this.heartbeatAddress = heartbeatAddress
    this.session?.subscribe(HEARTBEAT_SUBSCRIPTION, heartbeatAddress)
    if (this.forwarder !== null) this.forwarder.isPaused = false
    this.watch()
    this.pump()
  }

  readonly pump = (): void => {
    this.forwarder?.pump()
  }

  publish(message: Publish): boolean {
    return this.session?.publish(message) ?? false
  }

  /**
   * Subscribing anew brings the state. What does not come back has gone at a hub like ours; an upstream hub loses large
   * answers without a word, so there the last known value stays.
   */
  async verify(): Promise<void> {
    const { session } = this
    const { mirror, inbound } = this.parts
    if (session === null) return
    this.pass++
    const comparison = ++mirror.comparisons
    const { throttled } = this
    for (const [i, pattern] of this.parts.options.subscribe.entries()) {
      session.unsubscribe(FIRST_SUBSCRIPTION + i)
      session.subscribe(FIRST_SUBSCRIPTION + i, pattern)
    }
    const { kind } = await session.barrier()
    // What was discarded had no answer.
    if (kind !== 'done' || !session.isFederatingHub || this.throttled !== throttled) return
    for (const record of mirror.records.values()) {
      if (record.kind === 'owned' || record.seen === comparison || record.isDirty || record.inFlight !== null) continue
      if (mirror.isMirrored(record.address)) inbound.letGo(record)
    }
  }

  stop(): void {
    this.isStopped = true
    this.silence?.cancel()
    this.forwarder?.stop()
    this.session?.close()
  }

  onSet(message: SetParam): void {
    const { inbound } = this.parts
    const { session } = this
    if (message.address === this.heartbeatAddress) this.watch()
    const record = this.recordAt(message.address)
    if (record === null || session === null) return
    inbound.onSet(record, message, () => session.get(record.address), this.later)
  }

  onPublish(message: Publish): void {
    // No record is made: events may have addresses without end.
    const kind = this.parts.mirror.kindOf(message.address)
    if (kind === 'remote' || kind === 'mirrored') this.parts.local.send(message)
  }

  onSnapshot(params: SnapshotParam[]): void {
    // The first one, of everything, is of no use.
    if (this.pass === 0) return
    for (const param of params) {
      const record = this.recordAt(param.address)
      if (record === null) continue
      record.seen = this.parts.mirror.comparisons
      this.parts.inbound.compare(param, record)
    }
  }

  onOverflow(): void {
    this.parts.onOverflow()
  }

  onRefused(refusal: Refusal): void {
    this.parts.refusals.report(refusal.address, refusal)
  }

  onEnded({ words }: LinkProblem): void {
    if (!this.isStopped) this.parts.fail(words)
  }

  onRoom(): void {
    this.pump()
    this.parts.onRoom()
  }

  /** Everything sent so far has been answered, or the session has ended. */
  async barrier(): Promise<boolean> {
    return this.session !== null && (await this.session.barrier()).kind === 'done'
  }

  /** ERRORs 429 so far. */
  get throttled(): number {
    return this.session?.counters.throttled ?? 0
  }

  /** Own addresses are the other session's. */
  private recordAt(address: string): MirrorRecord | null {
    const record = this.parts.mirror.recordFromHub(address)
    return record?.kind === 'owned' ? null : record
  }

  private watch(): void {
    this.silence?.cancel()
    if (this.isStopped) return
    this.silence = this.parts.router.clock.timer(this.parts.options.heartbeatMs * SILENCE_FACTOR, () => {
      this.parts.fail('the hub has stopped sending updates to the second session; connecting anew')
    })
  }

  private readonly later = (record: MirrorRecord, delayMs: number): void => {
    this.forwarder?.retryLater(record, delayMs)
  }

  private silent(): boolean {
    this.parts.fail('the hub did not answer on the second session; connecting anew')
    return false
  }
}
