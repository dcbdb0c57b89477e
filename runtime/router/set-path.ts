/** Hot path. */

import { SetFlag } from '../../firmware-protocol/wire/constants.ts'
import { acknowledge } from './ack.ts'
import type { AddressEntry } from './address-table.ts'
import type { Core } from './core.ts'
import type { Fanout } from './fanout.ts'
import { RESERVED_REFUSAL, type WriteRefusal } from './reserved.ts'
import type { Session } from './session.ts'
import { SetView } from './set-view.ts'
import { Refusal } from './store.ts'

/**
 * One SET from its bytes to its ACK. The order is that of the router reference §4.1: authorise, validate, apply to the
 * state, deliver (the writer's own echo first), acknowledge.
 */
export class SetPath {
  private readonly core: Core
  private readonly fanout: Fanout
  private readonly view = new SetView()
  /** Params that a session has locked, to be freed when it ends. */
  private readonly locked = new Map<Session, Set<AddressEntry>>()

  constructor(core: Core, fanout: Fanout) {
    this.core = core
    this.fanout = fanout
  }

  /** Handles the message `bytes[at, stop)`; false when it is malformed. */
  accept(session: Session, bytes: Uint8Array, at: number, stop: number): boolean {
    const { core, view } = this
    if (!view.read(bytes, at, stop)) return false
    const entry = core.intern(bytes, view.addressAt, view.addressEnd)
    if (entry === null) {
      core.refuse(session, 400, core.addressProblem)
      return true
    }
    if (session.isRestricted || entry.isReserved || core.observer !== null) {
      const refusal = this.authorise(session, entry)
      if (refusal !== null) {
        core.refuse(session, refusal.code, refusal.message, entry.text)
        return true
      }
    }
    const refusal = this.apply(session, entry, view)
    if (refusal !== Refusal.none) {
      core.refuse(session, 400, this.describe(refusal, view), entry.text)
      return true
    }
    const revision = entry.param === null ? 0 : entry.param.revision
    const ticket = this.record(entry)
    this.fanout.set(entry, view, revision)
    if (ticket > 0) core.answers.expect(session, ticket)
    acknowledge(session, entry, bytes, view.addressAt, revision)
    return true
  }

  authorise(session: Session, entry: AddressEntry): WriteRefusal | null {
    if (session.access !== null && !session.access.canWrite(entry.text)) {
      return { code: 301, message: 'Insufficient scope for write operation' }
    }
    if (session.isInternal) return null
    if (entry.isReserved) return RESERVED_REFUSAL
    const { peers, observer } = this.core
    if (session.isFederationPeer && peers !== null) {
      const refusal = peers.refusal(session, entry, 'SET')
      if (refusal !== null) return refusal
    }
    return observer === null ? null : observer.refusal(entry, session)
  }

  /** Tells those who follow the state of an applied SET. Returns the ticket that its ACK has to wait for, 0 = none. */
  record(entry: AddressEntry): number {
    const { journal, observer } = this.core
    const { param } = entry
    if (param === null) return 0
    if (observer !== null) observer.onSet(entry, param)
    return journal === null ? 0 : journal.onSet(entry, param)
  }

  /** Writes the view's value to the state; where the strategy merged it, the view then holds the merged value. */
  apply(session: Session, entry: AddressEntry, view: SetView): Refusal {
    const { core } = this
    const { writer } = session
    const { source, valueAt, valueEnd, code, expected, flags, ttl } = view
    const refusal = core.store.write(
      entry,
      writer,
      source,
      valueAt,
      valueEnd,
      code,
      expected,
      // A session that ended while its bundle waited for its time can hold no lock.
      session.isOpen ? flags : flags & ~SetFlag.lock,
      ttl,
      core.now,
      core.wallUs,
      session.isForced,
    )
    if (refusal !== Refusal.none) return refusal
    if ((flags & SetFlag.lock) !== 0 && session.isOpen) this.rememberLock(session, entry)
    if (core.store.merged !== null) {
      view.source = core.store.merged
      view.valueAt = 0
      view.valueEnd = view.source.length
    }
    return refusal
  }

  /** The text of an ERROR 400, with the words that clients know (router reference §3.6). */
  describe(refusal: Refusal, view: SetView): string {
    const { store } = this.core
    if (refusal === Refusal.revisionConflict) {
      return `RevisionConflict { expected: ${view.expected}, actual: ${store.refusedRevision} }`
    }
    if (refusal === Refusal.lockHeld) return `LockHeld { holder: "${store.refusedHolder}" }`
    if (refusal === Refusal.conflictRejected) return 'ConflictRejected'
    if (refusal === Refusal.atCapacity) return 'AtCapacity'
    return `value too large: address and value take ${view.addressEnd - view.addressAt + view.valueEnd - view.valueAt} bytes, at most 65516 fit`
  }

  releaseLocks(session: Session): void {
    const entries = this.locked.get(session)
    if (entries === undefined) return
    this.locked.delete(session)
    this.core.store.releaseLocks(session.writer, entries, this.core.now)
  }

  private rememberLock(session: Session, entry: AddressEntry): void {
    const entries = this.locked.get(session)
    if (entries === undefined) this.locked.set(session, new Set([entry]))
    else entries.add(entry)
  }
}
