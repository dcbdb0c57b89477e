import type { SetParam, Ttl } from '../../../firmware-protocol/wire/message.ts'
import { utf8Length } from '../../../firmware-protocol/wire/utf8.ts'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import type { Timer } from '../../router/clock.ts'
import { paramValue } from '../../router/param-value.ts'
import type { Router } from '../../router/router.ts'
import type { HubSession, Refusal } from './hub-session.ts'
import type { Mirror } from './mirror.ts'
import type { InFlight, MirrorRecord } from './mirror-record.ts'
import type { Outbox } from './outbox.ts'
import type { PingPongGuard } from './ping-pong-guard.ts'
import { isSameValue, valueSize } from './same-value.ts'

/** Above so many waiting, they go as bundles. */
const MANY = 24
const BUNDLE_SETS = 200
const BUNDLE_BYTES = 60 * 1024
/** What cannot be returned in a SNAPSHOT is not sent (federation.md §13.5.8). */
const MAX_VALUE_BYTES = 60 * 1024
const RETRY_MS = 5000

const REMOVED: Value = { type: 'null' }
const REMOVED_TTL: Ttl = { mode: 'absolute', seconds: 1 }

export interface ForwarderParts {
  router: Router
  mirror: Mirror
  outbox: Outbox
  session: HubSession
  guard: PingPongGuard
  /** Bundles may be used, and what was sent comes back as an echo: the session of the own namespaces. */
  isOwner: boolean
  /** What came from the hub while a SET was under way, and is newer. */
  onForeign(record: MirrorRecord, message: SetParam): void
  /** For the operator: the hub does not take an address. */
  onRefused(address: string, refusal: Refusal): void
}

export interface ForwardCounters {
  sets: number
  bundles: number
  acknowledged: number
  refused: number
  discarded: number
  tooLarge: number
}

/** Brings changed params to the hub: single SETs while they are few, bundles when many wait. Source: federation.md §13.5. */
export class Forwarder {
  readonly counters: ForwardCounters
  /** Reconciliation sends its own. */
  isPaused = true
  private readonly parts: ForwarderParts
  private readonly retries = new Map<MirrorRecord, Timer>()
  private isBundleUnderWay = false
  private isStopped = false
  private underWay = 0
  /** Records taken from the outbox, and how many of them make up what was waiting when `drain` was called. */
  private taken = 0
  private drainUntil = 0
  private onIdle: (() => void) | null = null

  constructor(parts: ForwarderParts, counters: ForwardCounters) {
    this.parts = parts
    this.counters = counters
  }

  stop(): void {
    this.isStopped = true
    for (const timer of this.retries.values()) timer.cancel()
    for (const record of [...this.retries.keys()]) this.rested(record)
    this.onIdle?.()
  }

  /** Sends what may be sent now. */
  readonly pump = (): void => {
    const { session, outbox, isOwner } = this.parts
    if (this.isPaused || this.isStopped) return
    while (session.canSend) {
      if (isOwner && outbox.size > MANY) {
        if (this.isBundleUnderWay) return
        this.sendBundle()
        continue
      }
      const record = outbox.take()
      if (record === undefined) break
      this.taken++
      this.send(record)
    }
    this.checkIdle()
  }

  /** Sends what is waiting; resolves when that has been answered or the session has ended. What is added later flows on. */
  async drain(): Promise<void> {
    this.isPaused = false
    this.drainUntil = this.taken + this.parts.outbox.size
    await new Promise<void>((resolve) => {
      this.onIdle = resolve
      this.pump()
      this.checkIdle()
    })
    this.onIdle = null
  }

  /** Sends an address again after a while. */
  retryLater(record: MirrorRecord, delayMs = RETRY_MS): void {
    if (this.isStopped || this.retries.has(record)) return
    const timer = this.parts.router.clock.timer(delayMs, () => {
      this.rested(record)
      this.pump()
    })
    this.retries.set(record, timer)
    this.parts.outbox.away++
  }

  private rested(record: MirrorRecord): void {
    const { outbox } = this.parts
    this.retries.delete(record)
    outbox.away--
    if (record.isDirty) outbox.add(record)
  }

  private checkIdle(): void {
    if (this.onIdle === null) return
    const { outbox } = this.parts
    const isThrough = this.taken > this.drainUntil + BUNDLE_SETS && !outbox.needsFullPush
    if (this.isStopped || isThrough || (this.underWay === 0 && outbox.size === 0)) this.onIdle()
  }

  private send(record: MirrorRecord): void {
    const set = this.begin(record)
    if (set === null) return
    record.isStraggler = false
    this.counters.sets++
    this.underWay++
    this.parts.session.set(set.address, set.value, set.ttl).then((answer) => {
      this.underWay--
      const { inFlight } = record
      if (inFlight !== null) {
        if (answer.kind === 'stored') this.settle(record, inFlight, answer.revision)
        else this.giveBack(record, inFlight)
      }
      if (answer.kind === 'refused') this.refused(record, answer.refusal)
      else if (answer.kind === 'discarded') this.counters.discarded++
      if (answer.kind !== 'refused') this.requeue(record)
      this.pump()
    })
  }

  /** The SET for what the record's address holds now, null when there is nothing to be sent. */
  private begin(record: MirrorRecord): (SetParam & { ttl: Ttl }) | null {
    const { mirror, router, guard } = this.parts
    if (this.retries.has(record)) return null
    const param = mirror.paramOf(record)
    if (param === null && !record.isRemoved) {
      // Written and gone again before its turn.
      if (record.hubRevision === 0) {
        mirror.forget(record)
        return null
      }
    }
    const now = router.clock.now()
    const waitMs = guard.delayMs(record, now)
    if (waitMs > 0) {
      this.retryLater(record, waitMs)
      return null
    }
    const value = param === null ? REMOVED : paramValue(router.store, param)
    if (valueSize(value) > MAX_VALUE_BYTES && param !== null && param.valueBytes > MAX_VALUE_BYTES) {
      this.counters.tooLarge++
      record.isParked = true
      this.parts.onRefused(record.address, {
        code: 402,
        message: `its value of ${param.valueBytes} bytes is too large to travel, at most ${MAX_VALUE_BYTES} do`,
      })
      return null
    }
    record.mayBeAtHub = true
    record.inFlight = { value, localRevision: param?.revision ?? 0, held: null, echoRevision: 0 }
    this.parts.outbox.away++
    return { type: 'SET', address: record.address, value, ttl: param === null ? REMOVED_TTL : record.rule.ttl }
  }

  private sendBundle(): void {
    const { outbox } = this.parts
    const records: MirrorRecord[] = []
    const sets: SetParam[] = []
    let bytes = 8
    while (records.length < BUNDLE_SETS && outbox.size > 0) {
      const record = outbox.take()
      if (record === undefined) break
      this.taken++
      if (record.isStraggler) {
        this.send(record)
        continue
      }
      const set = this.begin(record)
      if (set === null) continue
      const size = 12 + utf8Length(set.address) + valueSize(set.value)
      if (bytes + size > BUNDLE_BYTES && sets.length > 0) {
        this.landed(record)
        outbox.add(record)
        break
      }
      bytes += size
      records.push(record)
      sets.push(set)
    }
    if (sets.length === 0) return
    this.counters.bundles++
    this.counters.sets += sets.length
    this.isBundleUnderWay = true
    this.underWay++
    this.finishBundle(records, sets).finally(() => {
      this.isBundleUnderWay = false
      this.underWay--
      this.pump()
    })
  }

  private async finishBundle(records: MirrorRecord[], sets: SetParam[]): Promise<void> {
    const { session } = this.parts
    const answer = await session.bundle(sets)
    if (answer.kind === 'done') {
      await this.settleBundle(records)
      return
    }
    for (const record of records) if (record.inFlight !== null) this.giveBack(record, record.inFlight)
    const address = answer.kind === 'refused' ? answer.refusal.address : undefined
    const culprit = records.find((record) => record.address === address)
    if (answer.kind === 'refused' && culprit !== undefined) this.refused(culprit, answer.refusal)
    // Without a name, or an answer, each has to find out by itself.
    else if (answer.kind !== 'lost') for (const record of records) record.isStraggler = true
    for (const record of records) this.requeue(record)
  }

  /** A bundle's ACK tells no revisions: the echoes do, and for those that are missing the hub is asked. */
  private async settleBundle(records: MirrorRecord[]): Promise<void> {
    const { session } = this.parts
    const silent = records.filter(({ inFlight }) => inFlight !== null && inFlight.echoRevision === 0)
    if (silent.length > 0) await session.revisionVector(silent.map(({ address }) => [address, 0]))
    for (const record of records) {
      const { inFlight } = record
      if (inFlight === null) continue
      if (inFlight.echoRevision > 0) this.settle(record, inFlight, inFlight.echoRevision)
      else this.straggler(record, inFlight)
      this.requeue(record)
    }
  }

  /** One that did not arrive with its bundle, or was overwritten at once: tried again by itself, which tells more. */
  private straggler(record: MirrorRecord, inFlight: InFlight): void {
    this.landed(record)
    if (record.isForgotten) return
    record.isStraggler = true
    if (inFlight.held !== null) this.parts.onForeign(record, inFlight.held)
  }

  private settle(record: MirrorRecord, inFlight: InFlight, revision: number): void {
    const { mirror } = this.parts
    const { held } = inFlight
    this.counters.acknowledged++
    this.landed(record)
    // Evicted meanwhile: the address may have another record by now.
    if (record.isForgotten) return
    record.hubRevision = revision
    // A comparison under way may have asked before it was stored.
    record.seen = mirror.comparisons
    const param = mirror.paramOf(record)
    if (param !== null && param.revision === inFlight.localRevision) mirror.clean(record)
    else if (param === null && inFlight.localRevision === 0) mirror.forget(record)
    else mirror.changed(record)
    if (held !== null && Number(held.revision ?? 0) > revision && !isSameValue(held.value, inFlight.value))
      this.parts.onForeign(record, held)
  }

  /** It was not stored: it stays to be sent, and what came from the hub meanwhile counts. */
  private giveBack(record: MirrorRecord, inFlight: InFlight): void {
    this.landed(record)
    if (record.isForgotten) return
    if (inFlight.held !== null && !isSameValue(inFlight.held.value, inFlight.value))
      this.parts.onForeign(record, inFlight.held)
  }

  private landed(record: MirrorRecord): void {
    record.inFlight = null
    this.parts.outbox.away--
  }

  private requeue(record: MirrorRecord): void {
    if (record.isDirty && !record.isParked && !this.retries.has(record)) this.parts.outbox.add(record)
  }

  private refused(record: MirrorRecord, refusal: Refusal): void {
    this.counters.refused++
    const isFinal = refusal.code === 301 || refusal.code === 403 || refusal.code === 202 || refusal.code === 200
    if (isFinal) record.isParked = true
    else this.retryLater(record)
    this.parts.onRefused(record.address, refusal)
  }
}
