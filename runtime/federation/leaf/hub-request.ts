import type { Timer } from '../../router/clock.ts'
import type { ClockSample, RequestAnswer, SetAnswer } from './hub-session.ts'

/** What is sent to a hub, once and perhaps again. A new one has `seq` 0. */
export interface Sent {
  frame: Uint8Array
  /** Place in the order of sending, from 1. */
  seq: number
  sentAt: number
  /** How often it has been sent. */
  attempts: number
}

export interface SetRequest extends Sent {
  kind: 'set'
  address: string
  settle(answer: SetAnswer): void
}

/** DECLARE and BUNDLE are answered by an empty ACK, REQUEST_SYNC by SYNC_COMPLETE; a silent hub by the time-out. */
export interface AnsweredRequest extends Sent {
  kind: 'declare' | 'bundle' | 'sync'
  /** Addresses or patterns that an ERROR may name. */
  concerns: ReadonlySet<string>
  timeoutMs: number
  timer?: Timer
  /** It has timed out; its place is kept until no answer can come any more. */
  isSpent: boolean
  /** A PONG from behind it has come. */
  isPassed: boolean
  settle(answer: RequestAnswer): void
}

/** REVISION_VECTOR: only a PONG tells that its answer is over. */
export interface VectorRequest extends Sent {
  kind: 'vector'
  settle(answer: RequestAnswer): void
}

/** GET, SUBSCRIBE, UNSUBSCRIBE: nobody waits, but they are sent again when the hub may have discarded them. */
export interface Note extends Sent {
  kind: 'note'
}

/** SYNC; it is stamped and encoded when it leaves. */
export interface ClockRequest extends Sent {
  kind: 'clock'
  t1: number
  settle(sample: ClockSample | undefined): void
}

export type Request = SetRequest | AnsweredRequest | VectorRequest | Note | ClockRequest

/** The fields of a request that has not been sent. */
export const unsent = { seq: 0, sentAt: 0, attempts: 0 }
