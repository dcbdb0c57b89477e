import type { AddressEntry } from '../../router/address-table.ts'

/** What the leaf knows of one address besides the value, stored in the same record as the value. */
export interface UplinkMark {
  /** Revision at the hub that our value is based on; 0 = unknown. */
  hubRevision: number
  /** Bits: 1 = to be pushed, 2 = the value came from the hub, 4 = removed here, to be removed at the hub. */
  flags: number
  /** When it was last written here, µs of the wall clock; 0 = the clock was not to be trusted. */
  editedAtUs: number
}

export const MarkFlag = { dirty: 1, fromHub: 2, deleted: 4 } as const

/** An event that waits for the hub. */
export interface StoredEvent {
  id: number
  /** A whole PUBLISH frame. */
  frame: Uint8Array
  /** µs of the wall clock. */
  expiresAtUs: number
}

/**
 * Durable memory of the leaf; the journal gives one, and `MemoryUplinkStore` stands in without a journal. Nothing here
 * waits for the disk: what is told is stored with the next batch, a second later at most.
 */
export interface UplinkStore {
  readonly isDurable: boolean
  /** Small texts by name: router id, epoch, … */
  meta(name: string): string | undefined
  setMeta(name: string, value: string): void
  /** What was stored at the start of the process. Called once. */
  marks(): Iterable<[address: string, mark: UplinkMark]>
  events(): StoredEvent[]
  /** Whom to ask for the mark of an address whenever its param is written. null = none. */
  describe: ((entry: AddressEntry) => UplinkMark | null) | null
  /** The mark of an address has changed: its record is written again, by the same rules as its value. */
  markChanged(entry: AddressEntry): void
  /** Returns the id of the event. */
  addEvent(frame: Uint8Array, expiresAtUs: number): number
  removeEvent(id: number): void
}
