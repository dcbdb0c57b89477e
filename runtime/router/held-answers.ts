import { encodeFrame } from '../../firmware-protocol/wire/frame.ts'
import type { Session } from './session.ts'

interface Held {
  /** Goes out once everything up to here is stored. */
  ticket: number
  frame: Uint8Array
  /** An ACK that promises storage; it becomes an ERROR when that failed. */
  isPromise: boolean
  address: string | undefined
}

interface Waiting {
  frames: Held[]
  /** The next frame to go out. */
  next: number
  /** The ticket of the SET or BUNDLE whose ACK is about to be added; 0 = none. */
  promised: number
  latest: number
}

/**
 * Answers that wait for the disk. A session's direct answers (ACK, ERROR, PONG) keep their order, so behind an ACK that
 * waits the others wait too; broadcasts do not.
 */
export class HeldAnswers {
  private readonly bySession = new Map<Session, Waiting>()
  private readonly maxMessages: () => number

  constructor(maxMessages: () => number) {
    this.maxMessages = maxMessages
  }

  get size(): number {
    return this.bySession.size
  }

  /** The next ACK of this session waits for `ticket`. Tickets rise. */
  expect(session: Session, ticket: number): void {
    // The echo of its own SET can have been too much for it.
    if (!session.isOpen) return
    let waiting = this.bySession.get(session)
    if (waiting === undefined) {
      waiting = { frames: [], next: 0, promised: 0, latest: 0 }
      this.bySession.set(session, waiting)
      session.held = this
    }
    waiting.promised = ticket
    waiting.latest = ticket
  }

  /** Takes an answer of a session whose answers wait. `isAck` tells an ACK, and `address` names what it acknowledges. */
  add(session: Session, frame: Uint8Array, isAck: boolean, address?: string): void {
    const waiting = this.bySession.get(session) as Waiting
    const isPromise = isAck && waiting.promised > 0
    if (isPromise) waiting.promised = 0
    waiting.frames.push({ ticket: waiting.latest, frame, isPromise, address })
    if (waiting.frames.length - waiting.next > this.maxMessages())
      session.closeTooSlow('more writes wait for the disk than the queue may hold')
  }

  /** Everything up to `ticket` is stored. */
  release(ticket: number): void {
    for (const [session, waiting] of this.bySession) this.send(session, waiting, ticket, null)
  }

  /** What waits for `ticket` or one before could not be stored. */
  refuse(ticket: number, code: number, message: string): void {
    for (const [session, waiting] of this.bySession) this.send(session, waiting, ticket, { code, message })
  }

  /** The session has ended. Under a new identity the connection still gets its answers. */
  forget(session: Session): void {
    if (session.isOpen) return
    this.bySession.delete(session)
    session.held = null
  }

  private send(
    session: Session,
    waiting: Waiting,
    ticket: number,
    refusal: { code: number; message: string } | null,
  ): void {
    const { frames } = waiting
    session.held = null
    while (waiting.next < frames.length && frames[waiting.next].ticket <= ticket) {
      const { frame, isPromise, address } = frames[waiting.next++]
      if (refusal === null || !isPromise) session.deliver(frame, 0, frame.length)
      else session.reply({ type: 'ERROR', ...refusal, address })
      if (!session.isOpen) return
    }
    if (waiting.next === frames.length && waiting.latest <= ticket) {
      this.bySession.delete(session)
      return
    }
    if (waiting.next > 1000) {
      frames.splice(0, waiting.next)
      waiting.next = 0
    }
    session.held = this
  }
}

/** ACK of a SET as a frame of its own. */
export function ackFrame(address: string, revision: number): Uint8Array {
  return encodeFrame({ type: 'ACK', address, revision })
}
