import { readFileSync } from 'node:fs'
import { BlockList, isIPv6, SocketAddress } from 'node:net'
import { ownInterfaces } from '../own-interfaces.ts'

const TENTATIVE = 0x40
const DUPLICATE = 0x08

/** An IPv4 address of this machine. */
export interface Place {
  readonly family: 'IPv4'
  readonly name: string
  readonly address: string
  readonly netmask: string
  /** Directed broadcast address of its network. */
  readonly broadcast: string
  readonly mac: string
}

/** An IPv6 address of this machine; one that counts on its link only ends with `%` and the interface. */
export interface Place6 {
  readonly family: 'IPv6'
  readonly name: string
  readonly address: string
  /** Bits of its network. */
  readonly prefix: number
}

/** Those of an interface (by its name or its address), or all; loopback only when it is asked for. */
export function networkPlaces(wanted: string | undefined): Place[] {
  const places: Place[] = []
  for (const [name, addresses = []] of Object.entries(ownInterfaces())) {
    for (const { family, address, netmask, internal, mac } of addresses) {
      if (family !== 'IPv4') continue
      const isWanted = wanted === undefined ? !internal : wanted === name || wanted === address
      if (isWanted) places.push(place(name, address, netmask, mac))
    }
  }
  // All of 127/8 is this machine, though no interface lists it.
  if (places.length === 0 && wanted?.startsWith('127.')) {
    places.push(place('lo', wanted, '255.0.0.0', '00:00:00:00:00:00'))
  }
  return places
}

/** The same for IPv6. */
export function networkPlaces6(wanted: string | undefined): Place6[] {
  const places: Place6[] = []
  const unready = unreadyAddresses()
  for (const [name, addresses = []] of Object.entries(ownInterfaces())) {
    for (const { family, address, cidr, internal } of addresses) {
      if (family !== 'IPv6') continue
      const isWanted = wanted === undefined ? !internal : wanted === name || wanted === address
      if (!isWanted || unready.has(`${address} ${name}`)) continue
      const isOfLink = address.startsWith('fe80:')
      const prefix = Number(cidr?.split('/')[1] ?? 128)
      places.push({ family, name, address: isOfLink ? `${address}%${name}` : address, prefix })
    }
  }
  return places
}

/**
 * `address interface` of those that nobody can use: the system still asks whether another machine has them, which takes 1 to
 * 2 s after an interface came up, or one has. Source: RFC 4862 §5.4, if_addr.h.
 */
function unreadyAddresses(): ReadonlySet<string> {
  const unready = new Set<string>()
  let lines: string[]
  try {
    lines = readFileSync('/proc/net/if_inet6', 'latin1').split('\n')
  } catch {
    // There is no IPv6.
    return unready
  }
  for (const line of lines) {
    const [digits, , , , flags, name] = line.trim().split(/\s+/)
    if ((Number.parseInt(flags, 16) & (TENTATIVE | DUPLICATE)) === 0) continue
    const address = digits.match(/.{4}/g)?.join(':') ?? ''
    unready.add(`${new SocketAddress({ address, family: 'ipv6' }).address} ${name}`)
  }
  return unready
}

function place(name: string, address: string, netmask: string, mac: string): Place {
  return { family: 'IPv4', name, address, netmask, broadcast: broadcastOf(address, netmask), mac }
}

/** False, too, where the families differ. */
export function isInNetwork(ip: string, place: Place | Place6): boolean {
  if (isIPv6(ip) !== (place.family === 'IPv6')) return false
  if (place.family === 'IPv6') {
    const network = new BlockList()
    network.addSubnet(withoutZone(place.address), place.prefix, 'ipv6')
    return network.check(withoutZone(ip), 'ipv6')
  }
  const mask = ipNumber(place.netmask)
  return (ipNumber(ip) & mask) === (ipNumber(place.address) & mask)
}

function withoutZone(ip: string): string {
  return ip.split('%')[0]
}

export function broadcastOf(address: string, netmask: string): string {
  const number = (ipNumber(address) | ~ipNumber(netmask)) >>> 0
  return [24, 16, 8, 0].map((shift) => (number >>> shift) & 255).join('.')
}

function ipNumber(ip: string): number {
  return ip.split('.').reduce((number, part) => (number << 8) | Number(part), 0)
}
