import { SignalCode } from '../../firmware-protocol/wire/constants.ts'
import type { Clock } from '../router/clock.ts'
import { type Param, TtlMode } from '../router/param.ts'
import { BatchWriter, type ParamRecord } from './batch.ts'
import { Durability } from './durability.ts'
import type { HistoryQueue, TakeEntry } from './history-queue.ts'
import type { JournaledRouter } from './journaled-router.ts'
import type { RecordIds } from './record-ids.ts'
import { NOT_RECORDED } from './record-rules.ts'
import type { Slot } from './slot.ts'
import type { Slots } from './slots.ts'
import type { StoredUplink } from './stored-uplink.ts'
import { hashValue } from './value-hash.ts'
import type { WearBudget } from './wear.ts'

const SEED_A = 0x2545f491
const SEED_B = 0x6c078965
const NOTHING = new Uint8Array(0)

export interface StateWriterParts {
  router: JournaledRouter
  clock: Clock
  slots: Slots
  ids: RecordIds
  history: HistoryQueue
  wear: WearBudget
  uplink: StoredUplink
  checkpointMs: number
}

/** Serialises what a commit takes along: the newest state of each address, unless the database has it already. */
export class StateWriter {
  readonly batch = new BatchWriter()
  /** Slots whose state is in the batch, or in the commit under way. */
  readonly taken: Slot[] = []
  /** Clean stop: revision and time of repeated values are written too. */
  isFinal = false
  /** States that were not written because they were stored already. */
  unchanged = 0
  /** Entries that gave way to the wear budget. */
  spared = 0
  private readonly parts: StateWriterParts

  constructor(parts: StateWriterParts) {
    this.parts = parts
  }

  write(slot: Slot): void {
    slot.isPending = false
    const param = slot.entry === null ? null : slot.entry.param
    if (param === null) {
      this.writeRemoved(slot)
      return
    }
    const { router, slots, ids, uplink, clock } = this.parts
    if (slot.isOrphan) slots.adopt(slot)
    const value = router.store.value(param)
    const { valueCode, ttlMode, revision, timestampUs } = param
    const a = stateHash(SEED_A, value, valueCode, ttlMode, param.ttlMs)
    const b = stateHash(SEED_B, value, valueCode, ttlMode, param.ttlMs)
    const now = clock.now()
    const isSame = slot.isStored && slot.hashA === a && slot.hashB === b
    if (isSame && !this.mustRewrite(slot, param, now)) {
      this.unchanged++
      return
    }
    const mark = uplink.describe?.(param.entry) ?? null
    const author = ids.author(param.writer.id, this.batch)
    const address = ids.address(slot, this.batch)
    const ttlMs = ttlMode === TtlMode.absolute ? this.absoluteTtlMs(param, now) : param.ttlMs
    this.batch.param(address, author, valueCode, false, revision, timestampUs, ttlMode, ttlMs, value, mark)
    slot.isStored = true
    slot.hashA = a
    slot.hashB = b
    slot.storedRevision = revision
    slot.storedSecond = Math.floor(now / 1000)
    slot.isMarkChanged = false
    this.taken.push(slot)
    if (slot.isUnrecorded) this.record(slot, param, value)
  }

  /** The database holds this state of a slot. */
  isStoredAs(slot: Slot, { value, code, ttlMode, ttlMs, revision }: ParamRecord): void {
    slot.isStored = true
    slot.hashA = stateHash(SEED_A, value, code, ttlMode, ttlMs)
    slot.hashB = stateHash(SEED_B, value, code, ttlMode, ttlMs)
    slot.storedRevision = revision
    slot.storedSecond = Math.floor(this.parts.clock.now() / 1000)
    slot.entryHash = hashValue(value, 0, value.length, code, 0)
  }

  readonly writeEntry: TakeEntry = (slot, author, signal, code, revision, timestampUs, source, start, end) => {
    const { ids } = this.parts
    const by = ids.author(author.id, this.batch)
    const at = ids.address(slot, this.batch)
    this.batch.entry(at, by, signal, code, revision, timestampUs, source, start, end)
  }

  /** The value is stored; still something of it has to be written. */
  private mustRewrite(slot: Slot, param: Param, now: number): boolean {
    if (slot.isMarkChanged || slot.durability === Durability.sync) return true
    if (slot.storedRevision === param.revision) return false
    if (this.isFinal) return true
    // Repeated values only keep the param alive: after a crash its time may be short by a quarter, or a checkpoint.
    if (param.expiresAt === Infinity) return false
    const ttlMs = param.expiresAt - now
    return now - slot.storedSecond * 1000 >= Math.max(this.parts.checkpointMs, ttlMs / 4)
  }

  /** The time from the stored stamp on that is left of a time to live that later writes have not renewed. */
  private absoluteTtlMs(param: Param, now: number): number {
    if (param.expiresAt === Infinity) return param.ttlMs
    return Math.max(0, param.expiresAt - now + (this.parts.clock.wallUs() - param.timestampUs) / 1000)
  }

  private writeRemoved(slot: Slot): void {
    const { router, ids, uplink, clock } = this.parts
    const entry = slot.entry ?? router.lookup(slot.text)
    const mark = entry === null ? null : (uplink.describe?.(entry) ?? null)
    slot.isUnrecorded = false
    if (slot.lastRevision === 0 && mark === null) return
    const author = ids.author('', this.batch)
    const address = ids.address(slot, this.batch)
    this.batch.param(address, author, 0, true, slot.lastRevision, clock.wallUs(), 0, 0, NOTHING, mark)
    slot.isStored = false
    slot.isMarkChanged = false
    this.taken.push(slot)
  }

  /** One entry for what an address has been through since the last one. */
  private record(slot: Slot, param: Param, value: Uint8Array): void {
    slot.isUnrecorded = false
    if (slot.rates[SignalCode.param] === NOT_RECORDED) return
    const { writer, valueCode, revision, timestampUs } = param
    const hash = hashValue(value, 0, value.length, valueCode, 0)
    if (slot.entryHash === hash) return
    slot.entryHash = hash
    if (this.parts.wear.spares && slot.isBusy) this.spared++
    else {
      const { history } = this.parts
      history.add(slot, writer, SignalCode.param, valueCode, revision, timestampUs, value, 0, value.length)
    }
  }
}

function stateHash(seed: number, value: Uint8Array, code: number, ttlMode: number, ttlMs: number): number {
  return hashValue(value, 0, value.length, code, seed ^ Math.imul(ttlMs + ttlMode, 0x85ebca6b))
}
