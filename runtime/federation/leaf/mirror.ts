/** Hot path: `onSet`, `refusal`. */

import { Pattern } from '../../../firmware-protocol/wire/pattern.ts'
import type { AddressEntry } from '../../router/address-table.ts'
import type { Param } from '../../router/param.ts'
import type { WriteRefusal } from '../../router/reserved.ts'
import type { Router } from '../../router/router.ts'
import type { StateObserver } from '../../router/state-observer.ts'
import type { LeafOptions } from './leaf-options.ts'
import { type MirrorKind, MirrorRecord } from './mirror-record.ts'
import { controlRoot, Namespaces } from './namespaces.ts'
import type { Outbox } from './outbox.ts'
import { UplinkPolicy } from './uplink-policy.ts'
import { MarkFlag, type UplinkMark, type UplinkStore } from './uplink-store.ts'

const encoder = new TextEncoder()

/** A wall clock that shows less was never set: 2024-01-01. */
const EARLIEST_US = 1_704_067_200_000_000

const HUB_AWAY: WriteRefusal = {
  code: 503,
  message: 'the hub that owns this address cannot be reached: the value was not taken, try again later',
}

export interface MirrorParts {
  router: Router
  store: UplinkStore
  /** Changes of own params, and of those of others. */
  owned: Outbox
  remote: Outbox
  /** Writer of what comes from the hub. */
  hubWriter: string
}

/**
 * Which addresses are the uplink's business, and what is known of each. It hears of every change of the router's params;
 * those made here are marked and queued, those that came from the hub are not (federation.md §13.5.1).
 */
export class Mirror implements StateObserver {
  /** Own records of the leaf, with a slash at the end: they are no part of what is mirrored. */
  readonly controlPrefix: string
  /** Whether the hub takes changes now. */
  isActive = false
  /** The wall clock can be compared with that of the process before this one. */
  isClockSteady = true
  /** Changes that were given up with the param, because the router had no room for it. */
  evictedChanges = 0
  /** Values of the hub that were not taken, for the same reason. */
  unheld = 0
  readonly records = new Map<string, MirrorRecord>()
  /** Comparisons with the hub so far, of all connections: `MirrorRecord.seen` tells in which one it was met last. */
  comparisons = 0
  private readonly parts: MirrorParts
  private readonly namespaces: Namespaces
  private readonly writable: readonly Pattern[]
  private readonly readable: readonly Pattern[]
  private readonly policy: UplinkPolicy
  private readonly foreign: MirrorRecord

  constructor(options: LeafOptions, routerId: string, parts: MirrorParts) {
    this.parts = parts
    this.controlPrefix = `${controlRoot(options.namespaces) ?? ''}/_leaf/${routerId}/`
    this.namespaces = new Namespaces(options.namespaces)
    this.writable = options.writeRemote.map(parsed)
    this.readable = options.subscribe.map(parsed)
    this.policy = new UplinkPolicy(options.policy)
    this.foreign = new MirrorRecord(this, '', 'foreign', this.policy.of('/', false))
  }

  /** Takes up what is stored and what the router holds already. Values without a mark count as changed here. */
  load(): void {
    const { router, store } = this.parts
    for (const [address, mark] of store.marks()) {
      const record = this.recordAt(address)
      if (record.kind === 'foreign') continue
      record.hubRevision = mark.hubRevision
      record.flags = mark.flags
      record.editedAtUs = mark.editedAtUs
      record.mayBeAtHub = true
      // What has gone here has no entry, but its mark is to be cleared one day.
      const bytes = encoder.encode(address)
      record.entry = router.intern(bytes, 0, bytes.length)
      if (record.entry !== null) record.entry.uplinkSlot = record
    }
    const known = new Set(this.records.keys())
    for (const param of router.store.params) {
      const record = this.recordOf(param.entry)
      if (record.kind !== 'owned' || known.has(record.address)) continue
      record.flags = MarkFlag.dirty
      record.editedAtUs = param.timestampUs >= EARLIEST_US ? param.timestampUs : 0
    }
    for (const record of this.records.values()) if (record.isDirty) this.outboxOf(record).add(record)
    store.describe = this.describe
  }

  onSet(entry: AddressEntry, param: Param): void {
    const record = this.recordOf(entry)
    if (record.kind === 'foreign' || record.kind === 'mirrored') return
    if (param.writer.id === this.parts.hubWriter) return
    if (!this.isActive && !record.rule.isKept) return
    const { router } = this.parts
    record.flags = MarkFlag.dirty
    record.editedAtMs = router.now
    record.editedAtUs = router.wallUs >= EARLIEST_US ? router.wallUs : 0
    if (!record.isQueued) this.outboxOf(record).add(record)
  }

  onRemoved(entry: AddressEntry, param: Param): void {
    const record = this.recordOf(entry)
    if (record.kind !== 'owned') {
      if (record.kind !== 'foreign' && record.inFlight === null) this.forget(record)
      return
    }
    const { router, store } = this.parts
    // Not the time of the turn: params also expire when they are read outside of one.
    if (param.expiresAt > router.clock.now()) {
      // It had to make room here; at the hub it stays.
      if (record.isDirty) this.evictedChanges++
      this.forget(record)
      return
    }
    if (record.hubRevision === 0 && !record.mayBeAtHub) {
      this.forget(record)
      return
    }
    record.flags = MarkFlag.dirty | MarkFlag.deleted
    record.editedAtMs = router.now
    record.editedAtUs = router.wallUs >= EARLIEST_US ? router.wallUs : 0
    store.markChanged(entry)
    this.outboxOf(record).add(record)
  }

  refusal(entry: AddressEntry): WriteRefusal | null {
    if (this.isActive) return null
    const slot = entry.uplinkSlot as MirrorRecord | null
    // A write that is refused must leave nothing behind: anybody can make up addresses.
    if (slot === null || slot.mirror !== this) return this.isRefusedAway(entry.text) ? HUB_AWAY : null
    return slot.kind === 'remote' && !slot.rule.isKept ? HUB_AWAY : null
  }

  /** The record of an address, made if need be. */
  recordAt(address: string): MirrorRecord {
    const known = this.records.get(address)
    if (known !== undefined) return known
    const kind = this.kindOf(address)
    if (kind === 'foreign') return this.foreign
    const record = new MirrorRecord(this, address, kind, this.policy.of(address, kind === 'owned'))
    this.records.set(address, record)
    return record
  }

  /**
   * The record of an address that the hub speaks of; null when it is none of ours, or when the router has no room for
   * more params: a hub that never ends must not push out what is here.
   */
  recordFromHub(address: string): MirrorRecord | null {
    const known = this.records.get(address)
    if (known !== undefined) return known
    const { store, options } = this.parts.router
    if (Math.max(store.params.length, this.records.size) >= options.maxParams) {
      if (this.kindOf(address) !== 'foreign') this.unheld++
      return null
    }
    const record = this.recordAt(address)
    return record.kind === 'foreign' ? null : record
  }

  /** The param at a record's address as the router has it now, null = none. */
  paramOf(record: MirrorRecord): Param | null {
    const { router } = this.parts
    if (record.entry === null || !record.entry.isKnown) record.entry = router.lookup(record.address)
    const { entry } = record
    if (entry === null) return null
    if (!record.isForgotten) entry.uplinkSlot = record
    const { param } = entry
    return param === null || param.expiresAt <= router.clock.now() ? null : param
  }

  /** Nothing is left to be told to the hub. */
  clean(record: MirrorRecord): void {
    record.flags &= MarkFlag.fromHub
    this.changed(record)
  }

  /** To be told to the hub, by itself if it has to. */
  dirty(record: MirrorRecord, flags: number = MarkFlag.dirty): void {
    record.flags = flags
    this.changed(record)
    this.outboxOf(record).add(record)
  }

  /** The mark has changed without a write here. */
  changed({ entry }: MirrorRecord): void {
    if (entry !== null) this.parts.store.markChanged(entry)
  }

  forget(record: MirrorRecord): void {
    record.flags = 0
    record.isForgotten = true
    this.records.delete(record.address)
    if (record.entry !== null) {
      if (record.entry.uplinkSlot === record) record.entry.uplinkSlot = null
      this.parts.store.markChanged(record.entry)
    }
  }

  /** When the value was last written here, as the hub's clock would have shown it, µs; 0 = not known. */
  editedAtHubUs(record: MirrorRecord, offsetUs: number): number {
    const { clock } = this.parts.router
    // Within the process the monotonic clock tells, whatever became of the wall clock.
    if (record.editedAtMs >= 0) return clock.wallUs() + offsetUs - (clock.now() - record.editedAtMs) * 1000
    return record.editedAtUs === 0 || !this.isClockSteady ? 0 : record.editedAtUs + offsetUs
  }

  isOwned(address: string): boolean {
    return this.kindOf(address) === 'owned'
  }

  /** The hub was asked for all params of such addresses of others. */
  isMirrored(address: string): boolean {
    for (const pattern of this.readable) if (pattern.matches(address)) return true
    return false
  }

  kindOf(address: string): MirrorKind {
    if (address.startsWith('/_clasp/') || address.startsWith(this.controlPrefix)) return 'foreign'
    if (this.namespaces.matches(address)) return 'owned'
    for (const pattern of this.writable) if (pattern.matches(address)) return 'remote'
    return this.isMirrored(address) ? 'mirrored' : 'foreign'
  }

  outboxOf({ kind }: MirrorRecord): Outbox {
    return kind === 'owned' ? this.parts.owned : this.parts.remote
  }

  private isRefusedAway(address: string): boolean {
    return this.kindOf(address) === 'remote' && !this.policy.of(address, false).isKept
  }

  private recordOf(entry: AddressEntry): MirrorRecord {
    const slot = entry.uplinkSlot as MirrorRecord | null
    if (slot !== null && slot.mirror === this) return slot
    const record = this.recordAt(entry.text)
    entry.uplinkSlot = record
    if (record.kind !== 'foreign') record.entry = entry
    return record
  }

  private readonly describe = (entry: AddressEntry): UplinkMark | null => {
    const slot = entry.uplinkSlot as MirrorRecord | null
    if (slot === null || slot.mirror !== this) return this.records.get(entry.text) ?? null
    return slot.kind === 'foreign' ? null : slot
  }
}

function parsed(text: string): Pattern {
  const pattern = Pattern.parse(text)
  if (typeof pattern === 'string') throw new Error(`pattern ${text}: ${pattern}`)
  return pattern
}
