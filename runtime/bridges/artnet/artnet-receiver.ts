import type { Clock, Timer } from '../../router/clock.ts'
import type { InputUniverse } from '../lighting/input-universe.ts'
import { isLate } from '../lighting/sequence.ts'
import type { Source } from '../lighting/universe.ts'
import type { ArtDmx } from './artnet-packet.ts'
import type { ArtNetPort } from './artnet-port.ts'

/** After so long sequence numbers count anew, ms. */
const SEQUENCE_MS = 1000
/** After so long without an ArtSync frames take effect at once again, ms. */
const SYNC_MS = 4000

interface Received {
  readonly ip: string
  /** Of a source that goes, and comes again, this is another. */
  readonly source: Source
  sequence: number
}

interface Port {
  readonly patched: Pick<ArtNetPort, 'portAddress'>
  readonly input: InputUniverse
  readonly priority: number
  /** By IP address and physical port. */
  readonly received: Map<string, Received>
  /** The next frame takes over from all sources. */
  isCancelling: boolean
  /** Waits for the next ArtSync: the frame of `held` is in `heldLevels`. */
  held: Source | null
  readonly heldLevels: Uint8Array
  heldLength: number
}

export interface ArtNetReceiverParts {
  readonly clock: Clock
  /** Ms of silence after which a source is no longer merged. */
  readonly leaveMs: number
  /** A third source is not merged. */
  onExceeded(universe: number, ip: string): void
}

/** ArtDmx to input universes, with sequence, merging and ArtSync. Source: bridges.md §6.4. */
export class ArtNetReceiver {
  private readonly parts: ArtNetReceiverParts
  private readonly ports: Port[] = []
  /** By Port-Address, which several may share. */
  private readonly patched = new Map<number, Port[]>()
  private syncAt = Number.NEGATIVE_INFINITY
  private lastDmxIp = ''
  private release: Timer | null = null

  constructor(parts: ArtNetReceiverParts) {
    this.parts = parts
  }

  add(input: InputUniverse, priority: number, patched: Pick<ArtNetPort, 'portAddress'>): void {
    this.ports.push({
      patched,
      input,
      priority,
      received: new Map(),
      isCancelling: false,
      held: null,
      heldLevels: new Uint8Array(512),
      heldLength: 0,
    })
    this.patch()
  }

  /** Port-Addresses of what was added have changed. */
  patch(): void {
    this.patched.clear()
    for (const port of this.ports) {
      const { portAddress } = port.patched
      const others = this.patched.get(portAddress)
      if (others === undefined) this.patched.set(portAddress, [port])
      else others.push(port)
    }
  }

  /** False: the universe is none of ours, or the packet came late. */
  dmx(packet: ArtDmx, ip: string): boolean {
    const ports = this.patched.get(packet.portAddress)
    if (ports === undefined) return false
    this.lastDmxIp = ip
    let isTaken = false
    for (const port of ports) if (this.take(port, packet, ip)) isTaken = true
    return isTaken
  }

  /** ArtSync: what waits takes effect at once. */
  sync(ip: string): void {
    if (ip !== this.lastDmxIp) return
    for (const { input } of this.ports) if (input.universe.sourceCount > 1) return
    this.syncAt = this.parts.clock.now()
    this.flush()
  }

  /** The next frame of a universe ends its merging. */
  cancelMerge(universe: number): void {
    const port = this.ports.find(({ input }) => input.settings.universe === universe)
    if (port !== undefined) port.isCancelling = true
  }

  stop(): void {
    this.release?.cancel()
  }

  private take(port: Port, { sequence, physical, levels }: ArtDmx, ip: string): boolean {
    const received = this.from(port, ip, physical)
    if (received === undefined) return false
    const { source } = received
    const now = this.parts.clock.now()
    const isCounted = sequence !== 0 && received.sequence !== 0 && now - source.lastAt < SEQUENCE_MS
    if (isCounted && isLate(sequence, received.sequence)) return false
    received.sequence = sequence
    if (port.isCancelling) this.takeOver(port, source)
    if (now - this.syncAt < SYNC_MS && port.input.universe.sourceCount === 1) {
      this.hold(port, source, levels, now)
    } else {
      port.held = null
      port.input.frame(source, levels)
    }
    return true
  }

  private from({ input, priority, received }: Port, ip: string, physical: number): Received | undefined {
    const key = `${ip}/${physical}`
    const known = received.get(key)
    if (known !== undefined && input.universe.find(key) === known.source) return known
    // Whoever has gone from the universe is forgotten here.
    for (const [name, one] of received) if (input.universe.find(name) !== one.source) received.delete(name)
    const options = { priority, timeoutMs: this.parts.leaveMs }
    const source = input.universe.open(key, options, this.parts.clock.now())
    if (source === undefined) {
      this.parts.onExceeded(input.settings.universe, ip)
      return undefined
    }
    const fresh: Received = { ip, source, sequence: 0 }
    received.set(key, fresh)
    return fresh
  }

  private takeOver(port: Port, source: Source): void {
    port.isCancelling = false
    for (const { source: other } of port.received.values()) if (other !== source) port.input.universe.close(other)
  }

  private hold(port: Port, source: Source, levels: Uint8Array, now: number): void {
    port.held = source
    port.heldLevels.set(levels)
    port.heldLength = levels.length
    port.input.alive(source)
    if (this.release === null) this.armRelease(now)
  }

  /** For frames that wait for an ArtSync which never comes. */
  private armRelease(now: number): void {
    const { clock } = this.parts
    this.release = clock.timer(this.syncAt + SYNC_MS - now, () => {
      this.release = null
      const at = clock.now()
      if (at - this.syncAt >= SYNC_MS - 1) this.flush()
      else this.armRelease(at)
    })
  }

  private flush(): void {
    for (const port of this.ports) {
      const { held, input, heldLevels, heldLength } = port
      if (held === null) continue
      port.held = null
      if (input.universe.find(held.key) === held) input.frame(held, heldLevels.subarray(0, heldLength))
    }
  }
}
