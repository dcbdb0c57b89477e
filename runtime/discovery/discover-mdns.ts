import { DEFAULT_PORT } from '../../firmware-protocol/wire/constants.ts'
import { type Clock, systemClock, type Timer } from '../router/clock.ts'
import { type FoundRouter, urlHost } from './found-router.ts'
import { featuresOfLetters, isSameName, SERVICE_TYPE } from './mdns-records.ts'
import { type DnsRecord, localNetworks, type MdnsSocket, openMdns } from './mdns-socket.ts'

export interface MdnsSearch {
  /** Ends the search. */
  signal: AbortSignal
  onFound(router: FoundRouter): void
  /** Names of interfaces; default: all but loopback. */
  only?: readonly string[]
  clock?: Clock
}

/** Multicast gets lost, on radio most of all. */
const ASK_AGAIN_MS = [150, 1000, 2000]

/**
 * Asks every network for `_clasp._tcp` and reports what answers, until the signal is aborted. A router without mDNS, and a
 * network on which port 5353 cannot be had, are just not found this way. Resolves when the sockets are closed.
 */
export async function seekByMdns({ signal, onFound, only, clock = systemClock }: MdnsSearch): Promise<void> {
  const sockets: MdnsSocket[] = []
  const timers: Timer[] = []
  for (const network of localNetworks(only)) {
    const socket = await openMdns(network, () => {}).catch(() => undefined)
    if (socket === undefined) continue
    sockets.push(socket)
    const known: DnsRecord[] = []
    socket.onResponse(({ answers, additionals }, from) => {
      known.push(...answers, ...additionals)
      for (const router of routersIn(known, from.address)) onFound(router)
    })
    const ask = () => socket.query([{ name: SERVICE_TYPE, type: 'PTR' }])
    ask()
    for (const delayMs of ASK_AGAIN_MS) timers.push(clock.timer(delayMs, ask))
  }
  if (!signal.aborted) {
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
  }
  for (const timer of timers) timer.cancel()
  await Promise.all(sockets.map((socket) => socket.close()))
}

/** The routers whose records are complete enough to connect to. `source` stands in for an address that was not sent. */
export function routersIn(records: readonly DnsRecord[], source: string): FoundRouter[] {
  const routers: FoundRouter[] = []
  const services = new Set(
    records.flatMap((record) =>
      record.type === 'PTR' && record.ttl > 0 && isSameName(record.name, SERVICE_TYPE) ? [record.data] : [],
    ),
  )
  for (const service of services) {
    const srv = records.findLast((record) => record.type === 'SRV' && isSameName(record.name, service))
    if (srv?.type !== 'SRV') continue
    const txt = records.findLast((record) => record.type === 'TXT' && isSameName(record.name, service))
    const facts = txt?.type === 'TXT' ? txtFacts(txt.data) : new Map<string, string>()
    const { port, target } = srv.data
    const addresses = records.flatMap((record) =>
      (record.type === 'A' || record.type === 'AAAA') && isSameName(record.name, target) ? [record.data] : [],
    )
    // A link-local address means nothing without an interface, which URLs cannot name: the packet's source does better.
    const isGlobal = (candidate: string) => !/^fe[89ab]/i.test(candidate)
    const address = addresses.find((candidate) => !candidate.includes(':')) ?? addresses.find(isGlobal) ?? source
    const host = urlHost(address)
    const scheme = facts.get('tls') === '1' ? 'wss' : 'ws'
    const tcp = facts.get('tcp')
    routers.push({
      name: facts.get('name') ?? service.slice(0, -SERVICE_TYPE.length - 1),
      url: `${scheme}://${host}:${portOf(facts.get('ws')) ?? port ?? DEFAULT_PORT}${facts.get('path') ?? '/clasp'}`,
      tcp: tcp === undefined ? undefined : `tcp://${host}:${tcp}`,
      address,
      features: featuresOfLetters(facts.get('features') ?? ''),
      via: 'mdns',
      id: facts.get('id') ?? service,
    })
  }
  return routers
}

function txtFacts(strings: readonly (string | Uint8Array)[]): Map<string, string> {
  const facts = new Map<string, string>()
  for (const entry of strings) {
    const text = Buffer.from(entry).toString()
    const equals = text.indexOf('=')
    if (equals > 0) facts.set(text.slice(0, equals), text.slice(equals + 1))
  }
  return facts
}

function portOf(text: string | undefined): number | undefined {
  const port = Number(text)
  return Number.isInteger(port) && port > 0 && port < 65_536 ? port : undefined
}
