import type { FederationSync } from '../../firmware-protocol/wire/message.ts'
import type { AddressEntry } from './address-table.ts'
import type { WriteRefusal } from './reserved.ts'
import type { Session } from './session.ts'

/** The router's side of federation as a hub; `runtime/federation/hub` implements it. Absent = peers are not accepted. */
export interface FederationPeers {
  /** A FEDERATION_SYNC of a session whose HELLO had the feature bit. */
  onSync(session: Session, message: FederationSync): void
  /** Asked for every SET and PUBLISH of such a session, in bundles as well: why it may not, or null. Hot path. */
  refusal(session: Session, entry: AddressEntry, kind: 'SET' | 'PUBLISH'): WriteRefusal | null
  /** The session has ended, or has become another by a second HELLO. */
  onEnded(session: Session): void
}
