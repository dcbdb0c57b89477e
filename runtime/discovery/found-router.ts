import { isIPv6 } from 'node:net'
import type { Feature } from '../../firmware-protocol/wire/message.ts'

/** A router that somebody found on the network. */
export interface FoundRouter {
  name: string
  /** For WebSocket clients: `ws://192.168.1.20:7330/clasp`. */
  url: string
  /** For clients of length-prefixed TCP: `tcp://192.168.1.20:7330`. Absent when the router does not say. */
  tcp?: string
  /** IPv4 where there is one, never a link-local IPv6 address. */
  address: string
  features: Feature[]
  via: 'mdns' | 'broadcast'
  /** Of routers of this kind: stays the same over restarts. */
  id: string
}

/** The host part of a URL. */
export function urlHost(address: string): string {
  return isIPv6(address) ? `[${address}]` : address
}
