import type { RemoteInfo } from 'node:dgram'
import { isInNetwork, type Place } from '../lighting/network-places.ts'
import { UdpPort } from '../lighting/udp-port.ts'
import { groupOf } from './sacn-packet.ts'

export interface SacnNetworkParts {
  readonly places: readonly Place[]
  readonly port: number
  readonly ttl: number
  onMessage(bytes: Buffer, from: RemoteInfo): void
  onError(error: Error): void
  /** A datagram that could not be sent. */
  onUnsent(error: Error | null): void
}

/**
 * The sockets of a bridge: one for each address of this machine, and one for each group. Each is bound to its own address:
 * one at 0.0.0.0 would hear all groups that anybody on this machine has joined, once for each socket; and a system lets a
 * socket join 20 groups only.
 */
export class SacnNetwork {
  private readonly parts: SacnNetworkParts
  private readonly unicast: { readonly place: Place; readonly port: UdpPort }[] = []
  /** One for each interface, however many addresses it has. */
  private readonly casters: { readonly place: Place; readonly port: UdpPort }[] = []
  private readonly groups = new Map<number, UdpPort>()
  private readonly sent: (error: Error | null) => void
  private isClosed = false

  private constructor(parts: SacnNetworkParts) {
    this.parts = parts
    this.sent = (error) => {
      if (error !== null) parts.onUnsent(error)
    }
  }

  static async open(parts: SacnNetworkParts): Promise<SacnNetwork> {
    const network = new SacnNetwork(parts)
    try {
      for (const place of parts.places) {
        const port = await UdpPort.open({ ...parts, address: place.address })
        network.unicast.push({ place, port })
        const isFirst = network.casters.every((other) => interfaceOf(other.place) !== interfaceOf(place))
        if (isFirst) network.casters.push({ place, port })
        port.socket.setMulticastTTL(parts.ttl)
        port.socket.setMulticastInterface(place.address)
      }
    } catch (error) {
      await network.close()
      throw error
    }
    return network
  }

  /** Hears a universe's group on all networks. A text says why not. */
  async join(universe: number): Promise<string | undefined> {
    if (this.groups.has(universe)) return undefined
    const group = groupOf(universe)
    let port: UdpPort
    try {
      port = await UdpPort.open({ ...this.parts, address: group })
    } catch (error) {
      return (error as Error).message
    }
    const joined = new Set<string>()
    for (const place of this.parts.places) {
      const { name, address } = place
      if (joined.has(interfaceOf(place))) continue
      joined.add(interfaceOf(place))
      try {
        port.socket.addMembership(group, address)
      } catch (error) {
        await port.close()
        return `multicast group ${group} (universe ${universe}) cannot be joined on ${name}, ${address}: ${(error as Error).message}; does the network allow multicast?`
      }
    }
    if (this.isClosed || this.groups.has(universe)) await port.close()
    else this.groups.set(universe, port)
    return undefined
  }

  /** To a universe's group on all networks. */
  multicast(bytes: Uint8Array, universe: number): void {
    const group = groupOf(universe)
    for (const { port } of this.casters) this.push(port, bytes, group)
  }

  send(bytes: Uint8Array, ip: string): void {
    const { unicast } = this
    const nearest = unicast.find(({ place }) => isInNetwork(ip, place)) ?? unicast.at(0)
    if (nearest !== undefined) this.push(nearest.port, bytes, ip)
  }

  async close(): Promise<void> {
    this.isClosed = true
    await Promise.all([...this.unicast.map(({ port }) => port), ...this.groups.values()].map((port) => port.close()))
  }

  private push(port: UdpPort, bytes: Uint8Array, address: string): void {
    if (!port.send(bytes, this.parts.port, address, this.sent)) this.parts.onUnsent(null)
  }
}

/** Further addresses of an interface may be called `eth0:1`. */
function interfaceOf({ name }: Place): string {
  return name.split(':')[0]
}
