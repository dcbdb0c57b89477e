/** Hot path: `changed`. */

import type { Timer } from '../router/clock.ts'
import { Durability } from './durability.ts'
import { PendingList } from './pending-list.ts'
import type { Slot } from './slot.ts'
import type { StateWriter, StateWriterParts } from './state-writer.ts'

/** Params, entries and events in one commit: what is serialised in one go must not hold up the event loop. */
const MAX_PARAMS = 2000
const MAX_SYNC_PARAMS = 5000
const MAX_ENTRIES = 4000
const MAX_EVENTS = 1000
/** Nor must large values: a batch that has reached this size takes no further params. */
const MAX_BATCH_BYTES = 1_048_576
/** A stop is in a hurry, and nobody waits for an answer any more. */
const MAX_FINAL_PARAMS = 20_000
/** Changes that come together are gathered so long, ms. */
const GATHER_MS = 100
/** Busy addresses are looked at so often; one that was silent for so many seconds has come to rest. */
const REST_CHECK_MS = 1000
const REST_SECONDS = 3
/** So many of which some have gone bring a checkpoint on. */
const MAX_PARKED = 100_000
/** Credit that is left, and when. */
export const WEAR_META = 'wear'

export interface CommitterParts extends StateWriterParts {
  writer: StateWriter
  /** Hands a batch to the database thread. */
  send(id: number, batch: ArrayBuffer): void
  /** Everything up to this ticket is stored. */
  onDurable(ticket: number): void
  /** What waits for this ticket or one before is not stored for now. */
  onNotStored(ticket: number): void
}

/** Who wants to know when the commit `commit` and all up to `entries` of the history are stored. */
interface Waiting {
  commit: number
  entries: number
  done(isStored: boolean): void
}

/**
 * Decides what is written when: params wait in lists by their class, and a commit takes the newest value of each that is
 * due. One commit is under way at a time; what comes meanwhile gathers for the next.
 */
export class Committer {
  private readonly parts: CommitterParts
  private readonly writer: StateWriter
  private readonly urgent = new PendingList()
  private readonly prompt = new PendingList()
  private readonly calm = new PendingList()
  private readonly restless = new PendingList()
  private readonly parked = new PendingList()
  /** When the first of each waits long enough, monotonic ms; Infinity = none waits. */
  private promptAt = Infinity
  private calmAt = Infinity
  private restAt = Infinity
  private checkpointAt = Infinity
  /** From the front of the lists, what the checkpoint under way is for: what changes meanwhile is for the next one. */
  private overdueRestless = 0
  private overdueParked = 0
  private isFlushing = false
  private isOpen = false
  private timer: Timer | null = null
  private timerAt = Infinity
  private commits = 0
  /** Id of the commit under way, 0 = none, and the last ticket that it covers. */
  private underWay = 0
  private coveredTicket = 0
  private lastTicket = 0
  private durableTicket = 0
  private startedAt = Number.NEGATIVE_INFINITY
  private isTurnScheduled = false
  private readonly waiting: Waiting[] = []
  /** Of the last commit that was stored, and how many there have been. */
  lastCommitMs = 0
  stored = 0

  constructor(parts: CommitterParts) {
    this.parts = parts
    this.writer = parts.writer
  }

  get isCommitting(): boolean {
    return this.underWay !== 0
  }

  /** Params that wait for a commit. */
  get pending(): number {
    const { urgent, prompt, calm, restless, parked } = this
    return urgent.size + prompt.size + calm.size + restless.size + parked.size + this.writer.taken.length
  }

  /** The param of a slot that is not pending has changed. */
  changed(slot: Slot): void {
    slot.isPending = true
    const { durability } = slot
    if (durability === Durability.auto) {
      if (slot.isBusy) this.unsettle(slot)
      else {
        this.calm.push(slot)
        if (this.calmAt === Infinity) this.calmAt = this.arm(this.unpromisedAt())
      }
    } else if (durability === Durability.memory) this.park(slot)
    else if (durability === Durability.batched) {
      this.prompt.push(slot)
      if (this.promptAt === Infinity) this.promptAt = this.arm(this.promisedAt())
    } else {
      slot.ticket = this.lastTicket + 1
      this.urgent.push(slot)
      this.soon()
    }
  }

  /** Written at the next checkpoint, if not before. */
  park(slot: Slot): void {
    if (slot.isParked) return
    slot.isParked = true
    this.parked.push(slot)
    if (this.checkpointAt === Infinity) this.checkpointAt = this.arm(this.nextCheckpoint())
    else if (slot.isOrphan && this.parked.size > MAX_PARKED) this.checkpointAt = this.arm(this.parts.clock.now())
  }

  /** A ticket for a SET whose ACK waits; its slot is pending. */
  ticket(): number {
    this.soon()
    return ++this.lastTicket
  }

  /** The history or the uplink has something that waits. */
  nudge(): void {
    if (this.calmAt === Infinity) this.calmAt = this.arm(this.unpromisedAt())
  }

  /**
   * Calls back when what has happened up to now is in the history, or cannot be. While the write budget is used up, what
   * waits is not written for that: those who ask often would use up the card.
   */
  whenRecorded(done: (isStored: boolean) => void): void {
    const { history } = this.parts
    if (!this.isOpen) done(false)
    else if (this.parts.wear.spares || (history.stored === history.added && !this.hasUnrecorded)) done(true)
    else {
      this.waiting.push({ commit: this.commits + 1, entries: history.added, done })
      this.isFlushing = true
      this.soon()
    }
  }

  /** The database takes commits. */
  open(): void {
    this.isOpen = true
    const now = this.parts.clock.now()
    // What waited for the database has waited long enough.
    if (this.prompt.size > 0) this.promptAt = now
    if (this.calm.size > 0 || this.parts.history.waiting > 0 || this.parts.uplink.hasUnsaved) this.calmAt = now
    this.proceed()
  }

  /** The database takes no commits any more; the one under way is void. */
  close(): void {
    this.isOpen = false
    this.underWay = 0
    const { history, uplink } = this.parts
    history.takeBack()
    uplink.takeBack()
    for (const slot of this.writer.taken) {
      slot.isStored = false
      if (!slot.isPending) this.changed(slot)
    }
    this.writer.taken.length = 0
    this.timer?.cancel()
    this.timer = null
    this.timerAt = Infinity
    this.refuse()
    this.answer(0)
  }

  committed(id: number, bytes: number): void {
    if (id !== this.underWay) return
    const { history, uplink, wear, clock } = this.parts
    this.underWay = 0
    this.stored++
    this.writer.taken.length = 0
    const now = clock.now()
    this.lastCommitMs = now - this.startedAt
    history.confirm()
    uplink.confirm()
    wear.spend(bytes, now)
    this.release()
    this.answer(id)
    this.proceed()
  }

  /** Writes everything that differs from the database; calls back when nothing is left, or when the database is away. */
  finish(done: () => void): void {
    this.writer.isFinal = true
    const { router } = this.parts
    for (const param of router.store.params) {
      const slot = param.entry.journalSlot as Slot | null
      if (slot !== null && !slot.isPending && slot.storedRevision !== param.revision) this.changed(slot)
    }
    const step = (): void => {
      if (!this.isOpen) done()
      else if (this.underWay === 0 && !this.proceed()) done()
      else this.waiting.push({ commit: this.commits, entries: 0, done: step })
    }
    step()
  }

  private unsettle(slot: Slot): void {
    this.restless.push(slot)
    if (this.restAt === Infinity) this.restAt = this.arm(this.parts.clock.now() + REST_CHECK_MS)
    if (this.checkpointAt === Infinity) this.checkpointAt = this.arm(this.nextCheckpoint())
  }

  private nextCheckpoint(): number {
    const { clock, wear, checkpointMs } = this.parts
    const now = clock.now()
    return now + Math.max(checkpointMs, wear.intervalMs(now))
  }

  /** Addresses that are about to be written may bring an entry with them. */
  private get hasUnrecorded(): boolean {
    return this.underWay !== 0 || this.prompt.size > 0 || this.calm.size > 0
  }

  /** When a commit may start that was promised within a second. */
  private promisedAt(): number {
    return Math.max(this.parts.clock.now() + GATHER_MS, this.startedAt + 900)
  }

  private unpromisedAt(): number {
    const now = this.parts.clock.now()
    return Math.max(now + GATHER_MS, this.startedAt + this.parts.wear.intervalMs(now))
  }

  /** The earliest time counts. Returns `at`. */
  private arm(at: number): number {
    if (!this.isOpen || this.timerAt <= at) return at
    this.timer?.cancel()
    this.timerAt = at
    this.timer = this.parts.clock.timer(at - this.parts.clock.now(), () => {
      this.timer = null
      this.timerAt = Infinity
      this.proceed()
    })
    return at
  }

  /** At the end of this turn, when everything that came with it has been applied. */
  private soon(): void {
    if (this.isTurnScheduled) return
    this.isTurnScheduled = true
    this.parts.clock.afterTurn(() => {
      this.isTurnScheduled = false
      if (this.isOpen) this.proceed()
      else this.refuse()
    })
  }

  /** Starts the next commit if something is due, else waits for it. True when one is under way. */
  private proceed(): boolean {
    if (!this.isOpen) return false
    if (this.underWay !== 0) return true
    const { clock, history, uplink, wear } = this.parts
    const now = clock.now()
    this.collect(now)
    if (this.writer.batch.records > 0) {
      this.writeWear(now)
      this.underWay = ++this.commits
      this.startedAt = now
      this.parts.send(this.underWay, this.writer.batch.take())
      return true
    }
    this.release()
    this.answer(Infinity)
    if (this.calmAt === Infinity && (history.waiting > 0 || uplink.hasUnsaved)) {
      this.calmAt = Math.max(now + GATHER_MS, this.startedAt + wear.intervalMs(now))
    }
    this.arm(Math.min(this.promptAt, this.calmAt, this.restAt, this.checkpointAt))
    return false
  }

  /** Serialises what is due. */
  private collect(now: number): void {
    const { history, uplink, wear } = this.parts
    this.coveredTicket = this.drainUrgent()
    let room = this.writer.isFinal ? MAX_FINAL_PARAMS : MAX_PARAMS
    if (this.promptAt <= now || this.isFlushing || this.writer.isFinal) {
      room = this.drain(this.prompt, room)
      this.promptAt = this.prompt.size > 0 ? now : Infinity
    }
    const isUnpromisedDue = this.calmAt <= now || (this.isFlushing && !wear.spares) || this.writer.isFinal
    if (isUnpromisedDue) {
      room = this.drain(this.calm, room)
      this.calmAt = this.calm.size > 0 ? now : Infinity
    }
    const isCheckpoint = this.checkpointAt <= now || this.writer.isFinal
    if (isCheckpoint) this.checkpoint(now, room)
    else if (this.restAt <= now) this.settle(now, room)
    if (isUnpromisedDue || this.isFlushing || this.writer.batch.records > 0) {
      history.handOver(MAX_ENTRIES, this.writer.writeEntry)
      uplink.write(this.writer.batch, MAX_EVENTS)
      this.isFlushing = this.waiting.some(({ entries }) => entries > history.added - history.waiting)
    }
  }

  /** Returns the last ticket that has nothing left to wait for. */
  private drainUrgent(): number {
    for (let left = MAX_SYNC_PARAMS; left > 0; left--) {
      if (this.isFull) break
      const slot = this.urgent.shift()
      if (slot === null) return this.lastTicket
      this.writer.write(slot)
    }
    const next = this.urgent.first()
    // Tickets below that were given to slots further ahead.
    return next === null ? this.lastTicket : next.ticket - 1
  }

  private drain(list: PendingList, room: number): number {
    for (; room > 0 && !this.isFull; room--) {
      const slot = list.shift()
      if (slot === null) break
      if (list === this.calm && slot.isBusy && slot.isStored && !this.writer.isFinal) this.unsettle(slot)
      else this.writer.write(slot)
    }
    return room
  }

  private get isFull(): boolean {
    return this.writer.batch.size >= MAX_BATCH_BYTES
  }

  /** Writes what is busy and what is parked, in as many commits as it takes. */
  private checkpoint(now: number, room: number): void {
    const { restless, parked } = this
    if (this.overdueRestless + this.overdueParked === 0) {
      this.overdueRestless = restless.size
      this.overdueParked = parked.size
    }
    for (; room > 0 && this.overdueRestless > 0 && !this.isFull; room--, this.overdueRestless--)
      this.writer.write(restless.shift() as Slot)
    for (; room > 0 && this.overdueParked > 0 && !this.isFull; room--, this.overdueParked--) {
      const slot = parked.shift() as Slot
      slot.isParked = false
      // One that waits elsewhere too is written from there.
      if (!slot.isPending || slot.durability === Durability.memory) this.writer.write(slot)
    }
    this.restAt = restless.size > 0 ? now + REST_CHECK_MS : Infinity
    if (this.overdueRestless + this.overdueParked > 0) this.checkpointAt = now
    else this.checkpointAt = restless.size + parked.size > 0 ? this.nextCheckpoint() : Infinity
  }

  /** Writes busy addresses that have come to rest; without credit they wait for the checkpoint. */
  private settle(now: number, room: number): void {
    const { restless } = this
    const second = Math.floor(now / 1000)
    if (this.parts.wear.spares) room = 0
    for (let left = restless.size; left > 0; left--) {
      const slot = restless.shift() as Slot
      if (room > 0 && !this.isFull && second - slot.second >= REST_SECONDS) {
        this.writer.write(slot)
        room--
      } else restless.push(slot)
    }
    this.restAt = restless.size > 0 ? now + REST_CHECK_MS : Infinity
  }

  /** Rides along with other records, so that the budget goes on after a restart. */
  private writeWear(now: number): void {
    if (!this.writer.isFinal && this.commits % 256 !== 0) return
    this.writer.batch.meta(WEAR_META, `${this.parts.wear.creditBytes(now)} ${this.parts.clock.wallUs()}`)
  }

  /** ACKs that nothing holds up any more go out. */
  private release(): void {
    if (this.coveredTicket <= this.durableTicket) return
    this.durableTicket = this.coveredTicket
    this.parts.onDurable(this.durableTicket)
  }

  private refuse(): void {
    if (this.lastTicket <= this.durableTicket) return
    this.durableTicket = this.lastTicket
    this.parts.onNotStored(this.lastTicket)
  }

  /** Tells those who wait for a commit up to this one; 0 = the database is away. */
  private answer(commit: number): void {
    const { stored } = this.parts.history
    for (const request of this.waiting.splice(0)) {
      if (commit > 0 && (request.commit > commit || request.entries > stored)) this.waiting.push(request)
      else request.done(commit > 0)
    }
  }
}
