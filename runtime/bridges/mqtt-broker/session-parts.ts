import type { BrokerSession } from './broker-session.ts'
import type { ProtocolVersion } from './packet-decoder.ts'

/** What a session needs of its connection. */
export interface SessionConnection {
  readonly version: ProtocolVersion
  /** Messages with QoS 1 and 2 that the client takes at a time. */
  readonly receiveMaximum: number
  /** Longer packets are not for this client. */
  readonly maxPacketBytes: number
  /** More bytes wait than it should. */
  readonly isCongested: boolean
  write(bytes: Buffer): void
}

/** Keeps sessions that outlive their connections on the disk. */
export interface SessionKeeping {
  touch(session: BrokerSession): void
  deliveryOver(session: BrokerSession, record: number): void
}

export interface SessionParts {
  readonly clientId: string
  readonly owner: string | undefined
  /** Messages that wait for a client that is away or slow. */
  readonly maxQueued: number
  now(): number
  onSent(): void
  onDropped(): void
}
