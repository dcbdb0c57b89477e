import { isSameName } from './mdns-records.ts'
import type { DnsPacket } from './mdns-socket.ts'

/** What this router claims: its names, and what it says about them. */
export interface Claim {
  fullName: string
  /** With `.local`. */
  hostName: string
  port: number
  id: string
  /** All addresses of this machine. */
  addresses: readonly string[]
}

/**
 * Who else claims a name of ours. `rivalId` is known when the other is a router of this kind: both then decide by it who
 * gives way, so that two boards from one image do not rename each other for ever.
 */
export interface Conflict {
  over: 'service' | 'host'
  rivalId?: string
}

/** Our own packets come back to us over each interface, so equal data is no conflict. */
export function findConflict({ answers, additionals }: DnsPacket, claim: Claim): Conflict | undefined {
  const records = [...answers, ...additionals].filter(({ ttl }) => ttl > 0)
  for (const record of records) {
    if (record.type === 'TXT' && isSameName(record.name, claim.fullName)) {
      const ids = record.data.map((text) => Buffer.from(text).toString()).filter((text) => text.startsWith('id='))
      const rivalId = ids[0]?.slice(3)
      if (rivalId !== claim.id) return { over: 'service', rivalId }
    }
  }
  for (const record of records) {
    if (record.type === 'SRV' && isSameName(record.name, claim.fullName)) {
      const { port, target } = record.data
      if (port !== claim.port || !isSameName(target, claim.hostName)) return { over: 'service' }
    }
  }
  // A machine may have more IPv4 addresses than it shows at once; it is another only if none of them is ours.
  const foreign = records.filter((record) => record.type === 'A' && isSameName(record.name, claim.hostName))
  const isOurs = foreign.some((record) => record.type === 'A' && claim.addresses.includes(record.data))
  return foreign.length > 0 && !isOurs ? { over: 'host' } : undefined
}
