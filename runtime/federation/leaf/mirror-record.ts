import type { SetParam } from '../../../firmware-protocol/wire/message.ts'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import type { AddressEntry } from '../../router/address-table.ts'
import type { Mirror } from './mirror.ts'
import type { ResolvedRule } from './uplink-policy.ts'
import { MarkFlag, type UplinkMark } from './uplink-store.ts'

/**
 * `owned`: in a namespace of this leaf. `remote`: of others, may be written here. `mirrored`: of others, only read.
 * `foreign`: none of the uplink's business.
 */
export type MirrorKind = 'owned' | 'remote' | 'mirrored' | 'foreign'

/** What was sent and is not yet known to have been stored at the hub. */
export interface InFlight {
  value: Value
  /** Revision of the param here when it was sent; 0 = it was a removal. */
  localRevision: number
  /** The newest that came from the hub meanwhile: an echo of ours, or somebody else's. */
  held: SetParam | null
  /** Revision of an echo with the value that was sent; 0 = none yet. */
  echoRevision: number
}

/** What the leaf knows of one address. The value is in the router's state and is read when it is sent. */
export class MirrorRecord implements UplinkMark {
  readonly mirror: Mirror
  readonly address: string
  readonly kind: MirrorKind
  readonly rule: ResolvedRule
  entry: AddressEntry | null = null
  hubRevision = 0
  flags = 0
  editedAtUs = 0
  /** Monotonic ms of the last write here in this process; -1 = none. */
  editedAtMs = -1
  /** In the outbox. */
  isQueued = false
  inFlight: InFlight | null = null
  /** Refused by the hub for good, until the next connection. */
  isParked = false
  /** To be sent by itself: as part of a bundle it did not arrive. */
  isStraggler = false
  /** The hub was asked for its value because of a revision that went backwards. */
  isAskedFor = false
  /** It was sent once, or may have been before this process: what has gone here has to go at the hub as well. */
  mayBeAtHub = false
  /** No longer the record of its address; an answer may still be to come. */
  isForgotten = false
  /** Number of the comparison that has met it last. */
  seen = 0

  constructor(mirror: Mirror, address: string, kind: MirrorKind, rule: ResolvedRule) {
    this.mirror = mirror
    this.address = address
    this.kind = kind
    this.rule = rule
  }

  get isDirty(): boolean {
    return (this.flags & MarkFlag.dirty) !== 0
  }

  get isRemoved(): boolean {
    return (this.flags & MarkFlag.deleted) !== 0
  }
}
