import type { ArtNetOptions } from './artnet-kind.ts'
import type { ArtNetNodes } from './artnet-nodes.ts'
import { addressDmx, dmxPacket, fillDmx, syncPacket } from './artnet-packet.ts'
import type { ArtNetPort } from './artnet-port.ts'

interface Port {
  readonly patched: ArtNetPort
  readonly packet: Buffer
  readonly addresses: readonly string[]
  readonly isAuto: boolean
  readonly isBroadcast: boolean
  /** 1…255. */
  sequence: number
}

export interface ArtNetSenderParts {
  readonly options: Pick<ArtNetOptions, 'outputs' | 'sync'>
  /** Directed broadcast addresses, as they are now. */
  broadcasts(): readonly string[]
  readonly nodes: ArtNetNodes
  /** By universe. */
  readonly ports: ReadonlyMap<number, ArtNetPort>
  send(bytes: Uint8Array, ip: string): void
}

/** Frames of output universes as ArtDmx to their targets, and ArtSync behind them. Source: bridges.md §6.2, §6.4. */
export class ArtNetSender {
  private readonly parts: ArtNetSenderParts
  private readonly ports = new Map<number, Port>()
  /** Null: all, by broadcast. */
  private readonly syncTargets: readonly string[] | null
  private readonly sync = syncPacket()
  private hasSent = false

  constructor(parts: ArtNetSenderParts) {
    this.parts = parts
    for (const { universe, targets } of parts.options.outputs) {
      const patched = parts.ports.get(universe)
      if (patched === undefined) continue
      this.ports.set(universe, {
        patched,
        packet: dmxPacket(patched.portAddress),
        addresses: targets.filter((target) => target !== 'auto' && target !== 'broadcast'),
        isAuto: targets.length === 0 || targets.includes('auto'),
        isBroadcast: targets.includes('broadcast'),
        sequence: 0,
      })
    }
    const ports = [...this.ports.values()]
    const isWide = ports.some(({ isAuto, isBroadcast }) => isAuto || isBroadcast)
    // Nodes that are reached by broadcast need no second one.
    this.syncTargets = isWide ? null : [...new Set(ports.flatMap(({ addresses }) => addresses))]
  }

  frame(universe: number, levels: Uint8Array): void {
    const port = this.ports.get(universe)
    if (port === undefined || port.patched.isDisabled) return
    const { portAddress } = port.patched
    const { nodes, broadcasts, send } = this.parts
    port.sequence = (port.sequence % 255) + 1
    addressDmx(port.packet, portAddress)
    fillDmx(port.packet, port.sequence, levels)
    this.hasSent = true
    for (const ip of port.addresses) send(port.packet, ip)
    if (port.isBroadcast) {
      for (const ip of broadcasts()) send(port.packet, ip)
    } else if (port.isAuto) {
      for (const ip of nodes.subscribersOf(portAddress)) if (!port.addresses.includes(ip)) send(port.packet, ip)
    }
  }

  /** All universes of a moment have gone. */
  endRound(): void {
    if (!this.hasSent) return
    this.hasSent = false
    if (!this.parts.options.sync) return
    for (const ip of this.syncTargets ?? this.parts.broadcasts()) this.parts.send(this.sync, ip)
  }
}
