import type { Message, Publish, Signal, SignalDefinition, Ttl } from '../../firmware-protocol/wire/message.ts'
import type { Pattern } from '../../firmware-protocol/wire/pattern.ts'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import type { Client } from '../client/client.ts'
import type { Field } from '../config/fields.ts'
import type { Clock } from '../router/clock.ts'
import type { Log } from '../router/log.ts'
import type { MirrorGuard } from './mirror-guard.ts'

/** A foreign protocol: what can be set, and where its code is, which is loaded only when a bridge of the kind is configured. */
export interface BridgeKind<O = unknown> {
  /** As the configuration calls it. */
  readonly kind: string
  readonly description: string
  /** Usual first part of its addresses: `/osc`. */
  readonly namespace: string
  /** Its own settings; their names differ from those that every bridge has (`bridge-entry.ts`). */
  readonly options: Field<O>
  /** What does not fit together in the options, for the operator; undefined: nothing. */
  check?(options: O): string | undefined
  /** False where its peers ask for addresses themselves, so that rules below `map:` have nothing to do. Default true. */
  takesRules?(options: O): boolean
  load(): Promise<OpenBridge<O>>
}

/**
 * Connects to the foreign side. Rejects with an error whose text says what happened, where, and what to do: it is tried
 * again, later and later.
 */
export type OpenBridge<O = unknown> = (context: BridgeContext<O>) => Promise<RunningBridge>

export type BridgeState = 'stopped' | 'starting' | 'running' | 'degraded' | 'stopping'

export interface RunningBridge {
  /** The foreign side was told goodbye and has its safe state, and all sockets and files are closed, when it resolves. */
  stop(): Promise<void>
}

/** What a bridge gets to work with. Everything it starts ends with `stop` of what it returned, or with `signal`. */
export interface BridgeContext<O = unknown> {
  readonly id: string
  /** Starts with a slash, has no slash at its end. */
  readonly namespace: string
  readonly options: O
  readonly clock: Clock
  readonly log: Log
  readonly signal: AbortSignal
  readonly router: BridgeSession
  readonly counters: BridgeCounters
  /** The same one for all bridges. */
  readonly mirrors: MirrorGuard
  /** A folder for what has to survive a restart, such as an identity; undefined: there is none. */
  readonly folder: string | undefined
  /** 0…1. */
  readonly random: () => number
  /** A client of its own for one foreign peer: requests with answers (GET, SET with its ACK, bundles, snapshots). */
  openClient(name: string): Promise<Client>
  /** What was announced and matches, with units and ranges, which the RESULT of a QUERY leaves out. */
  announced(pattern: Pattern): readonly SignalDefinition[]
  /** A program that comes with the runtime; null: it is not installed. */
  program(name: BridgeProgram): Promise<string | null>
  /** Answers requests at the router's own port; see `WebSurface`. */
  readonly web: WebSurface
  /** How it goes. `running` is the state after opening; `degraded`: it works in part, or waits for the foreign side. */
  tell(state: 'running' | 'degraded', reason?: string): void
  /** How many foreign peers there are. */
  setPeers(count: number): void
  /** Something went wrong once: counted, and told at most once a second. `code` is a word for machines. */
  problem(code: string, message: string): void
  /** The foreign side has gone: the bridge is stopped and opened again, later and later. */
  lost(error: Error): void
}

/** Programs in C that come with bridges: `runtime/bridges/<protocol>/c`. */
export type BridgeProgram = 'clasp-dmx'

/** Counted by the bridge, except `in` and `out`, which its session counts. */
export interface BridgeCounters {
  /** Values from the foreign side, and to it. */
  in: number
  out: number
  inDropped: number
  outDropped: number
  errors: number
}

/** A value of the router, for the foreign side. */
export interface Update {
  readonly signal: Signal
  readonly address: string
  /** Null where an event has none. */
  readonly value: Value
  readonly phase?: Publish['phase']
  /** Of a gesture. */
  readonly id?: number
  /** Samples of a stream. */
  readonly samples?: readonly number[]
  /** It was there before the subscription. */
  readonly isInitial: boolean
  /** When that was written, µs of the wall clock; undefined: the router does not say. They come in no order. */
  readonly writtenUs?: number
}

export interface UpdateFilter {
  /** Default: all. */
  readonly types?: readonly Signal[]
  /** Also what this bridge wrote itself. Default false: own values come back only where the router changed them. */
  readonly includesOwn?: boolean
  /** Told of SETs of this bridge that the router refuses, in order with the updates: code and text of its ERROR. */
  readonly onRefused?: (address: string, code: number, text: string) => void
}

/** A bridge as a client of the router. Addresses are whole ones. The rules of `map:` are applied in both directions. */
export interface BridgeSession {
  /** Sets a param. Counted as `in`, as the next two. */
  set(address: string, value: Value, ttl?: Ttl): void
  publish(address: string, signal: Exclude<Signal, 'param'>, value: Value, details?: PublishDetails): void
  /** As one; `timestampUs` (router's wall clock): at that time. */
  bundle(items: readonly BundleItem[], timestampUs?: number): void
  /** Told again from time to time, as the router wants it. Replaces what was announced below `namespace` before. */
  announce(namespace: string, signals: readonly SignalDefinition[]): void
  /** Hands over what there is, then every change, in order. Returns a function that ends it. */
  subscribe(pattern: string, onUpdate: (update: Update) => void, filter?: UpdateFilter): () => void
  /** Sends as it is, without rules and counting. */
  send(message: Message): void
}

export interface PublishDetails {
  readonly phase?: Publish['phase']
  readonly id?: number
  readonly samples?: number[]
  readonly rate?: number
}

export interface BundleItem {
  readonly address: string
  readonly value: Value
  /** Default param. */
  readonly signal?: Signal
}

/** Paths of the router's own HTTP port. A path that ends with a slash stands for all below it. */
export interface WebSurface {
  /** Throws when somebody has the path already. Returns a function that gives it up. */
  route(path: string, handler: WebHandler): () => void
  /** WebSocket upgrades at a path (and below one that ends with a slash). */
  upgrade(path: string, handler: UpgradeHandler): () => void
}

/** As `HttpRoute`, with the body still to be read: the connection is closed after the answer unless `keepOpen` was called. */
export type WebHandler = (
  request: import('node:http').IncomingMessage,
  response: import('node:http').ServerResponse,
  keepOpen: () => void,
) => void

export type UpgradeHandler = (
  request: import('node:http').IncomingMessage,
  socket: import('node:net').Socket,
  head: Buffer,
) => void

/** Checks a kind's types and forgets those of its options: the configuration has checked the values. */
export function defineBridge<O>(kind: BridgeKind<O>): BridgeKind {
  return kind as unknown as BridgeKind
}
