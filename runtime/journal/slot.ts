import type { AddressEntry } from '../router/address-table.ts'
import type { Durability } from './durability.ts'
import type { RecordRates } from './record-rules.ts'

/** Seconds in a row with a change after which an address counts as busy: a sensor. */
export const BUSY_HEAT = 10
const MAX_HEAT = 20
/** Entries a second of an address that is not busy, where no rule says how many. Extensions reference §8.8. */
export const CALM_ENTRIES = 10

/** What the journal keeps for one address, on its entry or, while the table may forget that, by its text. */
export class Slot {
  readonly text: string
  readonly durability: Durability
  readonly rates: RecordRates
  entry: AddressEntry | null
  /** Number of the address in the database that is open as `generation`. */
  id = 0
  generation = -1
  /** Waits for a commit of its class. */
  isPending = false
  /** Waits for the next checkpoint. */
  isParked = false
  /** Has no param, and is kept by its text. */
  isOrphan = false
  /** Second of the last message, monotonic. */
  second = 0
  /** Rises by one with each second in a row that saw a message, and falls with those that saw none. */
  heat = 0
  /** Entries of the history in this second, and what the value of the last one was. */
  entries = 0
  /** The second before had more than it may have entries: so may this one, but it gets one. */
  isFlooded = false
  entryHash = 0
  /** The newest value has no entry yet. */
  isUnrecorded = false
  /** The database has the state described by the hashes, or a failed commit has made that unknown. */
  isStored = false
  hashA = 0
  hashB = 0
  storedSecond = 0
  storedRevision = 0
  /** Of a param that has gone. */
  lastRevision = 0
  /** What the uplink keeps with the param differs from what is stored. */
  isMarkChanged = false
  /** No ticket below this one waits for the slot, or for one that was pending later. */
  ticket = 0

  constructor(text: string, durability: Durability, rates: RecordRates) {
    this.text = text
    this.durability = durability
    this.rates = rates
    this.entry = null
  }

  get isBusy(): boolean {
    return this.heat >= BUSY_HEAT
  }

  /** The first message in a second. */
  beginSecond(second: number): void {
    const gap = second - this.second
    if (gap === 1) this.heat = this.heat < MAX_HEAT ? this.heat + 1 : MAX_HEAT
    else this.heat = this.heat > gap ? this.heat - gap : 0
    this.isFlooded = gap === 1 && (this.isFlooded ? this.entries > 0 : this.entries >= CALM_ENTRIES)
    this.second = second
    this.entries = 0
  }
}
