import type { Clock, Timer } from '../../router/clock.ts'
import type { OutputUniverse } from '../lighting/output-universe.ts'
import type { SacnOptions } from './sacn-kind.ts'
import type { SacnNetwork } from './sacn-network.ts'
import {
  DISCOVERY_UNIVERSE,
  dataPacket,
  discoveryPackets,
  fillData,
  OPTION,
  START,
  syncPacket,
  terminatedPacket,
} from './sacn-packet.ts'

/** Receivers get this long to take the data before the packet that makes them visible, ms. */
const SYNC_DELAY_MS = 2
/** Priorities of single slots are told at least so often, ms. */
const PRIORITIES_EVERY_MS = 1000
const GOODBYES = 3

/** Where senders of this process stopped for a break, by CID and universe: receivers take what begins anew for late. */
const endedAt = new Map<string, number>()

interface Port {
  readonly universe: number
  readonly packet: Buffer
  /** Of priorities of single slots; null: they are not told. */
  readonly priorities: Buffer | null
  readonly priority: number
  readonly isMulticast: boolean
  readonly addresses: readonly string[]
  readonly syncAddress: number
  sequence: number
  prioritiesAt: number
  hasBegun: boolean
}

export interface SacnSenderParts {
  readonly options: Pick<SacnOptions, 'outputs' | 'sourceName'>
  readonly cid: string
  readonly network: Pick<SacnNetwork, 'send' | 'multicast'>
  readonly clock: Clock
}

/** Frames of output universes as sACN, with synchronization, discovery and goodbyes. Source: bridges.md §7.5. */
export class SacnSender {
  private readonly parts: SacnSenderParts
  private readonly ports = new Map<number, Port>()
  /** Synchronization addresses of this round. */
  private readonly due = new Set<number>()
  private readonly syncSequences = new Map<number, number>()
  private syncTimer: Timer | null = null

  constructor(parts: SacnSenderParts) {
    this.parts = parts
    const { options, cid } = parts
    for (const { universe, priority, syncAddress = 0, preview, destinations, slotPriorities } of options.outputs) {
      const common = {
        cid,
        name: options.sourceName,
        priority,
        universe,
        syncAddress,
        options: preview ? OPTION.preview : 0,
      }
      this.ports.set(universe, {
        universe,
        packet: dataPacket({ ...common, startCode: START.levels }),
        priorities: slotPriorities ? dataPacket({ ...common, startCode: START.priorities }) : null,
        priority,
        isMulticast: destinations.length === 0 || destinations.includes('multicast'),
        addresses: destinations.filter((destination) => destination !== 'multicast'),
        syncAddress,
        sequence: endedAt.get(`${cid}/${universe}`) ?? 0,
        prioritiesAt: Number.NEGATIVE_INFINITY,
        hasBegun: false,
      })
    }
  }

  frame(universe: number, levels: Uint8Array, output: OutputUniverse | undefined): void {
    const port = this.ports.get(universe)
    if (port === undefined) return
    port.hasBegun = true
    if (port.priorities !== null && output !== undefined) this.tellPriorities(port, port.priorities, output.asserted)
    fillData(port.packet, this.nextSequence(port), levels)
    this.send(port, port.packet)
    if (port.syncAddress !== 0) this.due.add(port.syncAddress)
  }

  /** All universes of a moment have gone. */
  endRound(): void {
    if (this.due.size === 0 || this.syncTimer !== null) return
    this.syncTimer = this.parts.clock.timer(SYNC_DELAY_MS, () => {
      this.syncTimer = null
      this.synchronize()
    })
  }

  /** What this source sends, for those who look for it. */
  discover(): void {
    const universes = [...this.ports.values()].filter(({ hasBegun }) => hasBegun).map(({ universe }) => universe)
    const { cid, options, network } = this.parts
    if (universes.length === 0) return
    for (const bytes of discoveryPackets(cid, options.sourceName, universes))
      network.multicast(bytes, DISCOVERY_UNIVERSE)
  }

  /** Receivers need not wait for their time-outs; `isBreak`: it will go on soon, and they need not notice. */
  stop(isBreak: boolean): void {
    this.syncTimer?.cancel()
    // What was sent last would never be seen.
    this.synchronize()
    for (const { universe, sequence, hasBegun } of this.ports.values()) {
      if (!isBreak) endedAt.delete(`${this.parts.cid}/${universe}`)
      else if (hasBegun) endedAt.set(`${this.parts.cid}/${universe}`, sequence)
    }
    if (isBreak) return
    for (const port of this.ports.values()) {
      if (!port.hasBegun) continue
      for (let i = 0; i < GOODBYES; i++) this.send(port, terminatedPacket(port.packet, this.nextSequence(port)))
    }
  }

  private tellPriorities(port: Port, packet: Buffer, asserted: Uint8Array): void {
    const now = this.parts.clock.now()
    const priorities = asserted.map((isAsserted) => isAsserted * port.priority)
    const isSame = packet.compare(priorities, 0, priorities.length, packet.length - priorities.length) === 0
    if (isSame && now - port.prioritiesAt < PRIORITIES_EVERY_MS) return
    port.prioritiesAt = now
    fillData(packet, this.nextSequence(port), priorities)
    this.send(port, packet)
  }

  private synchronize(): void {
    const { cid, network } = this.parts
    for (const address of this.due) {
      const sequence = ((this.syncSequences.get(address) ?? 0) + 1) & 255
      this.syncSequences.set(address, sequence)
      const bytes = syncPacket(cid, sequence, address)
      const ports = [...this.ports.values()].filter(({ syncAddress }) => syncAddress === address)
      if (ports.some(({ isMulticast }) => isMulticast)) network.multicast(bytes, address)
      for (const ip of new Set(ports.flatMap(({ addresses }) => addresses))) network.send(bytes, ip)
    }
    this.due.clear()
  }

  private nextSequence(port: Port): number {
    port.sequence = (port.sequence + 1) & 255
    return port.sequence
  }

  private send({ universe, isMulticast, addresses }: Port, bytes: Buffer): void {
    const { network } = this.parts
    if (isMulticast) network.multicast(bytes, universe)
    for (const ip of addresses) network.send(bytes, ip)
  }
}
