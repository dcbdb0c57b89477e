import type { RemoteInfo } from 'node:dgram'
import { isInNetwork, type Place, type Place6 } from '../lighting/network-places.ts'
import { UdpPort } from '../lighting/udp-port.ts'
import { groupOf } from './sacn-packet.ts'

export type SacnPlace = Place | Place6

export interface SacnNetworkParts {
  readonly places: readonly SacnPlace[]
  readonly port: number
  readonly ttl: number
  onMessage(bytes: Buffer, from: RemoteInfo): void
  onError(error: Error): void
  /** A datagram that could not be sent. */
  onUnsent(error: Error | null): void
}

interface Opened {
  readonly place: SacnPlace
  readonly port: UdpPort
}

/**
 * The sockets of a bridge: one for each address of this machine, and one for each group. Each is bound to its own address:
 * one at 0.0.0.0 would hear all groups that anybody on this machine has joined, once for each socket; and a system lets a
 * socket join 20 groups only.
 */
export class SacnNetwork {
  private readonly parts: SacnNetworkParts
  private readonly unicast: Opened[] = []
  /** One for each interface and family, however many addresses it has. */
  private readonly casters: Opened[] = []
  private readonly groups = new Map<string, UdpPort>()
  /** Who sends to an address; those are the destinations of the configuration. */
  private readonly routes = new Map<string, UdpPort>()
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
        const isFirst = network.casters.every((other) => linkOf(other.place) !== linkOf(place))
        if (isFirst) network.casters.push({ place, port })
        port.socket.setMulticastTTL(parts.ttl)
        port.socket.setMulticastInterface(memberOf(place))
      }
    } catch (error) {
      await network.close()
      throw error
    }
    return network
  }

  /** Hears a universe's group on all networks. A text says why not. */
  async join(universe: number): Promise<string | undefined> {
    let problem: string | undefined
    for (const family of ['IPv4', 'IPv6'] as const) {
      const places = this.parts.places.filter((place) => place.family === family)
      const group = groupOf(universe, family)
      if (places.length > 0 && !this.groups.has(group))
        problem = (await this.joinGroup(group, universe, places)) ?? problem
    }
    return problem
  }

  /** To a universe's group on all networks. */
  multicast(bytes: Uint8Array, universe: number): void {
    for (const { place, port } of this.casters) this.push(port, bytes, groupOf(universe, place.family))
  }

  send(bytes: Uint8Array, ip: string): void {
    const known = this.routes.get(ip)
    const port = known ?? this.route(ip)
    if (port === undefined) return
    if (known === undefined) this.routes.set(ip, port)
    this.push(port, bytes, ip)
  }

  async close(): Promise<void> {
    this.isClosed = true
    await Promise.all([...this.unicast.map(({ port }) => port), ...this.groups.values()].map((port) => port.close()))
  }

  private async joinGroup(group: string, universe: number, places: readonly SacnPlace[]): Promise<string | undefined> {
    let port: UdpPort
    try {
      port = await UdpPort.open({ ...this.parts, address: group })
    } catch (error) {
      return (error as Error).message
    }
    const joined = new Set<string>()
    for (const place of places) {
      if (joined.has(linkOf(place))) continue
      joined.add(linkOf(place))
      try {
        port.socket.addMembership(group, memberOf(place))
      } catch (error) {
        await port.close()
        return `multicast group ${group} (universe ${universe}) cannot be joined on ${place.name}, ${place.address}: ${(error as Error).message}; does the network allow multicast?`
      }
    }
    if (this.isClosed || this.groups.has(group)) await port.close()
    else this.groups.set(group, port)
    return undefined
  }

  /** From the address whose network it is in, else from the first of its family that routers let pass. */
  private route(ip: string): UdpPort | undefined {
    const family = ip.includes(':') ? 'IPv6' : 'IPv4'
    const own = this.unicast.filter(({ place }) => place.family === family)
    const found =
      own.find(({ place }) => isInNetwork(ip, place)) ??
      own.find(({ place }) => !place.address.includes('%')) ??
      own.at(0)
    return found?.port
  }

  private push(port: UdpPort, bytes: Uint8Array, address: string): void {
    if (!port.send(bytes, this.parts.port, address, this.sent)) this.parts.onUnsent(null)
  }
}

/** Further addresses of an interface may be called `eth0:1`. */
function linkOf({ family, name }: SacnPlace): string {
  return `${family} ${name.split(':')[0]}`
}

/** How the system wants an interface named for multicast: by its address, or in IPv6 by its name. */
function memberOf(place: SacnPlace): string {
  return place.family === 'IPv4' ? place.address : `::%${place.name}`
}
