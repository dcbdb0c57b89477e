import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import {
  type ConflictPolicy,
  type HubSide,
  type LocalSide,
  type Outcome,
  reconcile,
} from '../../runtime/federation/leaf/reconcile.ts'

const POLICIES: ConflictPolicy[] = ['owner', 'owner-strict', 'lww', 'hub']
const hub = (over: Partial<HubSide> = {}): HubSide => ({
  revision: 7,
  timestampUs: 1000,
  isOwnWriter: false,
  isNull: false,
  ...over,
})
const local = (over: Partial<LocalSide> = {}): LocalSide => ({
  state: 'present',
  isDirty: false,
  isFromHub: false,
  isEditedNow: true,
  hubRevision: 7,
  editedAtUs: 500,
  ...over,
})

describe('reconciliation of one address', () => {
  const rows: [string, HubSide | null, LocalSide | null, boolean, boolean, Partial<Record<ConflictPolicy, Outcome>>][] =
    [
      ['absent at the hub', null, local(), false, true, all('push')],
      ['absent at the hub, new epoch', null, local({ hubRevision: 0 }), false, false, all('push')],
      ['unknown here', hub(), null, false, true, { ...all('take'), 'owner-strict': 'remove' }],
      ['equal', hub({ revision: 9 }), local({ isDirty: true }), true, true, all('same')],
      ['equal, new epoch', hub({ revision: 1 }), local({ isDirty: true }), true, false, all('same')],
      ['clean, the hub unchanged', hub(), local(), true, true, all('same')],
      [
        'clean, the hub counts anew and has come to the same revision',
        hub(),
        local(),
        false,
        true,
        { ...all('take'), 'owner-strict': 'push' },
      ],
      [
        'clean, the hub changed',
        hub({ revision: 8 }),
        local(),
        false,
        true,
        { ...all('take'), 'owner-strict': 'push' },
      ],
      ['dirty, the hub unchanged', hub(), local({ isDirty: true }), false, true, all('push')],
      [
        'both changed, the hub later',
        hub({ revision: 8 }),
        local({ isDirty: true }),
        false,
        true,
        { owner: 'push', 'owner-strict': 'push', lww: 'take', hub: 'take' },
      ],
      [
        'both changed, ours later',
        hub({ revision: 8 }),
        local({ isDirty: true, editedAtUs: 2000 }),
        false,
        true,
        { owner: 'push', 'owner-strict': 'push', lww: 'push', hub: 'take' },
      ],
      [
        'both changed in the same microsecond',
        hub({ revision: 8 }),
        local({ isDirty: true, editedAtUs: 1000 }),
        false,
        true,
        { owner: 'push', lww: 'take', hub: 'take' },
      ],
      [
        'both changed, our time is not known',
        hub({ revision: 8, timestampUs: 0 }),
        local({ isDirty: true, editedAtUs: 0 }),
        false,
        true,
        { owner: 'push', lww: 'take', hub: 'take' },
      ],
      [
        'new epoch, clean, the same revision by chance',
        hub(),
        local(),
        false,
        false,
        { owner: 'push', 'owner-strict': 'push', lww: 'take', hub: 'take' },
      ],
      [
        'what our earlier session wrote, and we edited since',
        hub({ revision: 8, isOwnWriter: true }),
        local({ isDirty: true }),
        false,
        true,
        all('push'),
      ],
      [
        'what our earlier session wrote, and we have lost by a power cut',
        hub({ revision: 9, isOwnWriter: true }),
        local({ isDirty: true, isEditedNow: false }),
        false,
        true,
        all('take'),
      ],
      [
        'what our earlier session wrote, and was edited here behind it before a restart',
        hub({ revision: 9, isOwnWriter: true }),
        local({ isDirty: true, isEditedNow: false, editedAtUs: 1001 }),
        false,
        true,
        all('push'),
      ],
      ['removed here, gone at the hub', null, local({ state: 'removed', isDirty: true }), false, true, all('forget')],
      [
        'removed here, unchanged at the hub',
        hub(),
        local({ state: 'removed', isDirty: true }),
        false,
        true,
        all('remove'),
      ],
      [
        'removed here, written at the hub since',
        hub({ revision: 8 }),
        local({ state: 'removed', isDirty: true }),
        false,
        true,
        { owner: 'remove', lww: 'take', hub: 'take' },
      ],
      [
        'our own removal that was not swept yet',
        hub({ isNull: true, isOwnWriter: true }),
        null,
        false,
        true,
        all('forget'),
      ],
    ]
  for (const [name, hubSide, localSide, isEqual, isSameEpoch, expected] of rows) {
    it(name, () => {
      for (const policy of POLICIES) {
        const outcome = expected[policy]
        if (outcome !== undefined)
          assert.equal(reconcile(hubSide, localSide, isEqual, isSameEpoch, policy), outcome, policy)
      }
    })
  }

  it('leaves nothing open: whatever both sides have, each outcome makes them equal or they were', () => {
    const hubSides = fc.option(
      fc.record({
        revision: fc.integer({ min: 1, max: 5 }),
        timestampUs: fc.integer({ min: 0, max: 5 }),
        isOwnWriter: fc.boolean(),
        isNull: fc.boolean(),
      }),
    )
    const localSides = fc.option(
      fc.record({
        state: fc.constantFrom('present' as const, 'removed' as const),
        isDirty: fc.boolean(),
        isFromHub: fc.boolean(),
        isEditedNow: fc.boolean(),
        hubRevision: fc.integer({ min: 0, max: 5 }),
        editedAtUs: fc.integer({ min: 0, max: 5 }),
      }),
    )
    fc.assert(
      fc.property(
        hubSides,
        localSides,
        fc.boolean(),
        fc.boolean(),
        fc.constantFrom(...POLICIES),
        (h, l, same, epoch, policy) => {
          const isEqual = same && h !== null && l?.state === 'present'
          const outcome = reconcile(h, l, isEqual, epoch, policy)
          if (outcome === 'take') assert.ok(h !== null)
          if (outcome === 'push') assert.ok(l?.state === 'present')
          if (outcome === 'same') assert.ok(isEqual)
          if (outcome === 'remove') assert.ok(h !== null && l?.state !== 'present')
          // A change of ours is never given up under the owner's policy, but for our own later one.
          if (policy === 'owner' && l?.state === 'present' && l.isDirty && h !== null && !h.isOwnWriter && !isEqual)
            assert.equal(outcome, 'push')
          if (policy === 'hub' && h !== null && !h.isOwnWriter && !isEqual && l?.state === 'present' && !epoch)
            assert.equal(outcome, 'take')
        },
      ),
    )
  })
})

function all(outcome: Outcome): Record<ConflictPolicy, Outcome> {
  return { owner: outcome, 'owner-strict': outcome, lww: outcome, hub: outcome }
}
