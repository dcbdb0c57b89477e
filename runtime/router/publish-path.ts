/** Hot path. */

import { SignalCode } from '../../firmware-protocol/wire/constants.ts'
import type { AddressEntry } from './address-table.ts'
import type { Core } from './core.ts'
import type { Fanout } from './fanout.ts'
import type { Gestures } from './gestures.ts'
import type { PeerSignalling } from './peer-signalling.ts'
import { PublishView } from './publish-view.ts'
import { RESERVED_REFUSAL, type WriteRefusal } from './reserved.ts'
import type { Session } from './session.ts'

/** One PUBLISH from its bytes to its recipients. There is no reply when it is accepted. Router reference §4.5. */
export class PublishPath {
  private readonly core: Core
  private readonly fanout: Fanout
  private readonly gestures: Gestures
  private readonly signalling: PeerSignalling
  private readonly view = new PublishView()

  constructor(core: Core, fanout: Fanout, gestures: Gestures, signalling: PeerSignalling) {
    this.core = core
    this.fanout = fanout
    this.gestures = gestures
    this.signalling = signalling
  }

  /**
   * Handles the message `bytes[at, stop)`; false when it is malformed. `audience` chooses the subscribers where the
   * message's signal does not (legacy peers may name none).
   */
  accept(session: Session, bytes: Uint8Array, at: number, stop: number, audience = -1): boolean {
    const { core, view } = this
    if (!view.read(bytes, at, stop)) return false
    if (audience >= 0) view.audience = audience
    const entry = core.intern(view.source, view.addressAt, view.addressEnd)
    if (entry === null) {
      core.refuse(session, 400, core.addressProblem)
      return true
    }
    if (session.isRestricted || entry.isReserved) {
      const refusal = this.authorise(session, entry)
      if (refusal !== null) {
        core.refuse(session, refusal.code, refusal.message, entry.text)
        return true
      }
    }
    if (view.end - view.at > 65_535) {
      core.refuse(session, 400, 'value too large: with 64-bit numbers it does not fit one frame', entry.text)
      return true
    }
    this.forward(session, entry, view)
    return true
  }

  authorise(session: Session, entry: AddressEntry): WriteRefusal | null {
    if (session.access !== null && !session.access.canWrite(entry.text)) {
      return { code: 301, message: 'Insufficient scope for publish operation' }
    }
    if (session.isInternal) return null
    if (entry.isReserved) return RESERVED_REFUSAL
    const { peers } = this.core
    return session.isFederationPeer && peers !== null ? peers.refusal(session, entry, 'PUBLISH') : null
  }

  /** Delivers an authorised message. */
  forward(session: Session, entry: AddressEntry, view: PublishView): void {
    if (this.signalling.accept(session, entry, view)) return
    if (this.core.journal !== null) this.core.journal.onPublish(entry, view, session.writer)
    if (view.audience === SignalCode.gesture && session.isOpen) this.gestures.accept(session, entry, view)
    else this.fanout.publish(entry, view, session)
  }
}
