/** Hot path: `find` runs for every SET and PUBLISH. */

import { decodeUtf8 } from '../../firmware-protocol/wire/utf8.ts'
import type { Arena } from './arena.ts'
import type { Param } from './param.ts'
import { isReserved } from './reserved.ts'
import type { Route } from './routes.ts'

/** One known address, whatever is attached to it. */
export class AddressEntry {
  readonly text: string
  readonly hash: number
  /** The address bytes in the arena. */
  readonly ref: number
  readonly bytes: number
  /** Only parts of the router may write here. */
  readonly isReserved: boolean
  next: AddressEntry | null = null
  /** False once the table has forgotten the address: whoever kept the entry looks it up anew before writing a param. */
  isKnown = true
  param: Param | null = null
  /** Who gets what is sent to this address, as of `routeEpoch`. */
  route: Route | null = null
  routeEpoch = -1
  /** Index into the configured address policies, -1 = none, as of `policyGeneration`. */
  policy = -1
  policyGeneration = 0
  /** What the journal and the uplink keep for this address; each its own. Gone with an entry that the table forgets. */
  journalSlot: object | null = null
  uplinkSlot: object | null = null

  constructor(text: string, hash: number, ref: number, bytes: number) {
    this.text = text
    this.hash = hash
    this.ref = ref
    this.bytes = bytes
    this.isReserved = isReserved(text)
  }
}

/** Addresses without a param that are kept for their routes before the oldest half is forgotten. */
const MAX_TRANSIENT = 16_384

/**
 * Addresses by their bytes, so that a frame's address is recognised without making a string of it.
 * Entries without a param only cache a route; they are bounded, because anybody can make up addresses.
 */
export class AddressTable {
  readonly arena: Arena
  private buckets: (AddressEntry | null)[] = new Array(1024).fill(null)
  private mask = 1023
  private count = 0
  private transient: AddressEntry[] = []
  /** Unpredictable, so that nobody can choose addresses that collide. */
  private readonly seed: number

  constructor(arena: Arena, seed: number) {
    this.arena = arena
    this.seed = seed | 0
  }

  hash(bytes: Uint8Array, start: number, end: number): number {
    let h = this.seed
    let i = start
    for (; i + 4 <= end; i += 4) {
      h = Math.imul(h ^ (bytes[i] | (bytes[i + 1] << 8) | (bytes[i + 2] << 16) | (bytes[i + 3] << 24)), 0x85ebca6b)
      h ^= h >>> 15
    }
    for (; i < end; i++) h = Math.imul(h ^ bytes[i], 0xc2b2ae35)
    h ^= h >>> 13
    h = Math.imul(h, 0x27d4eb2f)
    return h ^ (h >>> 16)
  }

  find(bytes: Uint8Array, start: number, end: number, hash: number): AddressEntry | null {
    const length = end - start
    let entry = this.buckets[hash & this.mask]
    search: while (entry !== null) {
      if (entry.hash === hash && entry.bytes === length) {
        const slab = this.arena.slab(entry.ref)
        let at = this.arena.offset(entry.ref)
        for (let i = start; i < end; i++) {
          if (slab[at++] !== bytes[i]) {
            entry = entry.next
            continue search
          }
        }
        return entry
      }
      entry = entry.next
    }
    return null
  }

  /** Adds an address that `find` did not find. The bytes must be valid UTF-8. */
  add(bytes: Uint8Array, start: number, end: number, hash: number): AddressEntry {
    const entry = new AddressEntry(
      decodeUtf8(bytes, start, end),
      hash,
      this.arena.store(bytes, start, end),
      end - start,
    )
    if (++this.count > this.buckets.length) this.resize()
    const bucket = hash & this.mask
    entry.next = this.buckets[bucket]
    this.buckets[bucket] = entry
    this.transient.push(entry)
    if (this.transient.length > MAX_TRANSIENT) this.forgetTransient()
    return entry
  }

  /** Call when an entry has lost its param, so that it may be forgotten. */
  becameTransient(entry: AddressEntry): void {
    this.transient.push(entry)
  }

  get size(): number {
    return this.count
  }

  private forgetTransient(): void {
    const half = this.transient.length >>> 1
    const kept: AddressEntry[] = []
    for (let i = 0; i < this.transient.length; i++) {
      const entry = this.transient[i]
      if (entry.param !== null) continue
      if (i >= half) kept.push(entry)
      else this.remove(entry)
    }
    this.transient = kept
  }

  private remove(entry: AddressEntry): void {
    const bucket = entry.hash & this.mask
    let previous: AddressEntry | null = null
    let current = this.buckets[bucket]
    while (current !== null && current !== entry) {
      previous = current
      current = current.next
    }
    if (current === null) return
    if (previous === null) this.buckets[bucket] = entry.next
    else previous.next = entry.next
    entry.isKnown = false
    this.arena.release(entry.ref, entry.bytes)
    this.count--
  }

  private resize(): void {
    const bigger: (AddressEntry | null)[] = new Array(this.buckets.length * 2).fill(null)
    const mask = bigger.length - 1
    for (let entry of this.buckets) {
      while (entry !== null) {
        const next: AddressEntry | null = entry.next
        entry.next = bigger[entry.hash & mask]
        bigger[entry.hash & mask] = entry
        entry = next
      }
    }
    this.buckets = bigger
    this.mask = mask
  }
}
