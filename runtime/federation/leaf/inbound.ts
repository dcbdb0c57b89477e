import type { SetParam, SnapshotParam, Ttl } from '../../../firmware-protocol/wire/message.ts'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import type { LocalSession } from '../../router/local-session.ts'
import { paramValue } from '../../router/param-value.ts'
import type { Router } from '../../router/router.ts'
import type { HubClock } from './hub-clock.ts'
import type { Mirror } from './mirror.ts'
import type { MirrorRecord } from './mirror-record.ts'
import type { PingPongGuard } from './ping-pong-guard.ts'
import { type HubSide, type LocalSide, reconcile } from './reconcile.ts'
import { isSameValue } from './same-value.ts'
import { MarkFlag } from './uplink-store.ts'

/** The writer of params that an upstream hub took from its snapshot file. Federation reference §12.3. */
const RESTORED = 'restore'
const NEVER: Ttl = { mode: 'never' }
/** There is no way to delete: what is to go expires. */
const SOON_S = 1
/** An address under the policy `owner-strict` is written back at most so often. */
const WRITE_BACK_MS = 1000

export interface InboundParts {
  router: Router
  mirror: Mirror
  local: LocalSession
  clock: HubClock
  guard: PingPongGuard
  /** Ids of this leaf's sessions at the hub, earlier ones included. */
  isOwnSession(id: string): boolean
}

export interface InboundCounters {
  /** Values of the hub that were taken. */
  applied: number
  /** Echoes, repetitions, and what was older than what we had. */
  discarded: number
  /** Comparisons in which both sides had changed, by who won. */
  conflictsHub: number
  conflictsLocal: number
}

/** What the hub says about params, and what becomes of it here. Source: federation.md §13.9, §13.7. */
export class Inbound {
  readonly counters: InboundCounters
  /** The hub has kept its state since we last knew it. */
  isSameEpoch = false
  private readonly parts: InboundParts

  constructor(parts: InboundParts, counters: InboundCounters) {
    this.parts = parts
    this.counters = counters
  }

  /** A broadcast. `ask` sends a GET; `later` sends the local value again after a while. */
  onSet(
    record: MirrorRecord,
    message: SetParam,
    ask: () => void,
    later: (record: MirrorRecord, delayMs: number) => void,
  ): void {
    const revision = Number(message.revision ?? 0)
    const { inFlight } = record
    // A comparison under way may have asked before it was there.
    record.seen = this.parts.mirror.comparisons
    if (inFlight !== null) {
      if (isSameValue(message.value, inFlight.value)) inFlight.echoRevision = Math.max(inFlight.echoRevision, revision)
      if (inFlight.held === null || revision >= Number(inFlight.held.revision ?? 0)) inFlight.held = message
      return
    }
    if (revision !== 0 && revision <= record.hubRevision) {
      this.counters.discarded++
      const isRepeated = revision === record.hubRevision && (record.isDirty || this.isSameHere(record, message.value))
      // Overtaken on its way, or the hub let the param go and counts anew: its state decides.
      if (!isRepeated && !record.isAskedFor) {
        record.isAskedFor = true
        ask()
      }
      return
    }
    this.onForeign(record, message, later)
  }

  /** A newer value of the hub, while nothing of ours is under way. */
  onForeign(record: MirrorRecord, message: SetParam, later: (record: MirrorRecord, delayMs: number) => void): void {
    const { mirror, router, clock, guard } = this.parts
    if (record.kind === 'owned') guard.onForeign(router.clock.now())
    const revision = Number(message.revision ?? 0)
    const { rule } = record
    const param = mirror.paramOf(record)
    const isEqual = this.isSameHere(record, message.value)
    if (record.isDirty && !isEqual) {
      const hub: HubSide = {
        revision,
        timestampUs: clock.nowUs,
        isOwnWriter: false,
        isNull: message.value.type === 'null',
      }
      const outcome = reconcile(hub, this.localSide(record, param !== null), false, true, rule.conflict)
      if (outcome === 'push' || outcome === 'remove') {
        // Ours is still to come, and is the last to arrive then.
        this.counters.conflictsLocal++
        record.hubRevision = revision
        return
      }
      this.counters.conflictsHub++
    }
    if (rule.conflict === 'owner-strict' && record.kind === 'owned' && param !== null && !isEqual) {
      record.hubRevision = revision
      record.flags = MarkFlag.dirty
      mirror.changed(record)
      later(record, WRITE_BACK_MS)
      return
    }
    this.take(record, message.value, revision, message.ttl ?? (record.kind === 'owned' ? undefined : NEVER))
  }

  /** One param as the hub has it, compared with ours. */
  compare(hub: SnapshotParam, record: MirrorRecord): void {
    const { mirror } = this.parts
    const revision = Number(hub.revision)
    record.isAskedFor = false
    const { inFlight } = record
    if (inFlight !== null) {
      if (isSameValue(hub.value, inFlight.value)) inFlight.echoRevision = Math.max(inFlight.echoRevision, revision)
      return
    }
    const param = mirror.paramOf(record)
    const isEqual = this.isSameHere(record, hub.value)
    const side: HubSide = {
      revision,
      // What a hub has restored bears the time of its start, not that of the edit.
      timestampUs: hub.writer === RESTORED ? 0 : Number(hub.timestamp ?? 0),
      isOwnWriter: hub.writer !== undefined && this.parts.isOwnSession(hub.writer),
      isNull: hub.value.type === 'null',
    }
    const local = param !== null || record.isRemoved ? this.localSide(record, param !== null) : null
    const isConflict = local !== null && !isEqual && record.isDirty && revision !== record.hubRevision
    const outcome = reconcile(side, local, isEqual, this.isSameEpoch || record.kind !== 'owned', record.rule.conflict)
    switch (outcome) {
      case 'push':
        if (isConflict) this.counters.conflictsLocal++
        record.hubRevision = revision
        mirror.dirty(record)
        return
      case 'take':
        if (isConflict) this.counters.conflictsHub++
        this.take(record, hub.value, revision, record.kind === 'owned' ? undefined : NEVER)
        return
      case 'same':
        if (record.hubRevision === revision && !record.isDirty) return
        record.hubRevision = revision
        mirror.clean(record)
        return
      case 'remove':
        record.hubRevision = revision
        mirror.dirty(record, MarkFlag.dirty | MarkFlag.deleted)
        return
      case 'forget':
        mirror.forget(record)
        return
    }
  }

  /** The hub has certainly nothing at an address. */
  compareAbsent(record: MirrorRecord): void {
    const { mirror } = this.parts
    if (record.inFlight !== null) return
    const isPresent = mirror.paramOf(record) !== null
    const local = isPresent || record.isRemoved ? this.localSide(record, isPresent) : null
    record.hubRevision = 0
    if (reconcile(null, local, false, this.isSameEpoch, record.rule.conflict) === 'push') mirror.dirty(record)
    else mirror.forget(record)
  }

  /** Takes the hub's value. One that is here already is only noted, unless it gets another time to live. */
  take(record: MirrorRecord, value: Value, revision: number, ttl: Ttl | undefined): void {
    const { mirror, local } = this.parts
    record.hubRevision = revision
    record.flags = MarkFlag.fromHub
    record.editedAtUs = 0
    record.editedAtMs = -1
    this.counters.applied++
    if (ttl === undefined && this.isSameHere(record, value)) {
      mirror.changed(record)
      return
    }
    local.send({ type: 'SET', address: record.address, value, ttl })
  }

  /** The hub has no param of others at this address any more: it goes here as well. */
  letGo(record: MirrorRecord): void {
    const { mirror, router } = this.parts
    const param = mirror.paramOf(record)
    if (param === null) mirror.forget(record)
    // Unless it is on its way already.
    else if (param.expiresAt > router.clock.now() + SOON_S * 1000)
      this.take(record, paramValue(router.store, param), 0, { mode: 'absolute', seconds: SOON_S })
  }

  private isSameHere(record: MirrorRecord, value: Value): boolean {
    const param = this.parts.mirror.paramOf(record)
    return param !== null && isSameValue(paramValue(this.parts.router.store, param), value)
  }

  private localSide(record: MirrorRecord, isPresent: boolean): LocalSide {
    return {
      state: isPresent ? 'present' : 'removed',
      isDirty: record.isDirty,
      isFromHub: (record.flags & MarkFlag.fromHub) !== 0,
      isEditedNow: record.editedAtMs >= 0,
      hubRevision: record.hubRevision,
      editedAtUs: this.parts.mirror.editedAtHubUs(record, this.parts.clock.offsetUs),
    }
  }
}
