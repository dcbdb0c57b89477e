/** Hot path: `onSet` runs for every SET, `onPublish` for every PUBLISH. Measured: see `test/bench`. */

import { SignalCode } from '../../firmware-protocol/wire/constants.ts'
import type { AddressEntry } from '../router/address-table.ts'
import type { Param, Writer } from '../router/param.ts'
import type { PublishView } from '../router/publish-view.ts'
import type { Committer } from './committer.ts'
import { Durability } from './durability.ts'
import type { HistoryQueue } from './history-queue.ts'
import type { JournaledRouter } from './journaled-router.ts'
import { NOT_RECORDED, THINNED } from './record-rules.ts'
import { CALM_ENTRIES, type Slot } from './slot.ts'
import type { Slots } from './slots.ts'
import { hashValue } from './value-hash.ts'
import type { WearBudget } from './wear.ts'

const BUSY_EVENTS = 1
/** Entries without a rule of the operator in one commit while the write budget is used up: history gives way first. */
const SPARED_ENTRIES = 200

/**
 * Takes note of what happens in the router. A SET costs a mark on its address; the value is read when it is written, so a
 * thousand SETs of one address in a second are one state. The time is that of the router's turn.
 */
export class Recorder {
  private readonly router: JournaledRouter
  private readonly slots: Slots
  private readonly history: HistoryQueue
  private readonly committer: Committer
  private readonly wear: WearBudget
  /** Commits up to the last entry that was made under a budget that is used up, and such entries since. */
  private sparedCommits = 0
  private sparedEntries = 0
  /** Messages that got no entry because their address had enough of them. */
  thinned = 0

  constructor(router: JournaledRouter, slots: Slots, history: HistoryQueue, committer: Committer, wear: WearBudget) {
    this.router = router
    this.slots = slots
    this.history = history
    this.committer = committer
    this.wear = wear
  }

  /** See `Journal`. What the router tells of itself is made anew at each start, and not stored. */
  onSet(entry: AddressEntry, param: Param): number {
    if (entry.isReserved) return 0
    let slot = entry.journalSlot as Slot | null
    if (slot === null) slot = this.slots.of(entry)
    const second = Math.floor(this.router.now * 0.001)
    if (second !== slot.second) slot.beginSecond(second)
    if (slot.rates[SignalCode.param] !== NOT_RECORDED) this.recordSet(slot, param)
    if (!slot.isPending) this.committer.changed(slot)
    return slot.durability === Durability.sync ? this.committer.ticket() : 0
  }

  onPublish(entry: AddressEntry, view: PublishView, author: Writer): void {
    if (entry.isReserved) return
    let slot = entry.journalSlot as Slot | null
    if (slot === null) slot = this.slots.of(entry)
    const second = Math.floor(this.router.now * 0.001)
    if (second !== slot.second) slot.beginSecond(second)
    const rate = slot.rates[view.signal]
    if (rate === NOT_RECORDED) return
    if (!this.mayRecord(slot, rate, BUSY_EVENTS)) return
    const { code, valueAt, valueEnd } = view
    const end = code < 0 ? valueAt : valueEnd
    this.history.add(slot, author, view.signal, code, 0, this.router.wallUs, view.source, valueAt, end)
    this.committer.nudge()
  }

  onRemoved(entry: AddressEntry, param: Param): void {
    if (entry.isReserved) return
    const slot = this.slots.of(entry)
    slot.lastRevision = param.revision
    this.slots.orphan(slot)
    if (slot.isPending) return
    if (param.expiresAt <= this.router.now) this.committer.park(slot)
    // Evicted: what took its place must not be left out at the next start because this one is still stored.
    else this.committer.changed(slot)
  }

  /** What the uplink keeps with an address has changed. */
  onMark(entry: AddressEntry): void {
    if (entry.isReserved) return
    const slot = this.slots.of(entry)
    slot.isMarkChanged = true
    if (!slot.isPending) this.committer.changed(slot)
  }

  private recordSet(slot: Slot, param: Param): void {
    const rate = slot.rates[SignalCode.param]
    const isThinned = rate === THINNED
    // What is kept in memory only has no entries of its own either, unless a rule says so.
    if (isThinned && slot.durability === Durability.memory) {
      slot.isUnrecorded = true
      return
    }
    if (!this.mayRecord(slot, rate, 0)) {
      slot.isUnrecorded = true
      return
    }
    const { arena } = this.router.table
    const source = arena.slab(param.valueRef)
    const start = arena.offset(param.valueRef)
    const end = start + param.valueBytes
    if (isThinned) {
      const hash = hashValue(source, start, end, param.valueCode, 0)
      slot.isUnrecorded = false
      if (slot.entryHash === hash) return
      slot.entryHash = hash
    }
    slot.isUnrecorded = false
    const { writer, valueCode, revision, timestampUs } = param
    this.history.add(slot, writer, SignalCode.param, valueCode, revision, timestampUs, source, start, end)
    // The state that is written with it brings it along, where it is written soon.
    if (slot.durability === Durability.memory || slot.isPending || slot.isBusy) this.committer.nudge()
  }

  private mayRecord(slot: Slot, rate: number, busyEntries: number): boolean {
    if (rate === 0) return true
    let limit = rate
    if (rate === THINNED) limit = slot.isBusy ? busyEntries : slot.isFlooded ? 1 : CALM_ENTRIES
    if (slot.entries >= limit || (rate === THINNED && this.wear.spares && !this.isLeft())) {
      this.thinned++
      return false
    }
    slot.entries++
    return true
  }

  private isLeft(): boolean {
    const { stored } = this.committer
    if (stored !== this.sparedCommits) this.sparedEntries = 0
    this.sparedCommits = stored
    return ++this.sparedEntries <= SPARED_ENTRIES
  }
}
