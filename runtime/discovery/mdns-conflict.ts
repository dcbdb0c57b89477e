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

/**
 * Our own packets come back to us over each interface, some after a change of name: what bears our id is ours. Undefined
 * when nobody else claims a name.
 */
export function findConflict({ answers, additionals }: DnsPacket, claim: Claim): Conflict | undefined {
  const records = [...answers, ...additionals].filter(({ ttl }) => ttl > 0)
  let isOurs = false
  for (const record of records) {
    if (record.type !== 'TXT' || !isSameName(record.name, claim.fullName)) continue
    const rivalId = idIn(record.data)
    if (rivalId !== claim.id) return { over: 'service', rivalId }
    isOurs = true
  }
  for (const record of records) {
    if (isOurs || record.type !== 'SRV' || !isSameName(record.name, claim.fullName)) continue
    const { port, target } = record.data
    if (port !== claim.port || !isSameName(target, claim.hostName)) return { over: 'service' }
  }
  // Another responder of this machine may list addresses of more interfaces than we use; it is another machine only if
  // none of them is ours.
  const addresses = records.filter(({ type, name }) => type === 'A' && isSameName(name, claim.hostName))
  const isThisMachine = addresses.some(({ data }) => claim.addresses.includes(String(data)))
  return addresses.length > 0 && !isThisMachine ? { over: 'host' } : undefined
}

function idIn(strings: readonly (string | Uint8Array)[]): string | undefined {
  return strings
    .map((text) => Buffer.from(text).toString())
    .find((text) => text.startsWith('id='))
    ?.slice(3)
}
