import type { AddressEntry } from '../router/address-table.ts'
import type { Param } from '../router/param.ts'
import { type BatchVisitor, type ParamRecord, readBatch } from './batch.ts'
import type { Committer } from './committer.ts'
import type { JournaledRouter } from './journaled-router.ts'
import type { OpenSummary } from './messages.ts'
import type { RecordIds } from './record-ids.ts'
import type { Slot } from './slot.ts'
import type { Slots } from './slots.ts'
import type { StateWriter } from './state-writer.ts'
import type { StoredEvent, StoredUplink, UplinkMark } from './stored-uplink.ts'

/** Revisions after the n-th crash are above n times this. */
const ERA = 2 ** 32

export interface RestorerParts {
  router: JournaledRouter
  slots: Slots
  ids: RecordIds
  committer: Committer
  writer: StateWriter
  uplink: StoredUplink
}

/**
 * Takes over what an opened database holds. The first one of a process fills the router; at a later opening the router
 * knows better, and whatever differs is written again.
 */
export class Restorer implements BatchVisitor {
  private readonly parts: RestorerParts
  private hasOpened = false
  private readonly addresses = new Map<number, string>()
  private readonly authors = new Map<number, string>()
  private readonly texts = new Map<string, string>()
  private readonly events: StoredEvent[] = []
  private readonly marks: [string, UplinkMark][] = []
  private newestRevision = 0
  private floor = 0
  /** Params that came back, of the first opening. */
  restored = 0

  constructor(parts: RestorerParts) {
    this.parts = parts
  }

  meta(name: string, value: string): void {
    this.texts.set(name, value)
  }

  /** What the journal itself has stored by this name. */
  text(name: string): string | undefined {
    return this.texts.get(name)
  }

  begin(): void {
    this.parts.ids.begin()
    this.clear()
    this.texts.clear()
  }

  take(batch: ArrayBuffer): void {
    // An address is named in the batch that tells of its param.
    this.addresses.clear()
    readBatch(batch, this)
  }

  address(id: number, text: string): void {
    this.addresses.set(id, text)
  }

  author(id: number, text: string): void {
    this.authors.set(id, text)
    this.parts.ids.knowAuthor(id, text)
  }

  param(record: ParamRecord): void {
    const text = this.addresses.get(record.address)
    if (text === undefined) return
    if (record.revision > this.newestRevision) this.newestRevision = record.revision
    if (record.mark !== null && !this.hasOpened) this.marks.push([text, record.mark])
    if (!this.hasOpened && !record.isRemoved && this.restore(text, record)) return
    const known = this.parts.router.lookup(text)
    if (known !== null && known.param !== null) this.compare(known, record)
    else if (record.isRemoved) this.restoreRevision(text, record)
    // Gone since it was stored, or its time has run out.
    else this.parts.committer.park(this.orphan(text, record))
  }

  entry(): void {}

  event(id: number, expiresAtUs: number, frame: Uint8Array): void {
    this.events.push({ id, expiresAtUs, frame: frame.slice() })
  }

  eventDone(): void {}

  /** All is read. */
  finish(summary: OpenSummary): void {
    const { router, ids, uplink } = this.parts
    ids.continueFrom(summary.nextAddress, summary.nextAuthor)
    const { texts, events, marks } = this
    uplink.continueFrom(summary.nextEvent)
    uplink.restore({ texts, events: [...events], marks: [...marks] }, !this.hasOpened)
    // A database that was made anew counts its crashes anew: revisions tell how many there have been.
    const seen = summary.wasCrash ? Math.floor(this.newestRevision / ERA) + 1 : 0
    this.floor = Math.max(this.floor, summary.era * ERA, seen * ERA)
    router.setRevisionFloor(this.floor)
    if (this.hasOpened) this.findMissing()
    else for (const param of router.endRestore()) this.parts.committer.park(this.gone(param))
    this.hasOpened = true
    this.clear()
  }

  /** False when the router does not take it. */
  private restore(text: string, record: ParamRecord): boolean {
    const { router, slots, ids, writer } = this.parts
    const { code, value, revision, timestampUs, ttlMode, ttlMs } = record
    const author = this.authors.get(record.author) ?? ''
    const entry = router.restore({ address: text, code, value, revision, writer: author, timestampUs, ttlMode, ttlMs })
    if (entry === null) return false
    const slot = slots.of(entry)
    ids.know(slot, record.address)
    writer.isStoredAs(slot, record)
    this.restored++
    return true
  }

  private restoreRevision(text: string, record: ParamRecord): void {
    if (!this.hasOpened) this.parts.router.restoreRevision(text, record.revision)
    this.orphan(text, record)
  }

  private orphan(text: string, record: ParamRecord): Slot {
    const { router, slots, ids } = this.parts
    const entry = router.lookup(text)
    const slot = entry === null ? slots.ofText(text) : slots.of(entry)
    ids.know(slot, record.address)
    slot.lastRevision = Math.max(slot.lastRevision, record.revision)
    return slot
  }

  /** The router has no room for it. */
  private gone({ entry, revision }: Param): Slot {
    const { slots } = this.parts
    const slot = slots.of(entry)
    slot.lastRevision = revision
    slots.orphan(slot)
    return slot
  }

  /** The router has a param there; a removed one is then the older of the two. */
  private compare(entry: AddressEntry, record: ParamRecord): void {
    const { slots, ids, committer, writer } = this.parts
    const slot = slots.of(entry)
    ids.know(slot, record.address)
    // The router began without what is stored here, and is behind it.
    if (entry.param !== null && record.revision > entry.param.revision)
      this.floor = Math.max(this.floor, record.revision)
    slot.isStored = false
    if (!record.isRemoved) writer.isStoredAs(slot, record)
    const isSame = slot.isStored && slot.storedRevision === entry.param?.revision
    if (!isSame && !slot.isPending) committer.changed(slot)
  }

  /** What the router has and the database has not. */
  private findMissing(): void {
    const { router, slots, ids, committer } = this.parts
    for (const param of router.store.params) {
      if (param.entry.isReserved) continue
      const slot = slots.of(param.entry)
      if (slot.generation === ids.generation) continue
      slot.isStored = false
      if (!slot.isPending) committer.changed(slot)
    }
    for (const slot of slots.withoutParam()) {
      if (slot.generation !== ids.generation && slot.lastRevision > 0 && !slot.isPending) committer.park(slot)
    }
  }

  private clear(): void {
    this.addresses.clear()
    this.authors.clear()
    this.events.length = 0
    this.marks.length = 0
    this.newestRevision = 0
  }
}
