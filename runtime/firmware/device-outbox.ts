/** Hot path. */

import { ExtendedBit, LinkType, Op } from '../../firmware-protocol/link/constants.ts'
import { putLinkValue, readLinkValue } from '../../firmware-protocol/link/link-value.ts'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import type { Alias } from './alias.ts'

/** Records that must all arrive and wait for the window; older ones give way. */
const MAX_RECORDS = 128
const LARGEST_VALUE_BYTES = 1024

/** Counters only grow. */
export interface OutboxCounters {
  /** Values that took the place of one that had not left yet. */
  coalesced: number
  /** Values that cannot be what the device declared, or that fit into none of its frames. */
  inconvertible: number
  /** Events and answers that gave way to newer ones. */
  dropped: number
}

/**
 * What waits for a device: of a param or a stream the newest value, of everything else each record in its order. It
 * takes no more memory, however slow the line is and however fast others write.
 */
export class DeviceOutbox {
  readonly counters: OutboxCounters = { coalesced: 0, inconvertible: 0, dropped: 0 }
  private readonly records: Uint8Array[] = []
  /** In the order in which they became pending. */
  private readonly reliable: Alias[] = []
  private readonly lossy: Alias[] = []
  private readonly scratch = new Uint8Array(LARGEST_VALUE_BYTES)

  get isEmpty(): boolean {
    return this.records.length === 0 && this.reliable.length === 0 && this.lossy.length === 0
  }

  /** A record of its own, complete. */
  add(record: Uint8Array): void {
    if (this.records.length >= MAX_RECORDS) {
      this.records.shift()
      this.counters.dropped++
    }
    this.records.push(record)
  }

  /** The device's signal has this value now. False: it is what the device has, or nothing that it can take. */
  set(alias: Alias, value: Value, isInitial: boolean): boolean {
    const { scratch, counters } = this
    scratch[0] = 0
    const end = putLinkValue(scratch, 0, 1, scratch.length, alias.declaration.type, value)
    if (end < 0) {
      counters.inconvertible++
      return false
    }
    if (!isInitial && isSame(alias.known, scratch, end)) return false
    alias.known = stored(alias.known, scratch, end)
    alias.pending = stored(alias.pending, scratch, end)
    alias.isInitial = isInitial
    if (alias.isPending) {
      counters.coalesced++
      return true
    }
    alias.isPending = true
    if (alias.declaration.kind === 'stream') this.lossy.push(alias)
    else this.reliable.push(alias)
    return true
  }

  /** The device itself has said this: its type and value bytes. What waited for it is older. */
  heard(alias: Alias, type: number, bytes: Uint8Array, start: number, end: number): void {
    const { scratch } = this
    const declared = alias.declaration.type
    let length = end - start + 1
    scratch[0] = type
    if (type !== LinkType.true && type !== LinkType.false && (type !== declared || type === LinkType.bool)) {
      // To be compared with what the router sends, it must be as it would be sent.
      length = putLinkValue(scratch, 0, 1, scratch.length, declared, readLinkValue(bytes, start, type))
    } else if (length <= scratch.length) {
      for (let i = 1; i < length; i++) scratch[i] = bytes[start + i - 1]
    }
    alias.known = length < 0 || length > scratch.length ? EMPTY : stored(alias.known, scratch, length)
    alias.pending = EMPTY
  }

  /** Writes what is to go next into `out[at, limit)`; returns the offset behind it. */
  pull(out: Uint8Array, at: number, limit: number, isReliable: boolean): number {
    let to = at
    if (isReliable) {
      const { records } = this
      let taken = 0
      for (; taken < records.length; taken++) {
        const record = records[taken]
        if (to + record.length <= limit) {
          out.set(record, to)
          to += record.length
        } else if (at + record.length <= limit) break
        // One that is larger than any frame of this device must not hold up the rest.
        else this.counters.inconvertible++
      }
      if (taken > 0) records.splice(0, taken)
      if (records.length > 0) return to
    }
    const queue = isReliable ? this.reliable : this.lossy
    let taken = 0
    while (taken < queue.length) {
      const alias = queue[taken]
      const { pending, isInitial, id } = alias
      alias.isPending = false
      taken++
      // The device has said something newer itself.
      if (pending.length === 0) continue
      const need = pending.length + (id < 0x80 ? 1 : 2) + (isInitial ? 1 : 0)
      if (to + need > limit) {
        if (to > at) {
          alias.isPending = true
          taken--
          break
        }
        this.counters.inconvertible++
      } else {
        const op = isInitial ? Op.extended : isReliable ? Op.value : Op.stream
        out[to++] = (op << 4) | pending[0]
        if (id >= 0x80) out[to++] = 0x80 | (id >>> 8)
        out[to++] = id
        if (isInitial) out[to++] = ExtendedBit.initial
        for (let i = 1; i < pending.length; i++) out[to++] = pending[i]
      }
    }
    if (taken > 0) queue.splice(0, taken)
    return to
  }

  clear(): void {
    this.records.length = 0
    for (const queue of [this.reliable, this.lossy]) {
      for (const alias of queue) alias.isPending = false
      queue.length = 0
    }
  }
}

const EMPTY = new Uint8Array(0)

function isSame(known: Uint8Array, bytes: Uint8Array, length: number): boolean {
  if (known.length !== length) return false
  for (let i = 0; i < length; i++) if (known[i] !== bytes[i]) return false
  return true
}

/** Reuses the memory where the length is the same: values of one signal rarely change their size. */
function stored(memory: Uint8Array, bytes: Uint8Array, length: number): Uint8Array {
  if (memory.length !== length) return bytes.slice(0, length)
  for (let i = 0; i < length; i++) memory[i] = bytes[i]
  return memory
}
