import type { AddressEntry } from '../router/address-table.ts'
import type { BatchWriter, ParamRecord } from './batch.ts'

export type UplinkMark = NonNullable<ParamRecord['mark']>

export interface StoredEvent {
  id: number
  frame: Uint8Array
  expiresAtUs: number
}

const PREFIX = 'uplink:'

/**
 * The durable memory of the uplink (`federation/leaf/uplink-store.ts`), kept in the journal's database. It holds what is
 * alive, so that a database that has to be made anew gets everything again.
 */
export class StoredUplink {
  describe: ((entry: AddressEntry) => UplinkMark | null) | null = null
  private readonly onMark: (entry: AddressEntry) => void
  private readonly onChange: () => void
  private readonly durable: () => boolean
  private readonly texts = new Map<string, string>()
  private readonly live = new Map<number, StoredEvent>()
  private readonly unsaved = { texts: new Set<string>(), events: new Set<number>(), removed: new Set<number>() }
  /** What the commit under way takes along. */
  private readonly sent = { texts: new Set<string>(), events: new Set<number>(), removed: new Set<number>() }
  private stored: [string, UplinkMark][] = []
  private nextEvent: number

  /** `onMark` and `onChange` ask for a commit; `firstEvent` is above every id that may be stored and unknown. */
  constructor(onMark: (entry: AddressEntry) => void, onChange: () => void, durable: () => boolean, firstEvent: number) {
    this.onMark = onMark
    this.onChange = onChange
    this.durable = durable
    this.nextEvent = firstEvent
  }

  get isDurable(): boolean {
    return this.durable()
  }

  meta(name: string): string | undefined {
    return this.texts.get(name)
  }

  setMeta(name: string, value: string): void {
    if (this.texts.get(name) === value) return
    this.texts.set(name, value)
    this.unsaved.texts.add(name)
    this.onChange()
  }

  /** The marks that were stored at the start. Called once. */
  marks(): Iterable<[address: string, mark: UplinkMark]> {
    const marks = this.stored
    this.stored = []
    return marks
  }

  events(): StoredEvent[] {
    return [...this.live.values()]
  }

  markChanged(entry: AddressEntry): void {
    this.onMark(entry)
  }

  addEvent(frame: Uint8Array, expiresAtUs: number): number {
    const id = this.nextEvent++
    this.live.set(id, { id, frame, expiresAtUs })
    this.unsaved.events.add(id)
    this.onChange()
    return id
  }

  removeEvent(id: number): void {
    if (!this.live.delete(id)) return
    // What no commit has taken along leaves no trace.
    if (this.unsaved.events.delete(id)) return
    this.unsaved.removed.add(id)
    this.onChange()
  }

  get hasUnsaved(): boolean {
    const { texts, events, removed } = this.unsaved
    return texts.size > 0 || events.size > 0 || removed.size > 0
  }

  /** Adds up to so many records of what is not stored; they wait for `confirm` or `takeBack`. */
  write(batch: BatchWriter, room: number): void {
    for (const name of this.unsaved.texts) {
      batch.meta(PREFIX + name, this.texts.get(name) as string)
      this.sent.texts.add(name)
    }
    this.unsaved.texts.clear()
    for (const id of this.unsaved.removed) {
      if (room-- <= 0) return
      batch.eventDone(id)
      this.unsaved.removed.delete(id)
      this.sent.removed.add(id)
    }
    for (const id of this.unsaved.events) {
      if (room-- <= 0) return
      const event = this.live.get(id) as StoredEvent
      batch.event(id, event.expiresAtUs, event.frame)
      this.unsaved.events.delete(id)
      this.sent.events.add(id)
    }
  }

  confirm(): void {
    for (const ids of Object.values(this.sent)) ids.clear()
  }

  takeBack(): void {
    for (const name of this.sent.texts) this.unsaved.texts.add(name)
    for (const id of this.sent.removed) this.unsaved.removed.add(id)
    for (const id of this.sent.events) if (this.live.has(id)) this.unsaved.events.add(id)
    this.confirm()
  }

  /** Takes over what a database holds: all of it when it is the first, else only to know what is to be written again. */
  restore(
    found: { texts: Map<string, string>; events: StoredEvent[]; marks: [string, UplinkMark][] },
    isFirst: boolean,
  ) {
    for (const [name, value] of found.texts) {
      if (!name.startsWith(PREFIX)) continue
      const own = name.slice(PREFIX.length)
      if (!this.texts.has(own)) this.texts.set(own, value)
    }
    for (const [name, value] of this.texts) if (found.texts.get(PREFIX + name) !== value) this.unsaved.texts.add(name)
    const known = new Set(found.events.map(({ id }) => id))
    for (const event of found.events) {
      if (isFirst) this.live.set(event.id, event)
      else if (!this.live.has(event.id)) this.unsaved.removed.add(event.id)
    }
    for (const id of this.live.keys()) if (!known.has(id)) this.unsaved.events.add(id)
    if (isFirst) this.stored = found.marks
  }

  /** Ids from here on are free. */
  continueFrom(nextEvent: number): void {
    this.nextEvent = this.live.size === 0 ? nextEvent : Math.max(this.nextEvent, nextEvent)
  }
}
