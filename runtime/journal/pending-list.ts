/** Hot path: `push`. */

import type { Slot } from './slot.ts'

/** Slots that wait, first come first served; the room is kept, so that adding allocates nothing. */
export class PendingList {
  private items: (Slot | null)[]
  private head = 0
  private tail = 0

  constructor(capacity = 1024) {
    this.items = new Array<Slot | null>(capacity).fill(null)
  }

  get size(): number {
    return this.tail - this.head
  }

  push(slot: Slot): void {
    if (this.tail === this.items.length) this.makeRoom()
    this.items[this.tail++] = slot
  }

  first(): Slot | null {
    return this.head === this.tail ? null : this.items[this.head]
  }

  shift(): Slot | null {
    if (this.head === this.tail) return null
    const slot = this.items[this.head]
    this.items[this.head++] = null
    if (this.head === this.tail) {
      this.head = 0
      this.tail = 0
    }
    return slot
  }

  private makeRoom(): void {
    const waiting = this.items.slice(this.head, this.tail)
    const capacity = waiting.length * 2 > this.items.length ? this.items.length * 2 : this.items.length
    this.items = waiting.concat(new Array<Slot | null>(capacity - waiting.length).fill(null))
    this.head = 0
    this.tail = waiting.length
  }
}
