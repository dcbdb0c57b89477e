import type { Clock } from '../../router/clock.ts'
import type { Session } from '../../router/session.ts'
import { ComparisonBudget, type Declared } from './declared.ts'
import { type Peer, shown } from './peer.ts'

/** So many takeovers of one router id in this time are the work of two leaves that share it. */
const MAX_TAKEOVERS = 3
const CONTEST_MS = 60_000
/** A conflict that is not renewed for so long is over. */
const CONFLICT_MS = 600_000
/** Anybody can make up router ids. */
const MAX_REMEMBERED = 100

/** A DECLARE that was refused because another leaf has the namespace. Times are Unix time in µs. */
export interface Conflict {
  routerId: string
  remote: string
  /** Who has it, from where. */
  holder: string
  holderRemote: string
  words: string
  firstAt: number
  lastAt: number
  count: number
}

interface Standing extends Conflict {
  /** Monotonic ms. */
  renewedAt: number
}

export interface Claim {
  session: Session
  routerId: string
  isNamed: boolean
  declared: Declared
}

/**
 * Decides who may have a namespace. One leaf's namespaces overlap nobody else's; the same leaf that connects anew displaces
 * the session that it left behind. In open mode, where a name proves nothing, this holds among leaves that give an origin;
 * others are taken as upstream takes them. Source: federation reference §5.3, §14, D15.
 */
export class Claims {
  private readonly clock: Clock
  private readonly standing = new Map<string, Standing>()
  private readonly takeovers = new Map<string, number[]>()
  /** Since the start. */
  refusals = 0

  constructor(clock: Clock) {
    this.clock = clock
  }

  /** The stale sessions of the same leaf, which are to be closed; or why the claim is refused. */
  examine(claim: Claim, peers: Iterable<Peer>): { stale: Peer[] } | { conflict: Conflict; isNew: boolean } {
    const stale: Peer[] = []
    const budget = new ComparisonBudget()
    for (const peer of peers) {
      if (peer.session === claim.session || peer.declared === null) continue
      if (isSameLeaf(claim, peer)) {
        if (claim.isNamed) stale.push(peer)
        continue
      }
      const isChecked = claim.session.access !== null || (claim.isNamed && peer.isNamed)
      const common = isChecked ? claim.declared.overlapWith(peer.declared, budget) : null
      if (common !== null) return this.refuse(claim, peer, overlapWords(common, peer))
    }
    if (stale.length > 0 && this.isContested(claim.routerId)) {
      return this.refuse(
        claim,
        stale[0],
        `router id '${shown(claim.routerId)}' is used by two leaves, the other ${whereAndWhen(stale[0])}: give each leaf a router id of its own`,
      )
    }
    this.standing.delete(claim.routerId)
    return { stale }
  }

  /** Those that last, the newest last. */
  conflicts(): Conflict[] {
    const now = this.clock.now()
    for (const [routerId, { renewedAt }] of this.standing) {
      if (now - renewedAt >= CONFLICT_MS) this.standing.delete(routerId)
    }
    return [...this.standing.values()].map(({ renewedAt, ...conflict }) => conflict)
  }

  private refuse({ session, routerId }: Claim, holder: Peer, words: string): { conflict: Conflict; isNew: boolean } {
    this.refusals++
    const before = this.standing.get(routerId)
    const at = this.clock.wallUs()
    const conflict: Standing = {
      routerId: shown(routerId),
      remote: session.link.remote,
      holder: shown(holder.routerId),
      holderRemote: holder.session.link.remote,
      words,
      firstAt: before?.firstAt ?? at,
      lastAt: at,
      count: (before?.count ?? 0) + 1,
      renewedAt: this.clock.now(),
    }
    remember(this.standing, routerId, conflict)
    return { conflict, isNew: before?.words !== words }
  }

  /** Counts a takeover. Two leaves with one id would displace each other for ever: then whoever has it keeps it. */
  private isContested(routerId: string): boolean {
    const now = this.clock.now()
    const recent = (this.takeovers.get(routerId) ?? []).filter((at) => now - at < CONTEST_MS)
    const isContested = recent.length >= MAX_TAKEOVERS
    remember(this.takeovers, routerId, isContested ? recent.map(() => now) : [...recent, now])
    return isContested
  }
}

function isSameLeaf({ session, routerId, isNamed }: Claim, peer: Peer): boolean {
  return (
    peer.routerId === routerId && peer.isNamed === isNamed && peer.session.access?.subject === session.access?.subject
  )
}

function overlapWords(common: [string, string] | 'unknown', holder: Peer): string {
  const leaf = `leaf '${shown(holder.routerId)}', ${whereAndWhen(holder)}`
  if (common === 'unknown') {
    return `too many namespaces to tell them from those of ${leaf}: let each begin with a segment of the leaf's own`
  }
  const [wanted, taken] = common.map(shown)
  return `namespace ${wanted} overlaps ${taken} of ${leaf}: give each leaf namespaces of its own`
}

function whereAndWhen({ session, declaredAtUs }: Peer): string {
  return `connected from ${session.link.remote} since ${new Date(declaredAtUs / 1000).toISOString()}`
}

function remember<T>(map: Map<string, T>, key: string, value: T): void {
  map.delete(key)
  map.set(key, value)
  const [oldest] = map.keys()
  if (map.size > MAX_REMEMBERED) map.delete(oldest)
}
