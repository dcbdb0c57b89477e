import { BlockList, isIPv4 } from 'node:net'
import { networkInterfaces } from 'node:os'

/** DNS records in the shape of the library that puts them on the wire. */
export type DnsRecord =
  | { name: string; type: 'PTR'; ttl: number; data: string }
  | { name: string; type: 'SRV'; ttl: number; flush: boolean; data: { port: number; target: string } }
  | { name: string; type: 'TXT'; ttl: number; flush: boolean; data: (string | Uint8Array)[] }
  | { name: string; type: 'A' | 'AAAA'; ttl: number; flush: boolean; data: string }

export interface DnsQuestion {
  name: string
  type: string
}

export interface DnsPacket {
  id: number
  questions: DnsQuestion[]
  answers: DnsRecord[]
  additionals: DnsRecord[]
}

export interface DnsPeer {
  address: string
  port: number
}

/** The part of the library's multicast socket that is used here. */
interface MulticastDns {
  on(event: 'query' | 'response', listener: (packet: DnsPacket, from: DnsPeer) => void): void
  on(event: 'error' | 'warning', listener: (error: Error) => void): void
  on(event: 'ready', listener: () => void): void
  removeAllListeners(event: 'query'): void
  query(packet: { questions: DnsQuestion[] }, sent?: (error?: Error | null) => void): void
  respond(packet: Partial<DnsPacket>, to: DnsPeer | null, sent: (error?: Error | null) => void): void
  destroy(closed: () => void): void
}

/** One network interface that mDNS may use. */
export interface LocalNetwork {
  interfaceName: string
  /** Its first IPv4 address: the one that mDNS packets leave from. */
  address: string
  ipv4: string[]
  ipv6: string[]
  /** Addresses that are reached over this interface directly. */
  neighbours: BlockList
}

/** mDNS on one interface. The library's own responder is off: it puts the addresses of all interfaces into one answer. */
export interface MdnsSocket {
  readonly network: LocalNetwork
  onQuery(listener: (packet: DnsPacket, from: DnsPeer) => void): void
  onResponse(listener: (packet: DnsPacket, from: DnsPeer) => void): void
  query(questions: DnsQuestion[]): void
  /** To the group, or to one peer. Resolves when it has left, or has failed to. */
  respond(packet: Partial<DnsPacket>, to?: DnsPeer): Promise<void>
  close(): Promise<void>
}

/** The interfaces with an IPv4 address; loopback only when it is named. */
export function localNetworks(only?: readonly string[]): LocalNetwork[] {
  return Object.entries(networkInterfaces()).flatMap(([interfaceName, addresses = []]) => {
    const ipv4 = addresses.filter(({ family }) => family === 'IPv4')
    const isWanted = only === undefined ? ipv4.some(({ internal }) => !internal) : only.includes(interfaceName)
    if (ipv4.length === 0 || !isWanted) return []
    const neighbours = new BlockList()
    for (const { address, cidr } of ipv4) neighbours.addSubnet(address, Number(cidr?.split('/')[1] ?? 32), 'ipv4')
    const ipv6 = addresses.filter(({ family }) => family === 'IPv6').map(({ address }) => address)
    const addresses4 = ipv4.map(({ address }) => address)
    return [{ interfaceName, address: addresses4[0], ipv4: addresses4, ipv6, neighbours }]
  })
}

/** Rejects when port 5353 cannot be bound. `onFailure` is called for what goes wrong later; the socket is useless then. */
export async function openMdns(network: LocalNetwork, onFailure: (error: Error) => void): Promise<MdnsSocket> {
  const { Bonjour } = await import('./bonjour-library.ts')
  // Bound to all addresses, because a socket bound to one does not hear the group.
  const options = { interface: network.address, bind: '0.0.0.0' }
  const bonjour = new Bonjour(options as object, onFailure)
  const { mdns } = (bonjour as unknown as { server: { mdns: MulticastDns } }).server
  mdns.removeAllListeners('query')
  mdns.on('warning', () => {}) // Packets of others that cannot be decoded.
  const close = () => new Promise<void>((resolve) => mdns.destroy(resolve))
  await new Promise<void>((resolve, reject) => {
    let isOpen = false
    mdns.on('error', (error) => {
      if (isOpen) onFailure(error)
      else close().finally(() => reject(error))
    })
    mdns.on('ready', () => {
      isOpen = true
      resolve()
    })
  })

  /** Every socket on port 5353 hears every interface; each packet is for the one whose network it came from. */
  const concerns = ({ address }: DnsPeer) =>
    !isIPv4(address) || network.neighbours.check(address) || network.ipv4.includes(address)
  return {
    network,
    onQuery: (listener) => mdns.on('query', (packet, from) => concerns(from) && listener(packet, from)),
    onResponse: (listener) => mdns.on('response', (packet, from) => concerns(from) && listener(packet, from)),
    query: (questions) => mdns.query({ questions }),
    respond: (packet, to) => new Promise((resolve) => mdns.respond(packet, to ?? null, () => resolve())),
    close,
  }
}
