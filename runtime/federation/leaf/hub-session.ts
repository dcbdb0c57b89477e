import type { Publish, SetParam, SnapshotParam, Ttl, U64 } from '../../../firmware-protocol/wire/message.ts'
import type { Value } from '../../../firmware-protocol/wire/value.ts'

/** Why a link to the hub could not be made or has ended. `words` are for the operator: what happened and what to do. */
export interface LinkProblem {
  kind:
    | 'url'
    | 'name'
    | 'refused'
    | 'unreachable'
    | 'tls'
    | 'not-clasp'
    /** ERROR 300, 302 or 500 as the answer to HELLO. */
    | 'unauthorized'
    | 'timeout'
    /** The hub sent bytes that are no frame. */
    | 'protocol'
    | 'closed'
  words: string
}

/** An ERROR of the hub as the answer to a request. */
export interface Refusal {
  code: number
  message: string
  address?: string
}

/** `lost` = the session ended before the answer came; `discarded` = the hub dropped the frame (429): send it again later. */
export type SetAnswer =
  | { kind: 'stored'; revision: number }
  | { kind: 'refused'; refusal: Refusal }
  | { kind: 'discarded' }
  | { kind: 'lost' }
export type RequestAnswer =
  | { kind: 'done' }
  | { kind: 'refused'; refusal: Refusal }
  | { kind: 'unanswered' }
  | { kind: 'lost' }

export interface ClockSample {
  /** Hub clock minus ours, µs. */
  offsetUs: number
  roundTripUs: number
}

/** What the hub sends on its own account, in the order in which it came. None of them may throw. */
export interface HubSessionHandler {
  /** A broadcast, echoes of our own SETs included. */
  onSet(message: SetParam): void
  onPublish(message: Publish): void
  /** Every SNAPSHOT, also those that answer a request; before the request settles. */
  onSnapshot(params: SnapshotParam[]): void
  /** ERROR 503: the hub dropped broadcasts to us. */
  onOverflow(): void
  /** An ERROR that answers no request that is under way: of a PUBLISH or a SUBSCRIBE. */
  onRefused(refusal: Refusal): void
  /** Once, when an open session has ended, whoever closed. Everything under way has settled as `lost` before. */
  onEnded(problem: LinkProblem): void
  /** There is room again after `canSend` was false. */
  onRoom(): void
}

export interface HubSessionOptions {
  url: string
  token?: string
  /** HELLO name: the router id. */
  name: string
  /** With the federation bit (FC) or as an ordinary client (F8). */
  isPeer: boolean
  /** Frames per second; 0 = unlimited until the hub answers 429. */
  rate: number
  /** Un-answered SETs. */
  window: number
  connectTimeoutMs: number
  answerTimeoutMs: number
  /** PEM file of an authority for `wss://` and `tls://`, besides those of the system. */
  ca?: string
}

/**
 * One session at a hub, open from WELCOME on. It keeps the hub's frame rate (federation.md §13.5.5: 429 halves it, and
 * PINGs find out what was discarded), matches answers to requests, and notices when the hub is gone (§13.10: PING when
 * nothing was heard for 30 s). Requests settle in every case, at the latest with the end of the session; none rejects.
 */
export interface HubSession {
  /** As the hub names it: the writer of what we set there. */
  readonly id: string
  readonly hubName: string
  /** WELCOME had the federation bit: a hub like ours. */
  readonly isFederatingHub: boolean
  /** Rate and window let one more SET out now. */
  readonly canSend: boolean
  /** Frames per second that are sent at most now; Infinity = unlimited. */
  readonly rate: number
  readonly counters: HubSessionCounters
  /** One SET without revision and lock. Never two under way for one address: that is the caller's part. */
  set(address: string, value: Value, ttl?: Ttl): Promise<SetAnswer>
  /** SETs as one frame. `done` says only that the hub took it; at most one BUNDLE or DECLARE is under way, others queue. */
  bundle(sets: SetParam[]): Promise<RequestAnswer>
  /** False = there is no room, nothing was sent. */
  publish(message: Publish): boolean
  /** `unanswered` after `timeoutMs`: the hub does not know federation. */
  declare(namespaces: string[], routerId: string, timeoutMs: number): Promise<RequestAnswer>
  /** `done` with SYNC_COMPLETE; the SNAPSHOTs went to the handler before. */
  requestSync(pattern: string): Promise<RequestAnswer>
  /** REVISION_VECTOR and PING: `done` when every answer has come. Splits nothing: at most 60 KiB. */
  revisionVector(revisions: [string, U64][]): Promise<RequestAnswer>
  get(address: string): void
  subscribe(id: number, pattern: string): void
  unsubscribe(id: number): void
  /** PING: `done` when every answer to what was sent before has come. */
  barrier(): Promise<RequestAnswer>
  /** SYNC; undefined when it was not answered. */
  sampleClock(): Promise<ClockSample | undefined>
  close(): void
}

export interface HubSessionCounters {
  framesSent: number
  framesReceived: number
  /** ERROR 429. */
  throttled: number
}
