import type { Session } from './session.ts'

interface Held {
  messages: Uint8Array[]
  /** The next message to handle. */
  next: number
  bytes: number
}

/**
 * Messages of sessions that are still taking a SNAPSHOT or history in pages: replies keep the order of requests, so they
 * wait, as they would in the line itself if the router stopped reading.
 */
export class HeldRequests {
  private readonly handle: (session: Session, bytes: Uint8Array, at: number, stop: number) => void
  private readonly maxBytes: () => number
  private readonly bySession = new Map<Session, Held>()

  constructor(handle: (session: Session, bytes: Uint8Array, at: number, stop: number) => void, maxBytes: () => number) {
    this.handle = handle
    this.maxBytes = maxBytes
  }

  has(session: Session): boolean {
    return this.bySession.has(session)
  }

  /** Keeps a copy of `bytes[at, stop)`. A session that goes on sending without taking anything is closed. */
  add(session: Session, bytes: Uint8Array, at: number, stop: number): void {
    let held = this.bySession.get(session)
    if (held === undefined) {
      held = { messages: [], next: 0, bytes: 0 }
      this.bySession.set(session, held)
    }
    held.bytes += stop - at
    if (held.bytes > this.maxBytes()) session.closeTooSlow('it sends requests and does not take the state')
    else held.messages.push(bytes.slice(at, stop))
  }

  /** Handles what was held, up to a message that makes the session wait for a SNAPSHOT or history again. */
  release(session: Session): void {
    const held = this.bySession.get(session)
    if (held === undefined) return
    this.bySession.delete(session)
    while (held.next < held.messages.length && session.isOpen && !session.isPaging && !session.isReplaying) {
      const message = held.messages[held.next++]
      held.bytes -= message.length
      this.handle(session, message, 0, message.length)
    }
    if (held.next < held.messages.length && session.isOpen) this.bySession.set(session, held)
  }

  forget(session: Session): void {
    this.bySession.delete(session)
  }
}
