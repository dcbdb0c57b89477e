import { FIRST_HOST_ID, LAST_ID } from '../../firmware-protocol/link/constants.ts'
import type { Declaration } from '../../firmware-protocol/link/descriptor.ts'
import { naturalType } from '../../firmware-protocol/link/link-value.ts'
import type { Signal } from '../../firmware-protocol/wire/message.ts'
import { Pattern } from '../../firmware-protocol/wire/pattern.ts'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import { Alias } from './alias.ts'

const MAX_PATTERNS = 32
/** Addresses that the patterns of one device may match. */
const MAX_MATCHES = 256
const LONGEST_ADDRESS = 255

/** What a device subscribes to besides its own signals, and the ids under which it gets to know what matches. */
export class DevicePatterns {
  private readonly patterns = new Map<number, Pattern>()
  private readonly matches = new Map<number, Alias>()

  /** The slots that are in use. */
  get slots(): number[] {
    return [...this.patterns.keys()]
  }

  has(slot: number): boolean {
    return this.patterns.has(slot)
  }

  /** False: it is no pattern, or there are too many. */
  set(slot: number, text: string): boolean {
    const pattern = Pattern.parse(text)
    if (typeof pattern === 'string' || (!this.patterns.has(slot) && this.patterns.size >= MAX_PATTERNS)) return false
    this.patterns.set(slot, pattern)
    return true
  }

  delete(slot: number): boolean {
    return this.patterns.delete(slot)
  }

  matchesAny(address: string): boolean {
    for (const pattern of this.patterns.values()) if (pattern.matches(address)) return true
    return false
  }

  /** A stand-in for a matched address; null where its value or address fits into no record, or there are too many. */
  match(address: string, value: Value, kind: Signal): Alias | null {
    const type = naturalType(value)
    if (type < 0 || this.matches.size >= MAX_MATCHES || Buffer.byteLength(address) > LONGEST_ADDRESS) return null
    let id = FIRST_HOST_ID
    while (this.matches.has(id) && id < LAST_ID) id++
    const declaration: Declaration = { id, type, kind, publishes: false, isWritable: true, address }
    const alias = new Alias(declaration, '')
    this.matches.set(id, alias)
    return alias
  }

  /** Forgets the ids that were told; returns what they stood for. */
  forgetMatches(): Alias[] {
    const forgotten = [...this.matches.values()]
    this.matches.clear()
    return forgotten
  }
}
