import type { AddressEntry } from './address-table.ts'

/** Who wrote a param, as SNAPSHOT tells it: the id of a session, or the name of a part of the router. */
export class Writer {
  readonly id: string
  readonly bytes: Uint8Array

  constructor(id: string) {
    this.id = id
    this.bytes = new TextEncoder().encode(id)
  }
}

export const TtlMode = { standard: 0, never: 1, sliding: 2, absolute: 3 } as const
export type TtlMode = (typeof TtlMode)[keyof typeof TtlMode]

/** The stored state of one address. Values are canonical: integers as i64, floats as f64. Router reference §5.1. */
export class Param {
  readonly entry: AddressEntry
  /** Position in the store's dense list. */
  index = 0
  valueCode = 0
  valueRef = -1
  valueBytes = 0
  revision = 0
  writer: Writer
  /** Wall clock of the last write in µs, never smaller than that of the write before. */
  timestampUs = 0
  ttlMode: TtlMode = TtlMode.standard
  ttlMs = 0
  /** Monotonic ms; Infinity = never. */
  expiresAt = Infinity
  holder: Writer | null = null
  /** Neighbours in the order of eviction; locked and never-expiring params are not in it. */
  older: Param | null = null
  newer: Param | null = null
  isEvictable = false

  constructor(entry: AddressEntry, writer: Writer) {
    this.entry = entry
    this.writer = writer
  }
}
