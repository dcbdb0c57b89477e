import type { Signal } from '../../firmware-protocol/wire/message.ts'
import type { Value } from '../../firmware-protocol/wire/value.ts'

/** One entry of the history. Times are µs since the Unix epoch. */
export interface ExportEntry {
  kind: 'entry'
  /** Ignored by an import, which numbers anew. */
  seq: number
  timeUs: number
  author: string
  address: string
  signal: Signal
  /** null = the message had none, unlike a value of the type null. */
  value: Value | null
  /** 0 = not a SET. */
  revision: number
}

/** The newest state of an address. */
export interface ExportParam {
  kind: 'param'
  timeUs: number
  author: string
  address: string
  value: Value
  revision: number
  /** `TtlMode`, and its duration. */
  ttlMode: number
  ttlMs: number
}

export type ExportLine = ExportEntry | ExportParam
