import type { Clock } from '../../router/clock.ts'
import type { InputUniverse } from '../lighting/input-universe.ts'
import { isLate } from '../lighting/sequence.ts'
import type { Source } from '../lighting/universe.ts'
import { OPTION, type SacnData, type SacnSync, START } from './sacn-packet.ts'

/** Without synchronization packets for so long they are lost, ms (E1.31 §11.1.2). */
const SYNC_LOST_MS = 2500
const MAX_SYNC_ADDRESSES = 64
/** Without priorities of single slots for so long that of the universe counts again, ms. */
const PRIORITIES_LOST_MS = 2500

interface Received {
  /** Of a source that goes, and comes again, this is another. */
  readonly source: Source
  name: string
  sequence: number
  slotPriorities: Uint8Array | null
  slotPrioritiesAt: number
  /** A frame that waits for this synchronization address; 0: none waits. */
  heldFor: number
  held: Uint8Array | null
  heldLength: number
}

interface Port {
  readonly input: InputUniverse
  readonly heedsSlotPriorities: boolean
  readonly received: Map<string, Received>
}

export interface SacnReceiverParts {
  readonly clock: Clock
  /** Ms of silence after which a source has gone. */
  readonly lossMs: number
  /** Synchronization packets for this address are wanted. */
  onSyncAddress(universe: number): void
  onExceeded(universe: number, cid: string): void
  /** A source has come, or has another priority. */
  onSources(universe: number): void
}

/** A source as others are told of it. */
export interface SourceInfo {
  readonly cid: string
  readonly name: string
  readonly priority: number
}

/** Data and synchronization packets to input universes. Source: bridges.md §7.5, E1.31 §6. */
export class SacnReceiver {
  private readonly parts: SacnReceiverParts
  private readonly live = new Map<number, Port>()
  private readonly preview = new Map<number, Port>()
  /** When synchronization packets last came, by address; −∞: never. */
  private readonly syncAt = new Map<number, number>()

  constructor(parts: SacnReceiverParts) {
    this.parts = parts
  }

  /** `preview`: frames that are not for live output. */
  add(input: InputUniverse, heedsSlotPriorities: boolean, kind: 'live' | 'preview'): void {
    const ports = kind === 'live' ? this.live : this.preview
    ports.set(input.settings.universe, { input, heedsSlotPriorities, received: new Map() })
  }

  /** False: the universe is none of ours, the packet came late, or is for others. `name` is asked for rarely. */
  data(packet: SacnData, name: () => string): boolean {
    const { universe, options, priority, startCode, slots } = packet
    const port = ((options & OPTION.preview) === 0 ? this.live : this.preview).get(universe)
    if (port === undefined) return false
    if ((options & OPTION.terminated) !== 0) return this.terminate(port, packet.cid)
    const isPriorities = startCode === START.priorities && port.heedsSlotPriorities
    if (startCode !== START.levels && !isPriorities) return false
    const received = this.from(port, packet, name)
    if (received === undefined) return false
    received.sequence = packet.sequence
    const now = this.parts.clock.now()
    if (isPriorities) {
      received.slotPriorities = prioritiesOf(slots)
      received.slotPrioritiesAt = now
    } else if (now - received.slotPrioritiesAt > PRIORITIES_LOST_MS) {
      received.slotPriorities = null
    }
    const hasChanged = received.source.priority !== priority
    port.input.universe.prioritise(received.source, priority, received.slotPriorities)
    if (hasChanged) this.parts.onSources(universe)
    if (isPriorities) {
      port.input.touch()
      return true
    }
    if (slots.length === 0) return false
    if (this.mustWait(packet)) this.hold(port, received, packet)
    else this.apply(port, received, slots)
    return true
  }

  /** What waits for this address takes effect at once. */
  sync({ syncAddress }: SacnSync): void {
    if (!this.syncAt.has(syncAddress)) return
    this.syncAt.set(syncAddress, this.parts.clock.now())
    for (const ports of [this.live, this.preview]) {
      for (const port of ports.values()) {
        for (const received of port.received.values()) {
          const { heldFor, held, heldLength, source } = received
          if (heldFor !== syncAddress || held === null) continue
          received.heldFor = 0
          if (port.input.universe.find(source.key) === source) port.input.frame(source, held.subarray(0, heldLength))
        }
      }
    }
  }

  /** The source with the highest priority; undefined: there is none. */
  topSource(universe: number): SourceInfo | undefined {
    const port = this.live.get(universe)
    let top: SourceInfo | undefined
    if (port === undefined) return undefined
    for (const [cid, { source, name }] of port.received) {
      if (port.input.universe.find(cid) !== source) continue
      if (top === undefined || source.priority > top.priority) top = { cid, name, priority: source.priority }
    }
    return top
  }

  private terminate({ input, received }: Port, cid: string): boolean {
    const source = received.get(cid)?.source
    received.delete(cid)
    if (source !== undefined && input.universe.find(cid) === source) input.close(source)
    return true
  }

  /** Undefined: the packet came late, or there are too many sources. */
  private from(port: Port, { cid, sequence, priority, universe }: SacnData, name: () => string): Received | undefined {
    const { input, received } = port
    const known = received.get(cid)
    if (known !== undefined && input.universe.find(cid) === known.source) {
      return isLate(sequence, known.sequence) ? undefined : known
    }
    // Whoever has gone from the universe is forgotten here.
    for (const [key, { source }] of received) if (input.universe.find(key) !== source) received.delete(key)
    const options = { priority, timeoutMs: this.parts.lossMs }
    const source = input.universe.open(cid, options, this.parts.clock.now())
    if (source === undefined) {
      this.parts.onExceeded(universe, cid)
      return undefined
    }
    const fresh: Received = {
      source,
      name: name(),
      sequence,
      slotPriorities: null,
      slotPrioritiesAt: 0,
      heldFor: 0,
      held: null,
      heldLength: 0,
    }
    received.set(cid, fresh)
    // It may never send a level, and goes all the same.
    input.alive(source)
    this.parts.onSources(universe)
    return fresh
  }

  private apply({ input }: Port, received: Received, slots: Uint8Array): void {
    received.heldFor = 0
    input.frame(received.source, slots)
  }

  private mustWait({ syncAddress, options }: SacnData): boolean {
    if (syncAddress === 0) return false
    const at = this.syncAt.get(syncAddress)
    if (at === undefined) {
      if (this.syncAt.size < MAX_SYNC_ADDRESSES) {
        this.syncAt.set(syncAddress, Number.NEGATIVE_INFINITY)
        this.parts.onSyncAddress(syncAddress)
      }
      return false
    }
    // Nobody has synchronized yet.
    if (at === Number.NEGATIVE_INFINITY) return false
    const isSilent = this.parts.clock.now() - at > SYNC_LOST_MS
    return !isSilent || (options & OPTION.forceSync) === 0
  }

  private hold({ input }: Port, received: Received, { slots, syncAddress }: SacnData): void {
    received.held ??= new Uint8Array(512)
    received.held.set(slots)
    received.heldLength = slots.length
    received.heldFor = syncAddress
    input.alive(received.source)
  }
}

/** Slots behind the end have none. */
function prioritiesOf(slots: Uint8Array): Uint8Array {
  const priorities = new Uint8Array(512)
  priorities.set(slots)
  return priorities
}
