import { crc32 } from '../../../firmware-protocol/link/crc.ts'
import type { OutgoingParts, PublishProperties, Qos } from './outgoing.ts'

export interface StoredSubscription {
  /** As it was given, `$share/…` included. */
  readonly name: string
  readonly qos: Qos
  readonly isNoLocal: boolean
  readonly keepsRetainFlag: boolean
  readonly identifier: number
}

/** A message with QoS 1 or 2 that its client has not got, or has not acknowledged. */
export interface StoredDelivery {
  /** Number of its record, above 0; a later one has a higher number. */
  readonly record: number
  /** 0: it waits. */
  readonly messageId: number
  readonly isReceived: boolean
  readonly qos: Qos
  readonly isRetained: boolean
  readonly subscriptionIds: readonly number[]
  /** `expiresAtMs` is of the wall clock here; Infinity: never. */
  readonly message: OutgoingParts
}

export interface SessionFacts {
  readonly clientId: string
  readonly owner: string | undefined
  readonly expirySeconds: number
  /** When its connection ended, ms of the wall clock; null: it had one. */
  readonly leftAtMs: number | null
  readonly received: readonly number[]
  readonly subscriptions: readonly StoredSubscription[]
}

export interface StoredSession extends SessionFacts {
  /** By record number, which is their order. */
  readonly deliveries: Map<number, StoredDelivery>
}

/**
 * The file is lines of text: CRC-32 in eight hexadecimal digits, a space, a JSON array. By its first element:
 *
 * | element | means | the others |
 * |---|---|---|
 * | s | a session, whose deliveries stay | client id, owner or null, expiry s, left ms or null, received ids, subscriptions |
 * | m | a delivery is added | client id, delivery; payload and correlation data in base64 |
 * | i | it has been sent | client id, record, packet id, 1 when PUBREC has come |
 * | d | deliveries are over | client id, records |
 * | e | the session is over | client id |
 */
type Line =
  | readonly ['s', string, string | null, number, number | null, readonly number[], readonly StoredSubscription[]]
  | readonly ['m', string, WrittenDelivery]
  | readonly ['i', string, number, number, 0 | 1]
  | readonly ['d', string, readonly number[]]
  | readonly ['e', string]

type WrittenMessage = Omit<OutgoingParts, 'payload' | 'properties' | 'expiresAtMs'> & {
  readonly payload: string
  readonly properties?: Omit<PublishProperties, 'correlationData'>
  readonly correlationData?: string
  readonly expiresAtMs?: number
}
type WrittenDelivery = Omit<StoredDelivery, 'message'> & { readonly message: WrittenMessage }

const CRC_DIGITS = 8

export function sessionLine({ clientId, owner, expirySeconds, leftAtMs, received, subscriptions }: SessionFacts) {
  return lineOf(['s', clientId, owner ?? null, expirySeconds, leftAtMs, received, subscriptions])
}

export function deliveryLine(clientId: string, delivery: StoredDelivery): string {
  const { payload, properties: { correlationData, ...properties } = {}, expiresAtMs, ...rest } = delivery.message
  const message: WrittenMessage = {
    ...rest,
    payload: payload.toString('base64'),
    properties: Object.keys(properties).length > 0 ? properties : undefined,
    correlationData: correlationData?.toString('base64'),
    expiresAtMs: Number.isFinite(expiresAtMs) ? expiresAtMs : undefined,
  }
  return lineOf(['m', clientId, { ...delivery, message }])
}

export function sentLine(clientId: string, record: number, messageId: number, isReceived: boolean): string {
  return lineOf(['i', clientId, record, messageId, isReceived ? 1 : 0])
}

export function overLine(clientId: string, records: readonly number[]): string {
  return lineOf(['d', clientId, records])
}

export function endLine(clientId: string): string {
  return lineOf(['e', clientId])
}

/** Applies one line; false when it is torn or spoilt: what comes behind it cannot be trusted either. */
export function applyLine(text: string, sessions: Map<string, StoredSession>): boolean {
  const json = text.slice(CRC_DIGITS + 1)
  if (text[CRC_DIGITS] !== ' ' || text.slice(0, CRC_DIGITS) !== crcOf(json)) return false
  const line = JSON.parse(json) as Line
  const known = sessions.get(line[1])
  if (line[0] === 's') {
    const [, clientId, owner, expirySeconds, leftAtMs, received, subscriptions] = line
    const deliveries = known?.deliveries ?? new Map<number, StoredDelivery>()
    const facts = { clientId, owner: owner ?? undefined, expirySeconds, leftAtMs, received, subscriptions }
    sessions.set(clientId, { ...facts, deliveries })
  } else if (line[0] === 'e') {
    sessions.delete(line[1])
  } else if (line[0] === 'm') {
    known?.deliveries.set(line[2].record, readDelivery(line[2]))
  } else if (line[0] === 'd') {
    for (const record of line[2]) known?.deliveries.delete(record)
  } else {
    const [, , record, messageId, isReceived] = line
    const delivery = known?.deliveries.get(record)
    if (delivery !== undefined) known?.deliveries.set(record, { ...delivery, messageId, isReceived: isReceived === 1 })
  }
  return true
}

function readDelivery({ message, ...delivery }: WrittenDelivery): StoredDelivery {
  const { payload, properties, correlationData, expiresAtMs = Number.POSITIVE_INFINITY, ...rest } = message
  const isPlain = properties === undefined && correlationData === undefined
  const correlation = correlationData === undefined ? {} : { correlationData: Buffer.from(correlationData, 'base64') }
  return {
    ...delivery,
    message: {
      ...rest,
      payload: Buffer.from(payload, 'base64'),
      properties: isPlain ? undefined : { ...properties, ...correlation },
      expiresAtMs,
    },
  }
}

function lineOf(line: Line): string {
  const json = JSON.stringify(line)
  return `${crcOf(json)} ${json}\n`
}

function crcOf(json: string): string {
  const bytes = Buffer.from(json)
  return crc32(bytes, 0, bytes.length).toString(16).padStart(CRC_DIGITS, '0')
}
