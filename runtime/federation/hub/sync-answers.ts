import { EncodeError } from '../../../firmware-protocol/wire/errors.ts'
import { encodeFrame } from '../../../firmware-protocol/wire/frame.ts'
import type { FederationSync } from '../../../firmware-protocol/wire/message.ts'
import { Pattern } from '../../../firmware-protocol/wire/pattern.ts'
import type { Param } from '../../router/param.ts'
import type { Router } from '../../router/router.ts'
import type { Session } from '../../router/session.ts'
import type { Selection } from '../../router/snapshots.ts'
import type { Declared } from './declared.ts'

export const MAX_PATTERNS = 1000
const MAX_REVISIONS = 10_000

export interface SyncRefusal {
  code: 400 | 403
  message: string
}

/** REQUEST_SYNC and REVISION_VECTOR of a peer. Both are answered only within what the peer has declared. */
export class SyncAnswers {
  private readonly router: Router
  /** The origin of SYNC_COMPLETE is the name of the server, not a router id. */
  private readonly name: string

  constructor(router: Router, name: string) {
    this.router = router
    this.name = name
  }

  /**
   * One SNAPSHOT or more for each pattern in turn, an empty one where there is nothing, then SYNC_COMPLETE; or nothing but
   * the refusal. Federation reference §5.4.
   */
  requestSync(session: Session, declared: Declared | null, message: FederationSync): SyncRefusal | null {
    const { patterns, sinceRevision } = message
    if (patterns.length > MAX_PATTERNS) {
      return { code: 400, message: `too many sync patterns: ${patterns.length} (max ${MAX_PATTERNS})` }
    }
    const uncovered = declared === null ? patterns[0] : declared.firstUncovered(patterns)
    for (const pattern of patterns) {
      if (pattern === uncovered) {
        return { code: 403, message: `pattern '${pattern}' not covered by declared namespaces` }
      }
      if (session.access !== null && !session.access.canSubscribe(pattern)) {
        return { code: 403, message: `insufficient scope for pattern: ${pattern}` }
      }
    }
    const complete = this.syncComplete(patterns)
    if (complete === null) return { code: 400, message: 'too many sync patterns: their names do not fit one frame' }
    const isWanted = sinceRevision === undefined ? null : (param: Param) => param.revision > sinceRevision
    const selections = patterns.map((text): Selection => {
      const pattern = Pattern.parse(text)
      return typeof pattern === 'string' ? { entries: [] } : { pattern, isWanted }
    })
    this.router.snapshots.sendSelected(session, selections, true, () => session.deliver(complete, 0, complete.length))
    return null
  }

  /**
   * The listed params whose revision here is higher, as SNAPSHOTs; silence when there are none. What is not declared, not
   * readable or not there is passed over. Federation reference §5.5.
   */
  revisionVector(session: Session, declared: Declared | null, { revisions }: FederationSync): SyncRefusal | null {
    if (revisions.length > MAX_REVISIONS) {
      return { code: 400, message: `too many revision entries: ${revisions.length} (max ${MAX_REVISIONS})` }
    }
    const entries = []
    // Of entries for the same address the last one counts.
    for (const [address, revision] of new Map(revisions)) {
      if (declared === null || !declared.matches(address)) continue
      const entry = this.router.lookup(address)
      if (entry === null) continue
      const param = this.router.store.get(entry, this.router.now)
      if (param !== null && param.revision > revision) entries.push(entry)
    }
    if (entries.length > 0) this.router.snapshots.sendSelected(session, [{ entries }], false, null)
    return null
  }

  /** A request that fills its frame leaves no room for our name; one in the legacy form may not fit at all. */
  private syncComplete(patterns: string[]): Uint8Array | null {
    for (const origin of [this.name, undefined]) {
      try {
        return encodeFrame({ type: 'FEDERATION_SYNC', op: 'sync_complete', patterns, revisions: [], origin })
      } catch (error) {
        if (!(error instanceof EncodeError)) throw error
      }
    }
    return null
  }
}
