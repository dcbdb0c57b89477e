import type { MessageCode } from '../../firmware-protocol/wire/constants.ts'

/** Counters and gauges of a running router. Counters only grow; they start at 0 with the process. */
export interface RouterStats {
  name: string
  uptimeSeconds: number
  /** Sessions after HELLO, and connections that have not said it yet. */
  sessions: number
  handshakes: number
  subscriptions: number
  params: number
  /** Bytes that the stored addresses and values take. */
  paramBytes: number
  signals: number
  scheduledBundles: number
  /** Received, by message type. */
  messages: Record<keyof typeof MessageCode, number>
  undecodable: number
  /** Copies handed to sessions. */
  deliveries: number
  /** Copies that a slow or small peer did not get, replaced ones included. */
  drops: number
  /** ERROR messages sent, by code. */
  errors: Record<number, number>
  evictions: number
  expirations: number
}

export interface SessionStats {
  id: string
  name: string
  transport: string
  remote: string
  /** Unix time in microseconds. */
  connectedAt: number
  idleMs: number
  subscriptions: number
  received: number
  delivered: number
  dropped: number
  /** Bytes and messages waiting for this peer. */
  queuedBytes: number
  queuedMessages: number
}
