import type { AddressEntry } from '../router/address-table.ts'
import type { DurabilityRules } from './durability.ts'
import type { RecordRules } from './record-rules.ts'
import { Slot } from './slot.ts'

/** Addresses without a param whose number and revision are kept; the database keeps fewer of them. */
const MAX_ORPHANS = 20_000

/** Finds and makes what the journal keeps for each address. */
export class Slots {
  private readonly durability: DurabilityRules
  private readonly records: RecordRules
  private readonly orphans = new Map<string, Slot>()

  constructor(durability: DurabilityRules, records: RecordRules) {
    this.durability = durability
    this.records = records
  }

  of(entry: AddressEntry): Slot {
    const attached = entry.journalSlot as Slot | null
    if (attached !== null) return attached
    const slot = this.orphans.get(entry.text) ?? this.create(entry.text)
    slot.entry = entry
    entry.journalSlot = slot
    if (entry.param === null) this.orphan(slot)
    else this.adopt(slot)
    return slot
  }

  /** The slot of an address that the table does not know. */
  ofText(text: string): Slot {
    const known = this.orphans.get(text)
    if (known !== undefined) return known
    const slot = this.create(text)
    this.orphan(slot)
    return slot
  }

  /** The address has lost its param, or never had one. */
  orphan(slot: Slot): void {
    slot.isOrphan = true
    this.orphans.delete(slot.text)
    this.orphans.set(slot.text, slot)
    for (const oldest of this.orphans.values()) {
      // One whose removal is not written yet is known in the database by its number.
      if (this.orphans.size <= MAX_ORPHANS || oldest.isPending || oldest.isParked) break
      this.adopt(oldest)
    }
  }

  /** The address has a param: the slot stays with its entry. */
  adopt(slot: Slot): void {
    slot.isOrphan = false
    this.orphans.delete(slot.text)
  }

  withoutParam(): Iterable<Slot> {
    return this.orphans.values()
  }

  private create(text: string): Slot {
    return new Slot(text, this.durability.of(text), this.records.of(text))
  }
}
