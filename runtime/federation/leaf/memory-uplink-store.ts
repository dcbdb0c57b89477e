import type { AddressEntry } from '../../router/address-table.ts'
import type { StoredEvent, UplinkMark, UplinkStore } from './uplink-store.ts'

/** The leaf's memory where no journal is kept: it ends with the process. */
export class MemoryUplinkStore implements UplinkStore {
  readonly isDurable = false
  describe: ((entry: AddressEntry) => UplinkMark | null) | null = null
  private readonly texts = new Map<string, string>()
  private readonly waiting = new Map<number, StoredEvent>()
  private lastId = 0

  meta(name: string): string | undefined {
    return this.texts.get(name)
  }

  setMeta(name: string, value: string): void {
    this.texts.set(name, value)
  }

  marks(): Iterable<[address: string, mark: UplinkMark]> {
    return []
  }

  events(): StoredEvent[] {
    return [...this.waiting.values()]
  }

  markChanged(): void {}

  addEvent(frame: Uint8Array, expiresAtUs: number): number {
    const id = ++this.lastId
    this.waiting.set(id, { id, frame, expiresAtUs })
    return id
  }

  removeEvent(id: number): void {
    this.waiting.delete(id)
  }
}
