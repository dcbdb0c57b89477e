import type { FederationSync, Message } from '../../firmware-protocol/wire/message.ts'
import { covered, glob, patternObjection } from './upstream-patterns.ts'
import { refusal } from './upstream-refusal.ts'
import type { UpstreamSession } from './upstream-session.ts'
import type { UpstreamParam } from './upstream-state.ts'

const MAX_PATTERNS = 1000
const MAX_REVISIONS = 10_000
const FIRST_NAMESPACE_ID = 50_000

/** FEDERATION_SYNC at the hub: federation.md §5.2 to §5.6. */
export function answerFederation(session: UpstreamSession, message: FederationSync): Message | undefined {
  if (!session.isPeer) return refusal(403, 'FederationSync requires federation feature')
  switch (message.op) {
    case 'declare_namespaces':
      return declare(session, message)
    case 'request_sync':
      return requestSync(session, message)
    case 'revision_vector':
      return compareRevisions(session, message)
    case 'sync_complete':
      return undefined
  }
}

/** Subscribes the session to its own namespaces and confines its SETs and PUBLISHes to them; an empty list frees it (D12). */
function declare(session: UpstreamSession, { patterns, origin }: FederationSync): Message {
  if (patterns.length > MAX_PATTERNS) {
    return refusal(400, `too many namespace patterns: ${patterns.length} (max ${MAX_PATTERNS})`)
  }
  const denied = patterns.find((pattern) => session.scopes?.canReadStrictly(pattern) === false)
  if (denied !== undefined) return refusal(403, `insufficient scope for namespace: ${denied}`)
  for (let i = 0; i < session.declared.length; i++) session.unsubscribe(FIRST_NAMESPACE_ID + i)
  session.routerId = origin ?? session.name
  session.declared = patterns
  patterns.forEach((pattern, i) => {
    if (patternObjection(pattern) === undefined) session.subscribe(FIRST_NAMESPACE_ID + i, pattern, [])
  })
  return { type: 'ACK' }
}

function requestSync(session: UpstreamSession, { patterns, sinceRevision }: FederationSync): Message | undefined {
  const { hub } = session.connection
  if (patterns.length > MAX_PATTERNS) {
    return refusal(400, `too many sync patterns: ${patterns.length} (max ${MAX_PATTERNS})`)
  }
  for (const pattern of patterns) {
    if (!session.declared.some((declared) => covered(pattern, declared))) {
      return refusal(403, `pattern '${pattern}' not covered by declared namespaces`)
    }
    if (session.scopes?.canReadStrictly(pattern) === false) {
      return refusal(403, `insufficient scope for pattern: ${pattern}`)
    }
  }
  if (hub.faults.endlessSnapshot !== undefined) {
    hub.flood(session)
    return undefined
  }
  for (const pattern of patterns) {
    const params = hub.visibleParams((address) => glob(pattern, address), session)
    session.sendSnapshot(params.filter(([, { revision }]) => sinceRevision === undefined || revision > sinceRevision))
  }
  return { type: 'FEDERATION_SYNC', op: 'sync_complete', patterns, revisions: [], origin: hub.name }
}

/** What the hub has in a higher revision than listed; silence when there is nothing (D8). */
function compareRevisions(session: UpstreamSession, { revisions }: FederationSync): Message | undefined {
  const { hub } = session.connection
  if (revisions.length > MAX_REVISIONS) {
    return refusal(400, `too many revision entries: ${revisions.length} (max ${MAX_REVISIONS})`)
  }
  const newer: [string, UpstreamParam][] = []
  for (const [address, revision] of new Map(revisions)) {
    const param = hub.params.get(address)
    if (param === undefined || param.revision <= revision) continue
    if (!session.isWithinDeclared(address) || session.scopes?.canRead(address) === false) continue
    newer.push([address, param])
  }
  if (newer.length > 0) session.sendSnapshot(newer)
  return undefined
}
