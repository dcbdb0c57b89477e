import type { BatchWriter } from './batch.ts'
import type { Slot } from './slot.ts'

/** Ids of sessions that are remembered; a session that is forgotten gets another one. */
const MAX_AUTHORS = 10_000

/**
 * Numbers that stand for addresses and authors in the database that is open. With every opening they start anew, because
 * what a failed commit has told of them is lost.
 */
export class RecordIds {
  generation = 0
  private nextAddress = 1
  private nextAuthor = 1
  private readonly authors = new Map<string, number>()

  /** A database is being opened: what is known of ids is void. */
  begin(): void {
    this.generation++
    this.authors.clear()
  }

  /** What the opened database does not use yet. */
  continueFrom(nextAddress: number, nextAuthor: number): void {
    this.nextAddress = nextAddress
    this.nextAuthor = nextAuthor
  }

  know(slot: Slot, id: number): void {
    slot.id = id
    slot.generation = this.generation
  }

  knowAuthor(id: number, text: string): void {
    if (this.authors.size < MAX_AUTHORS) this.authors.set(text, id)
  }

  /** The number of an address, introduced to the batch when it is new. */
  address(slot: Slot, batch: BatchWriter): number {
    if (slot.generation !== this.generation) {
      this.know(slot, this.nextAddress++)
      batch.address(slot.id, slot.text)
    }
    return slot.id
  }

  author(text: string, batch: BatchWriter): number {
    const known = this.authors.get(text)
    if (known !== undefined) return known
    if (this.authors.size >= MAX_AUTHORS) this.authors.clear()
    const id = this.nextAuthor++
    this.authors.set(text, id)
    batch.author(id, text)
    return id
  }
}
