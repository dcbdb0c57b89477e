import type { Replay } from '../../firmware-protocol/wire/message.ts'
import type { AddressEntry } from './address-table.ts'
import type { Param, Writer } from './param.ts'
import type { PublishView } from './publish-view.ts'

/** What the state and the history of a router are written to; `runtime/journal` implements it. Absent without one. */
export interface Journal {
  /**
   * A SET was applied, alone or in a bundle: `param` is the new state of `entry`. Hot path: does not throw, wait or read
   * the clock. Returns a ticket above 0 when the ACK has to wait until it is stored (`HeldAnswers`), else 0.
   */
  onSet(entry: AddressEntry, param: Param): number
  /** A PUBLISH was accepted and is about to be delivered. Hot path. */
  onPublish(entry: AddressEntry, view: PublishView, author: Writer): void
  /** A param has expired or was evicted; it keeps its last state during the call. */
  onRemoved(entry: AddressEntry, param: Param): void
  /** Reads history in pages. `sink.entry` is called for each entry in order, then `sink.end` once; see `ReplaySink`. */
  replay(query: ReplayQuery, sink: ReplaySink): void
}

/** REPLAY with its limit applied. Times are µs since the Unix epoch, both inclusive. */
export interface ReplayQuery extends Pick<Replay, 'pattern' | 'types'> {
  fromUs: number
  toUs: number
  limit: number
}

export interface ReplayEntry {
  /** Monotonic number of the entry in the journal. */
  seq: number
  timestampUs: number
  /** Session id, or the name of a part of the router. */
  author: string
  address: string
  /** `SignalCode`: 0 param … 4 timeline. */
  signal: number
  /** `ValueCode` of the value, -1 = the message had none. */
  code: number
  /** The encoded canonical value, without its type code. Valid during the call. */
  value: Uint8Array
  /** 0 = not a SET. */
  revision: number
}

export interface ReplaySink {
  /** False = the reader takes no more for now: the journal goes on after `resume`. */
  entry(entry: ReplayEntry): boolean
  /** `problem` is for the operator; absent when all went well. */
  end(problem?: string): void
  /** Set by the journal before the first entry. */
  resume: () => void
  /** Set by the reader when it has gone: the journal stops reading and calls nothing more. */
  isCancelled: boolean
}

/** The stored state of one param, as it comes back at a start. */
export interface StoredParam {
  address: string
  code: number
  value: Uint8Array
  revision: number
  writer: string
  timestampUs: number
  /** `TtlMode` and its duration. */
  ttlMode: number
  ttlMs: number
}
