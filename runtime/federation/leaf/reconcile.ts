/** Who wins when both sides have changed a param. Source: federation.md §13.7. */
export type ConflictPolicy =
  /** This leaf. */
  | 'owner'
  /** As `owner`, and what others write at the hub is written back, also while the link is up. */
  | 'owner-strict'
  /** The later edit; the hub in a tie, and where the time of the local edit is not known. */
  | 'lww'
  | 'hub'

/** What the hub has at an address. */
export interface HubSide {
  revision: number
  /** Hub clock, µs; 0 = not known. */
  timestampUs: number
  /** Written by an earlier session of this leaf. */
  isOwnWriter: boolean
  isNull: boolean
}

/** What we have. */
export interface LocalSide {
  /** `removed`: it has expired here and has to go at the hub. */
  state: 'present' | 'removed'
  isDirty: boolean
  /** The last value came from the hub. */
  isFromHub: boolean
  /** Written since this process started: nothing that the hub has from us can be newer. */
  isEditedNow: boolean
  /** Revision at the hub that the value is based on; 0 = unknown. */
  hubRevision: number
  /** When it was last written here, as the hub's clock would have it, µs; 0 = not known. */
  editedAtUs: number
}

/**
 * `push`: ours goes to the hub. `take`: the hub's is applied here. `same`: both are equal, note the revision.
 * `remove`: the hub's is to go. `forget`: it is gone on both sides.
 */
export type Outcome = 'push' | 'take' | 'same' | 'remove' | 'forget'

/**
 * The decision for one owned address after a connection was made and in every later comparison. `hub` null = its absence
 * is certain; `local` null = unknown here. `isEqual`: both values are the same. `isSameEpoch`: the hub has kept its state
 * since we knew its revisions. Source: federation.md §13.7, with two additions: what an earlier session of ours wrote is
 * no foreign write, and a param that was removed here is a change like any other.
 */
export function reconcile(
  hub: HubSide | null,
  local: LocalSide | null,
  isEqual: boolean,
  isSameEpoch: boolean,
  policy: ConflictPolicy,
): Outcome {
  if (hub === null) return local === null || local.state === 'removed' ? 'forget' : 'push'
  if (local === null) {
    // Our own way to delete is a null that the hub has not swept away yet.
    if (hub.isNull && hub.isOwnWriter) return 'forget'
    return policy === 'owner-strict' && !hub.isOwnWriter ? 'remove' : 'take'
  }
  if (local.state === 'removed') {
    if (hub.isNull) return 'forget'
    const isUnchanged = isSameEpoch && hub.revision === local.hubRevision
    return isUnchanged || hub.isOwnWriter || winner(hub, local, policy) === 'local' ? 'remove' : 'take'
  }
  if (isEqual) return 'same'
  const isKnownRevision = isSameEpoch && hub.revision === local.hubRevision
  // Another value at the known revision, and nothing changed here: the hub let the param go and counts anew.
  if (isKnownRevision && local.isDirty) return 'push'
  if (hub.isOwnWriter && local.isEditedNow && local.isDirty) return 'push'
  // After a power cut here the hub may have more of our past than we do; or the answer to what we sent did not reach us
  // any more, and the edit that waited for it is the later one.
  if (hub.isOwnWriter && isSameEpoch && hub.revision > local.hubRevision)
    return local.isDirty && local.editedAtUs > hub.timestampUs ? 'push' : 'take'
  if (isSameEpoch && !local.isDirty) return policy === 'owner-strict' ? 'push' : 'take'
  return winner(hub, local, policy) === 'local' ? 'push' : 'take'
}

function winner(hub: HubSide, local: LocalSide, policy: ConflictPolicy): 'hub' | 'local' {
  switch (policy) {
    case 'owner':
    case 'owner-strict':
      return 'local'
    case 'hub':
      return 'hub'
    case 'lww':
      return local.editedAtUs > 0 && local.editedAtUs > hub.timestampUs ? 'local' : 'hub'
  }
}
