/** Hot path: `refusal`. */

import { patternProblem } from '../../../firmware-protocol/wire/address.ts'
import type { FederationSync } from '../../../firmware-protocol/wire/message.ts'
import type { AddressEntry } from '../../router/address-table.ts'
import type { Clock } from '../../router/clock.ts'
import type { FederationPeers } from '../../router/federation-peers.ts'
import { CloseCode } from '../../router/link.ts'
import type { Log } from '../../router/log.ts'
import type { WriteRefusal } from '../../router/reserved.ts'
import type { Router } from '../../router/router.ts'
import type { Session } from '../../router/session.ts'
import { Claims, type Conflict } from './claims.ts'
import { Declared, FIRST_SUBSCRIPTION_ID } from './declared.ts'
import { Peer, shown } from './peer.ts'
import { MAX_PATTERNS, SyncAnswers, type SyncRefusal } from './sync-answers.ts'

const OUTSIDE: Record<'SET' | 'PUBLISH', WriteRefusal> = {
  SET: { code: 403, message: 'SET outside declared federation namespace' },
  PUBLISH: { code: 403, message: 'PUBLISH outside declared federation namespace' },
}

export interface HubOptions {
  log: Log
  clock: Clock
  /** As in WELCOME; the origin of SYNC_COMPLETE. */
  name: string
}

/** Times are Unix time in µs; counters start with the session. Router ids are cut to 80 characters. */
export interface PeerStats {
  routerId: string
  session: string
  remote: string
  connectedAt: number
  /** Absent until it has declared its namespaces. */
  declaredAt?: number
  namespaces: readonly string[]
  sets: number
  publishes: number
  refused: number
}

export interface HubStats {
  peers: PeerStats[]
  /** DECLAREs that were refused because another leaf has the namespace, since the start. */
  refusals: number
  /** Sessions that were closed because their leaf had connected anew, since the start. */
  takeovers: number
  /** Those of the last ten minutes, one for each leaf. */
  conflicts: Conflict[]
}

/**
 * The router as a hub: leaves declare their namespaces, are subscribed to them, write nothing outside of them and ask for
 * what is stored there. Source: federation reference §5 with the improvements of §14.
 */
export class Hub implements FederationPeers {
  private readonly router: Router
  private readonly log: Log
  private readonly clock: Clock
  private readonly claims: Claims
  private readonly answers: SyncAnswers
  private readonly peers = new Map<Session, Peer>()
  private takeovers = 0

  constructor(router: Router, { log, clock, name }: HubOptions) {
    this.router = router
    this.log = log
    this.clock = clock
    this.claims = new Claims(clock)
    this.answers = new SyncAnswers(router, name)
  }

  onSync(session: Session, message: FederationSync): void {
    const peer = this.peerOf(session)
    const problem = this.answer(peer, message)
    if (problem === null) return
    peer.refused++
    this.router.refuse(session, problem.code, problem.message)
  }

  refusal(session: Session, entry: AddressEntry, kind: 'SET' | 'PUBLISH'): WriteRefusal | null {
    const peer = this.peerOf(session)
    if (peer.declared !== null && !peer.declared.allows(entry)) {
      peer.refused++
      return OUTSIDE[kind]
    }
    if (kind === 'SET') peer.sets++
    else peer.publishes++
    return null
  }

  onEnded(session: Session): void {
    this.peers.delete(session)
  }

  get statistics(): HubStats {
    const sessions = [...this.router.sessions.values()].filter(({ isFederationPeer }) => isFederationPeer)
    return {
      peers: sessions.map((session) => statisticsOf(this.peers.get(session) ?? new Peer(session))),
      refusals: this.claims.refusals,
      takeovers: this.takeovers,
      conflicts: this.claims.conflicts(),
    }
  }

  private answer(peer: Peer, message: FederationSync): SyncRefusal | null {
    switch (message.op) {
      case 'declare_namespaces':
        return this.declare(peer, message)
      case 'request_sync':
        return this.answers.requestSync(peer.session, peer.declared, message)
      case 'revision_vector':
        return this.answers.revisionVector(peer.session, peer.declared, message)
      case 'sync_complete':
        this.log.debug('a leaf says that it is in sync', { router: shown(peer.routerId), session: peer.session.id })
        return null
    }
  }

  private declare(peer: Peer, { patterns, origin }: FederationSync): SyncRefusal | null {
    const { session } = peer
    if (patterns.length > MAX_PATTERNS) {
      return { code: 400, message: `too many namespace patterns: ${patterns.length} (max ${MAX_PATTERNS})` }
    }
    for (const pattern of patterns) {
      const problem = patternProblem(pattern)
      if (problem !== undefined) return { code: 400, message: `invalid namespace '${pattern}': ${problem}` }
      if (session.access !== null && !session.access.canSubscribe(pattern)) {
        return { code: 403, message: `insufficient scope for namespace: ${pattern}` }
      }
    }
    const declared = new Declared(patterns, session.access !== null)
    const isNamed = origin !== undefined && origin !== ''
    const routerId = isNamed ? origin : session.name
    const outcome = this.claims.examine({ session, routerId, isNamed, declared }, this.peers.values())
    if ('conflict' in outcome) {
      this.complain(outcome.conflict, outcome.isNew)
      return { code: 403, message: outcome.conflict.words }
    }
    for (const stale of outcome.stale) this.displace(stale, session)
    const replaced = peer.declared?.patterns.length ?? 0
    this.router.subscriptions.replaceQuietly(session, FIRST_SUBSCRIPTION_ID, replaced, patterns)
    peer.routerId = routerId
    peer.isNamed = isNamed
    peer.declared = declared
    peer.declaredAtUs = this.clock.wallUs()
    this.log.info('a leaf has declared its namespaces', {
      router: shown(routerId),
      session: session.id,
      remote: session.link.remote,
      namespaces: patterns.slice(0, 3).map(shown).join(' '),
      count: patterns.length,
    })
    session.reply({ type: 'ACK' })
    return null
  }

  private displace({ session, routerId }: Peer, by: Session): void {
    this.takeovers++
    const fields = { router: shown(routerId), session: session.id, remote: session.link.remote, from: by.link.remote }
    this.log.info('a leaf has connected anew: its former session is closed', fields)
    session.close(CloseCode.policy, 'its leaf has connected anew')
  }

  private complain({ words, ...conflict }: Conflict, isNew: boolean): void {
    const { routerId: router, remote, holder, holderRemote } = conflict
    // The leaf will try again and again.
    this.log[isNew ? 'warn' : 'debug']('refused a leaf', { router, remote, holder, holderRemote, why: words })
  }

  private peerOf(session: Session): Peer {
    let peer = this.peers.get(session)
    if (peer === undefined) {
      peer = new Peer(session)
      this.peers.set(session, peer)
    }
    return peer
  }
}

function statisticsOf({ session, routerId, declared, declaredAtUs, sets, publishes, refused }: Peer): PeerStats {
  return {
    routerId: shown(routerId),
    session: session.id,
    remote: session.link.remote,
    connectedAt: session.connectedAtUs,
    declaredAt: declared === null ? undefined : declaredAtUs,
    namespaces: declared?.patterns ?? [],
    sets,
    publishes,
    refused,
  }
}
