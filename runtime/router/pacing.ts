import type { Pattern } from '../../firmware-protocol/wire/pattern.ts'
import type { AddressEntry } from './address-table.ts'
import type { Clock, Timer } from './clock.ts'
import type { ParticularRecipient } from './group.ts'
import type { Session } from './session.ts'

/** What one session last got of one address. */
interface Pace {
  sentAt: number
  /** The last number sent; NaN when it was not a number. */
  sent: number
  /** The newest update that has to wait, as a bare frame. */
  waiting: Uint8Array | null
  waitingNumber: number
}

/** Addresses remembered for one session before those of which nothing waits are forgotten. */
const MAX_PACES = 16_384

/** Waiting updates are looked at so often, at most. */
const TICK_MS = 2

/**
 * `maxRate` and `epsilon` of subscriptions, for params and streams: too frequent updates are held back and the newest one
 * is delivered when its time has come; a change smaller than epsilon since the last delivery is not an update.
 */
export class Pacing {
  private readonly clock: Clock
  private readonly paces = new Map<Session, Map<AddressEntry, Pace>>()
  private readonly waiting = new Map<Pace, { session: Session; dueAt: number }>()
  private timer: Timer | null = null

  constructor(clock: Clock) {
    this.clock = clock
  }

  /** Delivers `frame` (bare) now, later or never. `value` is the update as a number, NaN for anything else. */
  offer(
    recipient: ParticularRecipient,
    entry: AddressEntry,
    value: number,
    frame: Uint8Array,
    frameBytes: number,
    now: number,
  ): void {
    const { session, minIntervalMs, epsilon } = recipient
    const pace = this.paceOf(session, entry)
    // Compared with what the subscriber has: many small steps add up to an update.
    if (epsilon > 0 && Math.abs(value - pace.sent) < epsilon) {
      if (pace.waiting !== null) this.drop(pace)
      return
    }
    const dueAt = pace.sentAt + minIntervalMs
    if (now >= dueAt) {
      if (pace.waiting !== null) this.drop(pace)
      pace.sentAt = now
      pace.sent = value
      session.deliver(frame, 0, frameBytes)
      return
    }
    pace.waiting = frame.slice(0, frameBytes)
    pace.waitingNumber = value
    this.waiting.set(pace, { session, dueAt })
    this.timer ??= this.clock.timer(Math.max(TICK_MS, dueAt - now), this.deliverDue)
  }

  /** A further subscription may let updates pass at once: what waits goes first, so that nothing newer overtakes it. */
  hasten(session: Session, pattern: Pattern): void {
    for (const [entry, pace] of this.paces.get(session) ?? []) {
      if (pace.waiting !== null && pattern.matches(entry.text)) this.deliver(pace, session, this.clock.now())
    }
  }

  /** A subscription is gone: what waits for it alone is dropped. */
  dropUnwanted(session: Session, isWanted: (address: string) => boolean): void {
    for (const [entry, pace] of this.paces.get(session) ?? []) {
      if (pace.waiting !== null && !isWanted(entry.text)) this.drop(pace)
    }
  }

  forget(session: Session): void {
    const paces = this.paces.get(session)
    if (paces === undefined) return
    for (const pace of paces.values()) this.waiting.delete(pace)
    this.paces.delete(session)
  }

  stop(): void {
    this.timer?.cancel()
    this.timer = null
    this.waiting.clear()
    this.paces.clear()
  }

  private readonly deliverDue = (): void => {
    this.timer = null
    const now = this.clock.now()
    let next = Infinity
    for (const [pace, { session, dueAt }] of this.waiting) {
      if (dueAt > now) {
        next = Math.min(next, dueAt)
        continue
      }
      this.deliver(pace, session, now)
    }
    if (next !== Infinity) this.timer = this.clock.timer(Math.max(TICK_MS, next - now), this.deliverDue)
  }

  private deliver(pace: Pace, session: Session, now: number): void {
    const frame = pace.waiting as Uint8Array
    this.drop(pace)
    pace.sentAt = now
    pace.sent = pace.waitingNumber
    session.deliver(frame, 0, frame.length)
  }

  private drop(pace: Pace): void {
    pace.waiting = null
    this.waiting.delete(pace)
  }

  private paceOf(session: Session, entry: AddressEntry): Pace {
    let paces = this.paces.get(session)
    if (paces === undefined) {
      paces = new Map()
      this.paces.set(session, paces)
    }
    let pace = paces.get(entry)
    if (pace === undefined) {
      if (paces.size >= MAX_PACES) forgetIdle(paces)
      pace = { sentAt: -Infinity, sent: Number.NaN, waiting: null, waitingNumber: Number.NaN }
      paces.set(entry, pace)
    }
    return pace
  }
}

/** Anybody can make up addresses; forgetting one costs at most an update that comes early. */
function forgetIdle(paces: Map<AddressEntry, Pace>): void {
  for (const [entry, pace] of paces) if (pace.waiting === null) paces.delete(entry)
}
