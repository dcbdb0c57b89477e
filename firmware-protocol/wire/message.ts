import type { Value } from './value.ts'

/**
 * Decoded messages. Field names follow the wire reference §6; u64 fields are numbers up to 2^53−1 and bigint beyond.
 * The router's hot path reads SET and PUBLISH straight from the frame and never builds these objects.
 */
export type U64 = number | bigint

export type Feature = 'param' | 'event' | 'stream' | 'gesture' | 'timeline' | 'federation'
export type Signal = 'param' | 'event' | 'stream' | 'gesture' | 'timeline'
export type Phase = 'start' | 'move' | 'end' | 'cancel'
export type Ttl = { mode: 'never' } | { mode: 'sliding' | 'absolute'; seconds: number }

export interface SignalDefinition {
  address: string
  type: Signal
  datatype?: string
  access?: string
  meta?: { unit?: string; range?: [number, number]; default?: Value; description?: string }
}

export interface SubscribeOptions {
  /** Updates per second. */
  maxRate?: number
  epsilon?: number
  /** Messages. */
  history?: number
  /** Milliseconds. */
  window?: number
}

export interface SnapshotParam {
  address: string
  value: Value
  revision: U64
  writer?: string
  /** Microseconds since the Unix epoch. */
  timestamp?: U64
}

export type Easing = 'linear' | 'ease-in' | 'ease-out' | 'ease-in-out' | 'step' | 'cubic-bezier'
export interface Keyframe {
  /** Microseconds from the start. */
  time: number
  value: Value
  easing: Easing
  bezier?: [number, number, number, number]
}
export interface Timeline {
  keyframes: Keyframe[]
  loop: boolean
  /** Router time in microseconds. */
  startTime?: U64
  /** Microseconds. */
  duration?: U64
}

export type FederationOp = 'declare_namespaces' | 'request_sync' | 'revision_vector' | 'sync_complete'

export interface Hello {
  type: 'HELLO'
  version: number
  /** Names that have no bit are kept from legacy peers and dropped by the encoder. */
  features: string[]
  name: string
  token?: string
  capabilities?: { encryption: boolean; compression?: string }
}
export interface Welcome {
  type: 'WELCOME'
  version: number
  /** Names that have no bit are kept from legacy peers and dropped by the encoder. */
  features: string[]
  time: U64
  session: string
  name: string
  token?: string
}
export interface Announce {
  type: 'ANNOUNCE'
  namespace: string
  signals: SignalDefinition[]
  meta?: (readonly [string, Value])[]
}
export interface FederationSync {
  type: 'FEDERATION_SYNC'
  op: FederationOp
  patterns: string[]
  revisions: [string, U64][]
  sinceRevision?: U64
  origin?: string
}
/** An empty list of types means all. */
export interface Subscribe {
  type: 'SUBSCRIBE'
  id: number
  pattern: string
  types: Signal[]
  options?: SubscribeOptions
}
export interface Unsubscribe {
  type: 'UNSUBSCRIBE'
  id: number
}
/** `signal` and `phase` are absent only when a legacy peer left them out. */
export interface Publish {
  type: 'PUBLISH'
  address: string
  signal?: Signal
  phase?: Phase
  value?: Value
  payload?: Value
  samples?: number[]
  rate?: number
  id?: number
  timestamp?: U64
  timeline?: Timeline
}
export interface SetParam {
  type: 'SET'
  address: string
  value: Value
  revision?: U64
  lock?: boolean
  unlock?: boolean
  ttl?: Ttl
}
export interface Get {
  type: 'GET'
  address: string
}
export interface Snapshot {
  type: 'SNAPSHOT'
  params: SnapshotParam[]
}
export interface Replay {
  type: 'REPLAY'
  pattern: string
  from?: U64
  to?: U64
  limit?: number
  types: Signal[]
}
export interface Bundle {
  type: 'BUNDLE'
  timestamp?: U64
  messages: Message[]
}
export interface Sync {
  type: 'SYNC'
  t1: U64
  t2?: U64
  t3?: U64
}
export interface Ping {
  type: 'PING'
}
export interface Pong {
  type: 'PONG'
}
export interface Ack {
  type: 'ACK'
  address?: string
  revision?: U64
  locked?: boolean
  holder?: string
  correlationId?: number
}
export interface ErrorMessage {
  type: 'ERROR'
  code: number
  message: string
  address?: string
  correlationId?: number
}
export interface Query {
  type: 'QUERY'
  pattern: string
}
export interface Result {
  type: 'RESULT'
  signals: SignalDefinition[]
}

export type Message =
  | Hello
  | Welcome
  | Announce
  | FederationSync
  | Subscribe
  | Unsubscribe
  | Publish
  | SetParam
  | Get
  | Snapshot
  | Replay
  | Bundle
  | Sync
  | Ping
  | Pong
  | Ack
  | ErrorMessage
  | Query
  | Result
