import { networkInterfaces } from 'node:os'
import type { Clock, Timer } from '../../router/clock.ts'

const LOOK_EVERY_MS = 10_000

/** An IPv4 address of this machine. */
export interface Place {
  readonly name: string
  readonly address: string
  readonly netmask: string
  /** Directed broadcast address of its network. */
  readonly broadcast: string
  readonly mac: string
}

/** Those of an interface (by its name or its address), or all; loopback only when it is asked for. */
export function networkPlaces(wanted: string | undefined): Place[] {
  const places: Place[] = []
  for (const [name, addresses = []] of Object.entries(networkInterfaces())) {
    for (const { family, address, netmask, internal, mac } of addresses) {
      if (family !== 'IPv4') continue
      const isWanted = wanted === undefined ? !internal : wanted === name || wanted === address
      if (isWanted) places.push({ name, address, netmask, broadcast: broadcastOf(address, netmask), mac })
    }
  }
  // All of 127/8 is this machine, though no interface lists it.
  if (places.length === 0 && wanted?.startsWith('127.')) {
    const [netmask, mac] = ['255.0.0.0', '00:00:00:00:00:00']
    places.push({ name: 'lo', address: wanted, netmask, broadcast: broadcastOf(wanted, netmask), mac })
  }
  return places
}

/** Calls once when the addresses are others than `known`: a cable was pulled, or DHCP has answered. Returns what ends it. */
export function watchPlaces(
  clock: Clock,
  wanted: string | undefined,
  known: readonly Place[],
  onChange: () => void,
): () => void {
  const text = JSON.stringify(known)
  let timer: Timer
  const look = () => {
    if (JSON.stringify(networkPlaces(wanted)) === text) timer = clock.timer(LOOK_EVERY_MS, look)
    else onChange()
  }
  timer = clock.timer(LOOK_EVERY_MS, look)
  return () => timer.cancel()
}

export function isInNetwork(ip: string, { address, netmask }: Place): boolean {
  const mask = ipNumber(netmask)
  return (ipNumber(ip) & mask) === (ipNumber(address) & mask)
}

export function broadcastOf(address: string, netmask: string): string {
  const number = (ipNumber(address) | ~ipNumber(netmask)) >>> 0
  return [24, 16, 8, 0].map((shift) => (number >>> shift) & 255).join('.')
}

function ipNumber(ip: string): number {
  return ip.split('.').reduce((number, part) => (number << 8) | Number(part), 0)
}
