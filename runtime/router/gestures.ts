import {
  MessageCode,
  PhaseCode,
  PublishFlag,
  PublishIndicator,
  SignalCode,
} from '../../firmware-protocol/wire/constants.ts'
import type { AddressEntry } from './address-table.ts'
import { putU32 } from './bytes.ts'
import type { Timer } from './clock.ts'
import type { Core } from './core.ts'
import type { Fanout } from './fanout.ts'
import type { PublishView } from './publish-view.ts'
import type { Session } from './session.ts'

/** More fingers than any surface has: what a client never ends must not fill the memory. */
const MAX_GESTURES_PER_SESSION = 1024

interface Gesture {
  session: Session
  entry: AddressEntry
  id: number
  hasId: boolean
  /** Monotonic ms of the last message forwarded, and of the last one received. */
  sentAt: number
  heardAt: number
  /** The newest move that has not been forwarded. */
  move: Uint8Array | null
  /** The last message received, for the value of a cancel. */
  last: Uint8Array
  /** Where the value starts in `last` (its indicator byte) and ends. */
  valueAt: number
  valueEnd: number
}

/**
 * Gestures: start, end and cancel pass at once; of moves at most one an interval and always the newest, on a fixed beat,
 * so that a finger that never rests is still seen to move. A gesture whose sender leaves or falls silent is cancelled.
 * Source: wire reference §11.2, router reference §7.
 */
export class Gestures {
  private readonly core: Core
  private readonly fanout: Fanout
  private readonly bySession = new Map<Session, Map<string, Gesture>>()
  private readonly moving = new Set<Gesture>()
  private timer: Timer | null = null

  constructor(core: Core, fanout: Fanout) {
    this.core = core
    this.fanout = fanout
  }

  get active(): number {
    let count = 0
    for (const gestures of this.bySession.values()) count += gestures.size
    return count
  }

  accept(session: Session, entry: AddressEntry, view: PublishView): void {
    const { coalesce, intervalMs } = this.core.options.gestures
    const key = `${view.id} ${entry.text}`
    let gestures = this.bySession.get(session)
    const known = gestures?.get(key)
    const { now } = this.core
    if (view.phase === PhaseCode.end || view.phase === PhaseCode.cancel) {
      if (known !== undefined) {
        this.forwardMove(known)
        this.forget(known, key)
      }
      this.fanout.publish(entry, view, session)
      return
    }
    const gesture = known ?? this.create(session, entry, view)
    gesture.heardAt = now
    gesture.last = view.source.slice(view.at, view.end)
    gesture.valueAt = view.addressEnd - view.at
    gesture.valueEnd = view.code < 0 ? gesture.valueAt + 1 : view.valueEnd - view.at
    if (known === undefined) {
      gestures ??= new Map()
      if (gestures.size >= MAX_GESTURES_PER_SESSION) this.cancelOldest(gestures)
      gestures.set(key, gesture)
      this.bySession.set(session, gestures)
    }
    const isFirstMove = known === undefined && view.phase === PhaseCode.move
    if (view.phase === PhaseCode.start || !coalesce || isFirstMove || now - gesture.sentAt >= intervalMs) {
      gesture.move = null
      this.moving.delete(gesture)
      // The beat counts from the moves: the first move after a start need not wait.
      gesture.sentAt = view.phase === PhaseCode.start ? Number.NEGATIVE_INFINITY : now
      this.fanout.publish(entry, view, session)
      return
    }
    gesture.move = gesture.last
    this.moving.add(gesture)
    this.timer ??= this.core.clock.timer(gesture.sentAt + intervalMs - now, this.beat)
  }

  /** The sender is gone: its gestures end with their last position and a cancel. */
  sessionClosed(session: Session): void {
    const gestures = this.bySession.get(session)
    if (gestures === undefined) return
    for (const [key, gesture] of gestures) this.cancel(gesture, key)
    this.bySession.delete(session)
  }

  /** Cancels gestures of which nothing was heard for the configured time. */
  sweep(): void {
    const oldest = this.core.now - this.core.options.gestures.timeoutSeconds * 1000
    for (const gestures of this.bySession.values()) {
      for (const [key, gesture] of gestures) if (gesture.heardAt < oldest) this.cancel(gesture, key)
    }
  }

  stop(): void {
    this.timer?.cancel()
    this.timer = null
  }

  private readonly beat = (): void => {
    this.timer = null
    this.core.beginTurn()
    const { now } = this.core
    const { intervalMs } = this.core.options.gestures
    let next = Number.POSITIVE_INFINITY
    for (const gesture of this.moving) {
      const dueAt = gesture.sentAt + intervalMs
      if (dueAt <= now + 0.5) this.forwardMove(gesture)
      else next = Math.min(next, dueAt)
    }
    if (next !== Number.POSITIVE_INFINITY) this.timer = this.core.clock.timer(next - now, this.beat)
  }

  private cancelOldest(gestures: Map<string, Gesture>): void {
    for (const [key, gesture] of gestures) {
      this.cancel(gesture, key)
      return
    }
  }

  private create(session: Session, entry: AddressEntry, view: PublishView): Gesture {
    return {
      session,
      entry,
      id: view.id,
      hasId: (view.source[view.at + 1] & PublishFlag.id) !== 0,
      sentAt: Number.NEGATIVE_INFINITY,
      heardAt: 0,
      move: null,
      last: view.source,
      valueAt: 0,
      valueEnd: 0,
    }
  }

  private forwardMove(gesture: Gesture): void {
    const { move } = gesture
    if (move === null) return
    gesture.move = null
    this.moving.delete(gesture)
    gesture.sentAt = this.core.now
    this.forward(gesture, move)
  }

  private cancel(gesture: Gesture, key: string): void {
    this.forwardMove(gesture)
    this.forget(gesture, key)
    const head = gesture.last.subarray(0, gesture.valueAt)
    const value = gesture.last.subarray(gesture.valueAt, gesture.valueEnd)
    const message = new Uint8Array(head.length + value.length + (gesture.hasId ? 4 : 0))
    message.set(head)
    message.set(value, head.length)
    // A cancel carries a value or nothing: samples are no position.
    if (value.length === 1) message[head.length] = PublishIndicator.nothing
    message[0] = MessageCode.publish
    message[1] = (SignalCode.gesture << 5) | (gesture.hasId ? PublishFlag.id : 0) | PhaseCode.cancel
    if (gesture.hasId) putU32(message, message.length - 4, gesture.id)
    this.forward(gesture, message)
  }

  private forward({ session, entry }: Gesture, message: Uint8Array): void {
    const { gesture } = SignalCode
    this.fanout.publishBytes(entry, gesture, gesture, message, 0, message.length, Number.NaN, session)
  }

  private forget(gesture: Gesture, key: string): void {
    this.moving.delete(gesture)
    this.bySession.get(gesture.session)?.delete(key)
  }
}
