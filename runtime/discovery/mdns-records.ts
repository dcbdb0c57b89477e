import { MDNS_SERVICE } from '../../firmware-protocol/wire/constants.ts'
import type { Feature } from '../../firmware-protocol/wire/message.ts'
import type { DnsPacket, DnsQuestion, DnsRecord } from './mdns-socket.ts'

export const SERVICE_TYPE = `_${MDNS_SERVICE}._tcp.local`
const SERVICE_LIST = '_services._dns-sd._udp.local'

const SERVICE_TTL = 4500
const HOST_TTL = 120
/** The Arduino reader cuts longer packets (transport reference §11.2). */
const MAX_ANSWER_BYTES = 512
const MAX_LABEL_BYTES = 63

export interface Advert {
  /** What people see; unique on the network. At most 63 bytes. */
  instance: string
  /** Without `.local`. */
  host: string
  port: number
  /** `key=value`, in order. */
  txt: string[]
}

export interface TxtFacts {
  name: string
  features: readonly Feature[]
  id: string
  ws: number
  tcp?: number
  udp?: number
  isTls?: boolean
  needsAuth?: boolean
}

const FEATURE_LETTERS: readonly [Feature, string][] = [
  ['param', 'p'],
  ['stream', 's'],
  ['event', 'e'],
  ['timeline', 't'],
  ['gesture', 'g'],
]

/** The TXT strings in the order that readers know, ours behind them. Transport reference §11.1. */
export function txtStrings({ name, features, id, ws, tcp, udp, isTls, needsAuth }: TxtFacts): string[] {
  const letters = FEATURE_LETTERS.filter(([feature]) => features.includes(feature)).map(([, letter]) => letter)
  return [
    'version=2',
    `name=${name}`,
    `features=${letters.join('')}`,
    `ws=${ws}`,
    ...(tcp === undefined ? [] : [`tcp=${tcp}`]),
    ...(udp === undefined ? [] : [`udp=${udp}`]),
    `id=${id}`,
    'role=leaf',
    'path=/clasp',
    ...(isTls ? ['tls=1'] : []),
    ...(needsAuth ? ['auth=1'] : []),
  ]
}

export function featuresOfLetters(letters: string): Feature[] {
  return FEATURE_LETTERS.filter(([, letter]) => letters.includes(letter)).map(([feature]) => feature)
}

/** The nth choice of an instance name: `Leaf`, `Leaf (2)` … cut to what a DNS label holds. */
export function instanceName(name: string, choice: number): string {
  const suffix = choice > 1 ? ` (${choice})` : ''
  let text = name
  while (Buffer.byteLength(text + suffix) > MAX_LABEL_BYTES) text = [...text].slice(0, -1).join('')
  return text + suffix
}

/** The full name of a service. The library cannot escape a dot within a label, so dots give way. */
export function fullName(instance: string): string {
  return `${instance.replaceAll('.', '-')}.${SERVICE_TYPE}`
}

export class AdvertRecords {
  readonly pointer: DnsRecord
  readonly service: DnsRecord
  readonly text: DnsRecord
  readonly addresses4: DnsRecord[]
  readonly addresses6: DnsRecord[]
  private readonly hostName: string
  private readonly fullName: string

  constructor({ instance, host, port, txt }: Advert, ipv4: readonly string[], ipv6: readonly string[]) {
    const name = fullName(instance)
    const target = `${host}.local`
    this.fullName = name
    this.hostName = target
    this.pointer = { name: SERVICE_TYPE, type: 'PTR', ttl: SERVICE_TTL, data: name }
    this.service = { name, type: 'SRV', ttl: HOST_TTL, flush: true, data: { port, target } }
    this.text = { name, type: 'TXT', ttl: SERVICE_TTL, flush: true, data: txt }
    const address = (type: 'A' | 'AAAA') => (data: string) =>
      ({ name: target, type, ttl: HOST_TTL, flush: true, data }) satisfies DnsRecord
    this.addresses4 = ipv4.map(address('A'))
    this.addresses6 = ipv6.map(address('AAAA'))
  }

  /** What is said unasked. */
  announcement(): Pick<DnsPacket, 'answers'> {
    return { answers: [this.pointer, this.text, ...this.addresses6, this.service, ...this.addresses4] }
  }

  /** The addresses stay: they belong to the machine, and others may publish them too. */
  goodbye(): Pick<DnsPacket, 'answers'> {
    return { answers: [this.pointer, this.service, this.text].map((record) => ({ ...record, ttl: 0 })) }
  }

  /** Undefined when the question is not about this router, or the asker knows the answer already. */
  answer(
    { name, type }: DnsQuestion,
    known: readonly DnsRecord[],
  ): Pick<DnsPacket, 'answers' | 'additionals'> | undefined {
    const asks = (owner: string, ...types: string[]) => isSameName(name, owner) && ['ANY', ...types].includes(type)
    if (asks(SERVICE_TYPE, 'PTR')) {
      if (known.some((record) => this.isPointer(record) && record.ttl >= SERVICE_TTL / 2)) return undefined
      return fitting([this.pointer], [this.text, ...this.addresses6, this.service, ...this.addresses4])
    }
    if (asks(SERVICE_LIST, 'PTR')) {
      const answers: DnsRecord[] = [{ name: SERVICE_LIST, type: 'PTR', ttl: SERVICE_TTL, data: SERVICE_TYPE }]
      return { answers, additionals: [] }
    }
    if (asks(this.fullName, 'SRV')) {
      const answers = type === 'ANY' ? [this.service, this.text] : [this.service]
      return fitting(answers, [...this.addresses6, ...this.addresses4])
    }
    if (asks(this.fullName, 'TXT')) return { answers: [this.text], additionals: [] }
    const hostRecords = [...this.addresses4, ...this.addresses6]
    if (asks(this.hostName, 'A', 'AAAA')) {
      const answers = hostRecords.filter((record) => type === 'ANY' || record.type === type)
      return answers.length > 0 ? { answers, additionals: [] } : undefined
    }
    return undefined
  }

  private isPointer(record: DnsRecord): boolean {
    return record.type === 'PTR' && isSameName(record.name, SERVICE_TYPE) && isSameName(record.data, this.fullName)
  }
}

/** DNS names compare without case (RFC 6762 §16). */
export function isSameName(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase()
}

/** Leaves out what a reader can do without: IPv6 addresses first, then the text. */
function fitting(answers: DnsRecord[], additionals: DnsRecord[]): Pick<DnsPacket, 'answers' | 'additionals'> {
  const kept = [...additionals]
  for (const expendable of ['AAAA', 'TXT'] as const) {
    for (let i = kept.length - 1; i >= 0 && packetBytes([...answers, ...kept]) > MAX_ANSWER_BYTES; i--) {
      if (kept[i].type === expendable) kept.splice(i, 1)
    }
  }
  return { answers, additionals: kept }
}

/** Length on the wire; the library does not compress names. */
function packetBytes(records: readonly DnsRecord[]): number {
  return records.reduce((sum, record) => sum + nameBytes(record.name) + 10 + dataBytes(record), 12)
}

function dataBytes(record: DnsRecord): number {
  if (record.type === 'PTR') return nameBytes(record.data)
  if (record.type === 'SRV') return 6 + nameBytes(record.data.target)
  if (record.type === 'TXT') return record.data.reduce((sum, text) => sum + 1 + Buffer.byteLength(text), 0)
  return record.type === 'A' ? 4 : 16
}

function nameBytes(name: string): number {
  return Buffer.byteLength(name) + 2
}
