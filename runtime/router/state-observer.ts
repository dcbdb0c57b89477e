import type { AddressEntry } from './address-table.ts'
import type { Param } from './param.ts'
import type { WriteRefusal } from './reserved.ts'
import type { Session } from './session.ts'

/** Follows the params of a router, for a copy of them elsewhere: the uplink. Both calls are on the hot path. */
export interface StateObserver {
  /** A SET was applied, alone or in a bundle, whoever wrote it: `param.writer` tells. Does not throw or wait. */
  onSet(entry: AddressEntry, param: Param): void
  /** A param has expired or was evicted. */
  onRemoved(entry: AddressEntry, param: Param): void
  /** Before a client's SET is applied: why it may not be, or null. Parts of the router are not asked. */
  refusal(entry: AddressEntry, session: Session): WriteRefusal | null
}
