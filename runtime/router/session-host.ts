import type { Clock } from './clock.ts'
import type { Log } from './log.ts'
import type { RouterOptions } from './options.ts'
import type { Session } from './session.ts'

/** Counters that sessions and the router's parts add to. */
export interface LiveStats {
  deliveries: number
  drops: number
  undecodable: number
  /** ERROR messages sent, by code. */
  errors: Map<number, number>
}

/** What a session needs of the router. */
export interface SessionHost {
  readonly options: RouterOptions
  readonly clock: Clock
  readonly log: Log
  readonly stats: LiveStats
  /** Monotonic ms at the start of this turn of the event loop, and the wall clock in µs then. */
  readonly now: number
  readonly wallUs: number
  /** Reads the clock once a turn and makes sure that the turn ends with a flush. */
  beginTurn(): void
  /** The session's output is to be written at the end of the turn. */
  markDirty(session: Session): void
  onHandshake(session: Session, bytes: Uint8Array, at: number, stop: number): void
  /** One message: `bytes[at, stop)`, the type byte first. */
  onMessage(session: Session, bytes: Uint8Array, at: number, stop: number): void
  onUndecodable(session: Session, reason: string): void
  onClosed(session: Session, reason: string): void
  /** Sends an ERROR and counts it. */
  refuse(session: Session, code: number, message: string, address?: string): void
}
