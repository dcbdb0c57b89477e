/** Hot path: `write` runs for every SET. */

import { SetFlag, TTL_ABSOLUTE_BIT, ValueCode } from '../../firmware-protocol/wire/constants.ts'
import type { AddressEntry, AddressTable } from './address-table.ts'
import { type Arena, fitsSameBlock } from './arena.ts'
import { compareNumbers } from './bytes.ts'
import { EvictionOrder } from './eviction-order.ts'
import type { StoredParam } from './journal.ts'
import { mergeMaps } from './merge.ts'
import type { ConflictStrategy, RouterOptions } from './options.ts'
import { Param, TtlMode, type Writer } from './param.ts'
import type { Policies, ResolvedPolicy } from './policies.ts'
import type { Undo } from './undo.ts'

export const Refusal = {
  none: 0,
  revisionConflict: 1,
  lockHeld: 2,
  conflictRejected: 3,
  atCapacity: 4,
  tooLarge: 5,
} as const
export type Refusal = (typeof Refusal)[keyof typeof Refusal]

/** No expected revision, no TTL. */
export const ABSENT = -1

/** Removed addresses whose last revision is remembered, so that a param that comes back goes on counting. */
const MAX_TOMBSTONES = 10_000

/** What a SET adds to address and value at most: as SET with revision and TTL, and as the only entry of a SNAPSHOT. */
const LARGEST_ADDRESS_AND_VALUE = 65_532 - 16

/**
 * The params. `write` applies one SET by the rules of the router reference §5.2, with these corrections: only the holder
 * can unlock, a refused write changes nothing, and the wall clock decides nothing (a board may have no clock).
 */
export class Store {
  readonly params: Param[] = []
  private readonly table: AddressTable
  private readonly policies: Policies
  private readonly arena: Arena
  private readonly options: RouterOptions
  private readonly order = new EvictionOrder()
  private readonly tombstones = new Map<string, number>()
  private sweepAt = 0
  evictions = 0
  expirations = 0
  /** Set while a bundle is tried: what each write replaced, newest last. */
  undo: Undo[] | null = null
  /** What the last write stored when it merged maps, else null. */
  merged: Uint8Array | null = null
  /** The next revision of any param is above this: what a crash has taken is not counted again. */
  revisionFloor = 0
  /** Hears of params that expire or are evicted, before they go. */
  onRemoved: ((param: Param) => void) | null = null
  /** After a refused write: the current revision or the holder. */
  refusedRevision = 0
  refusedHolder = ''

  constructor(table: AddressTable, policies: Policies, options: RouterOptions) {
    this.table = table
    this.policies = policies
    this.arena = table.arena
    this.options = options
  }

  /** The live param at an address; expired ones are gone at once, not at the next sweep. */
  get(entry: AddressEntry, now: number): Param | null {
    const param = entry.param
    if (param === null) return null
    if (param.expiresAt <= now) {
      this.expire(param)
      return null
    }
    return param
  }

  /**
   * Applies a SET whose canonical value is `source[start, end)`. `expected` is the expected revision or ABSENT, `flags`
   * are those of SET, `ttl` its raw TTL field or ABSENT. Times are monotonic ms and wall clock µs.
   * A forced write asks neither for revision and lock nor for the conflict strategy.
   * A refusal leaves everything unchanged; `refusedRevision` and `refusedHolder` tell the details.
   */
  write(
    entry: AddressEntry,
    writer: Writer,
    source: Uint8Array,
    start: number,
    end: number,
    code: number,
    expected: number,
    flags: number,
    ttl: number,
    now: number,
    wallUs: number,
    isForced = false,
  ): Refusal {
    if (entry.bytes + end - start > LARGEST_ADDRESS_AND_VALUE) return Refusal.tooLarge
    this.merged = null
    const policy = this.policies.of(entry)
    let param = this.get(entry, now)
    if (param === null) {
      if (this.params.length >= this.options.maxParams && this.undo === null && !this.makeRoom())
        return Refusal.atCapacity
      param = this.create(entry, writer)
      if (this.undo !== null) this.undo.push({ param, before: null })
      param.holder = (flags & SetFlag.lock) !== 0 ? writer : null
      param.valueRef = this.arena.store(source, start, end)
      param.valueBytes = end - start
      param.valueCode = code
    } else {
      const strategy: ConflictStrategy = policy === null || isForced ? 'lww' : policy.conflict
      const refusal = isForced
        ? Refusal.none
        : this.check(param, strategy, writer, source, start, code, expected, flags)
      if (refusal !== Refusal.none) return refusal
      if (strategy === 'merge' && code === ValueCode.map && param.valueCode === ValueCode.map) {
        source = mergeMaps(this.value(param), source.subarray(start, end))
        start = 0
        end = source.length
        if (entry.bytes + end > LARGEST_ADDRESS_AND_VALUE) return Refusal.tooLarge
        this.merged = source
      }
      if (this.undo !== null) this.undo.push({ param, before: this.copyOf(param) })
      if ((flags & SetFlag.lock) !== 0) param.holder = writer
      else if ((flags & SetFlag.unlock) !== 0 && param.holder === writer) param.holder = null
      this.replaceValue(param, source, start, end)
      param.valueCode = code
      param.writer = writer
    }
    param.revision = (param.revision < this.revisionFloor ? this.revisionFloor : param.revision) + 1
    param.timestampUs = wallUs > param.timestampUs ? wallUs : param.timestampUs
    if (ttl !== ABSENT) setTtl(param, ttl)
    // An absolute time keeps running, but stops for a lock and starts when the lock is gone.
    const isRunning = param.ttlMode === TtlMode.absolute && param.holder === null && param.expiresAt !== Infinity
    if (ttl !== ABSENT || !isRunning) {
      param.expiresAt = now + this.effectiveTtlMs(param, policy)
    }
    this.order.touch(param, param.holder === null && param.ttlMode !== TtlMode.never)
    return Refusal.none
  }

  /** The encoded value. It is a view: valid until the next write. */
  value(param: Param): Uint8Array {
    return this.arena.view(param.valueRef, param.valueBytes)
  }

  /** Frees every lock that a session holds; the params' time to live starts now. */
  releaseLocks(writer: Writer, locked: Iterable<AddressEntry>, now: number): void {
    for (const entry of locked) {
      const param = entry.param
      if (param === null || param.holder !== writer) continue
      param.holder = null
      param.expiresAt = now + this.effectiveTtlMs(param, this.policies.of(entry))
      this.order.setEvictable(param, param.ttlMode !== TtlMode.never)
    }
  }

  /** Takes back everything since `undo` was set. */
  rollback(): void {
    const undo = this.undo ?? []
    this.undo = null
    for (let i = undo.length - 1; i >= 0; i--) {
      const { param, before } = undo[i]
      if (before === null) {
        this.remove(param)
        continue
      }
      this.replaceValue(param, before.value, 0, before.value.length)
      Object.assign(param, before.fields)
      this.order.setEvictable(param, param.holder === null && param.ttlMode !== TtlMode.never)
    }
  }

  /** Makes the writes since `undo` was set final, and evicts what they displaced. False (and rolled back) when full. */
  commit(): boolean {
    const excess = this.params.length - this.options.maxParams
    if (excess > 0 && !this.canEvict(excess)) {
      this.rollback()
      return false
    }
    this.undo = null
    while (this.params.length > this.options.maxParams && this.makeRoom());
    return true
  }

  /** Removes expired params, a slice a call, so that the event loop is never held up. True when a round is complete. */
  sweep(now: number): boolean {
    const stop = Math.min(this.sweepAt + 20_000, this.params.length)
    let i = this.sweepAt
    while (i < stop && i < this.params.length) {
      if (this.params[i].expiresAt <= now) this.expire(this.params[i])
      else i++
    }
    this.sweepAt = i >= this.params.length ? 0 : i
    return this.sweepAt === 0
  }

  private check(
    param: Param,
    strategy: ConflictStrategy,
    writer: Writer,
    source: Uint8Array,
    start: number,
    code: number,
    expected: number,
    flags: number,
  ): Refusal {
    if (expected !== ABSENT && expected !== param.revision) {
      this.refusedRevision = param.revision
      return Refusal.revisionConflict
    }
    if (param.holder !== null && param.holder !== writer) {
      this.refusedHolder = param.holder.id
      // Under the lock strategy a stranger's unlock is a conflict, everywhere else a held lock.
      return strategy === 'lock' && (flags & SetFlag.unlock) !== 0 ? Refusal.conflictRejected : Refusal.lockHeld
    }
    if (strategy === 'max' || strategy === 'min') {
      const slab = this.arena.slab(param.valueRef)
      const order = compareNumbers(source, start, code, slab, this.arena.offset(param.valueRef), param.valueCode)
      if (order !== undefined && !(strategy === 'max' ? order > 0 : order < 0)) return Refusal.conflictRejected
    }
    return Refusal.none
  }

  private effectiveTtlMs(param: Param, policy: ResolvedPolicy | null): number {
    if (param.ttlMode === TtlMode.never) return Infinity
    // While a session holds the lock, the param stays.
    if (param.holder !== null) return Infinity
    if (param.ttlMode !== TtlMode.standard) return param.ttlMs
    if (policy !== null && policy.ttlMs !== undefined) return policy.ttlMs
    return this.options.paramTtlSeconds === 0 ? Infinity : this.options.paramTtlSeconds * 1000
  }

  private create(entry: AddressEntry, writer: Writer): Param {
    const param = new Param(entry, writer)
    param.revision = this.tombstones.size === 0 ? 0 : (this.tombstones.get(entry.text) ?? 0)
    param.index = this.params.length
    this.params.push(param)
    entry.param = param
    return param
  }

  private replaceValue(param: Param, source: Uint8Array, start: number, end: number): void {
    if (fitsSameBlock(param.valueBytes, end - start)) {
      this.arena.write(param.valueRef, source, start, end)
    } else {
      this.arena.release(param.valueRef, param.valueBytes)
      param.valueRef = this.arena.store(source, start, end)
    }
    param.valueBytes = end - start
  }

  private copyOf(param: Param): NonNullable<Undo['before']> {
    const { valueCode, revision, writer, timestampUs, ttlMode, ttlMs, expiresAt, holder } = param
    return {
      value: this.value(param).slice(),
      fields: { valueCode, revision, writer, timestampUs, ttlMode, ttlMs, expiresAt, holder },
    }
  }

  /**
   * Puts back a param as it was stored. `expiresAt` is monotonic ms. An address that has one already is left alone. Also
   * beyond the limit, until `endRestore`: only then it is known which are the oldest.
   */
  restore(entry: AddressEntry, writer: Writer, stored: StoredParam, expiresAt: number): Param | null {
    if (entry.param !== null) return null
    const param = this.create(entry, writer)
    param.valueRef = this.arena.store(stored.value, 0, stored.value.length)
    param.valueBytes = stored.value.length
    param.valueCode = stored.code
    param.revision = stored.revision
    param.timestampUs = stored.timestampUs
    param.ttlMode = stored.ttlMode as TtlMode
    param.ttlMs = stored.ttlMs
    param.expiresAt = expiresAt
    this.order.touch(param, param.ttlMode !== TtlMode.never)
    return param
  }

  /** Brings the restored params into the order of their age, and removes and returns the oldest where they are too many. */
  endRestore(): Param[] {
    for (const param of [...this.params].sort((a, b) => a.timestampUs - b.timestampUs))
      this.order.touch(param, param.isEvictable)
    const removed: Param[] = []
    while (this.params.length > this.options.maxParams && this.order.oldest !== null) {
      removed.push(this.order.oldest)
      if (!this.makeRoom()) return []
    }
    return removed
  }

  /** The time to live of a param that was just restored, ms; Infinity = it stays. */
  lifetimeMs(entry: AddressEntry, ttlMode: number, ttlMs: number): number {
    if (ttlMode === TtlMode.never) return Infinity
    if (ttlMode !== TtlMode.standard) return ttlMs
    const policy = this.policies.of(entry)
    if (policy?.ttlMs !== undefined) return policy.ttlMs
    return this.options.paramTtlSeconds === 0 ? Infinity : this.options.paramTtlSeconds * 1000
  }

  /** The revision of an address whose param has gone, from which it goes on counting. */
  rememberRevision(address: string, revision: number): void {
    this.tombstones.delete(address)
    this.tombstones.set(address, revision)
    if (this.tombstones.size <= MAX_TOMBSTONES) return
    for (const [oldest, lastRevision] of this.tombstones) {
      this.tombstones.delete(oldest)
      // Should it come back, it goes on above that.
      if (lastRevision > this.revisionFloor) this.revisionFloor = lastRevision
      break
    }
  }

  private expire(param: Param): void {
    this.expirations++
    this.onRemoved?.(param)
    this.rememberRevision(param.entry.text, param.revision)
    this.remove(param)
  }

  private makeRoom(): boolean {
    if (this.options.eviction === 'reject') return false
    const victim = this.order.oldest
    if (victim === null) return false
    this.evictions++
    this.onRemoved?.(victim)
    this.rememberRevision(victim.entry.text, victim.revision)
    this.remove(victim)
    return true
  }

  private canEvict(count: number): boolean {
    if (this.options.eviction === 'reject') return false
    let param = this.order.oldest
    for (let i = 0; i < count; i++) {
      if (param === null) return false
      param = param.newer
    }
    return true
  }

  private remove(param: Param): void {
    const last = this.params.pop() as Param
    if (last !== param) {
      this.params[param.index] = last
      last.index = param.index
    }
    this.order.setEvictable(param, false)
    this.arena.release(param.valueRef, param.valueBytes)
    param.entry.param = null
    this.table.becameTransient(param.entry)
  }
}

/** Wire reference §6.8: 0 never, high bit absolute, else sliding seconds. */
function setTtl(param: Param, raw: number): void {
  if (raw === 0) {
    param.ttlMode = TtlMode.never
  } else if (raw >= TTL_ABSOLUTE_BIT) {
    param.ttlMode = TtlMode.absolute
    param.ttlMs = (raw - TTL_ABSOLUTE_BIT) * 1000
  } else {
    param.ttlMode = TtlMode.sliding
    param.ttlMs = raw * 1000
  }
}
