/** Hot path. */
import type { BrokerSession } from './broker-session.ts'
import type { Qos } from './outgoing.ts'

export interface Subscription {
  readonly session: BrokerSession
  /** Without `$share/<group>/`. */
  readonly filter: string
  readonly group: string | undefined
  readonly qos: Qos
  /** Not what the session published itself. */
  readonly isNoLocal: boolean
  readonly keepsRetainFlag: boolean
  /** 0: none. */
  readonly identifier: number
}

/** What one session gets of a topic: all of its subscriptions that match, as one. */
export interface Match {
  readonly session: BrokerSession
  readonly qos: Qos
  readonly keepsRetainFlag: boolean
  readonly identifiers: readonly number[]
  /** What it gets of its own messages; undefined: nothing. */
  readonly own: Match | undefined
}

/** Members of a shared subscription take turns. */
interface ShareGroup {
  readonly members: Subscription[]
  next: number
}

interface Matches {
  readonly single: readonly Match[]
  readonly groups: readonly ShareGroup[]
}

class Level {
  readonly children = new Map<string, Level>()
  readonly single = new Map<BrokerSession, Subscription>()
  readonly groups = new Map<string, ShareGroup>()

  get isEmpty(): boolean {
    return this.children.size === 0 && this.single.size === 0 && this.groups.size === 0
  }
}

/** Topics whose matches are remembered until a subscription changes. */
const MAX_KNOWN = 4096

/** Topic filters, level by level: the time to match depends on the levels of a topic, not on the number of filters. */
export class SubscriptionTree {
  private readonly root = new Level()
  private readonly known = new Map<string, Matches>()

  add(subscription: Subscription): void {
    this.known.clear()
    let level = this.root
    for (const name of subscription.filter.split('/')) {
      let child = level.children.get(name)
      if (child === undefined) {
        child = new Level()
        level.children.set(name, child)
      }
      level = child
    }
    const { session, group } = subscription
    if (group === undefined) {
      level.single.set(session, subscription)
      return
    }
    const share = level.groups.get(group)
    if (share === undefined) level.groups.set(group, { members: [subscription], next: 0 })
    else share.members.push(subscription)
  }

  remove({ session, filter, group }: Subscription): void {
    this.known.clear()
    const path: Level[] = [this.root]
    const names = filter.split('/')
    for (const name of names) {
      const child = path[path.length - 1].children.get(name)
      if (child === undefined) return
      path.push(child)
    }
    const level = path[path.length - 1]
    if (group === undefined) {
      level.single.delete(session)
    } else {
      const members = level.groups.get(group)?.members ?? []
      const at = members.findIndex((member) => member.session === session)
      if (at >= 0) members.splice(at, 1)
      if (members.length === 0) level.groups.delete(group)
    }
    for (let at = names.length; at > 0 && path[at].isEmpty; at--) path[at - 1].children.delete(names[at - 1])
  }

  /** Calls back for each session that gets a message of this topic; of a shared subscription for one. */
  each(topic: string, visit: (match: Match) => void): void {
    const { single, groups } = this.known.get(topic) ?? this.find(topic)
    for (let at = 0; at < single.length; at++) visit(single[at])
    for (let at = 0; at < groups.length; at++) {
      const member = choose(groups[at], topic)
      if (member !== undefined) visit(matchOf([member]))
    }
  }

  private find(topic: string): Matches {
    const singles = new Map<BrokerSession, Subscription[]>()
    const groups: ShareGroup[] = []
    const take = (level: Level | undefined) => {
      if (level === undefined) return
      for (const [session, subscription] of level.single) {
        const others = singles.get(session)
        if (others === undefined) singles.set(session, [subscription])
        else others.push(subscription)
      }
      groups.push(...level.groups.values())
    }
    let levels = [this.root]
    const names = topic.split('/')
    for (const [at, name] of names.entries()) {
      const next: Level[] = []
      for (const { children } of levels) {
        const named = children.get(name)
        if (named !== undefined) next.push(named)
        // Wildcards at the first level do not mean topics of the broker itself.
        if (at === 0 && name.startsWith('$')) continue
        const any = children.get('+')
        if (any !== undefined) next.push(any)
        take(children.get('#'))
      }
      levels = next
    }
    for (const level of levels) {
      take(level)
      take(level.children.get('#'))
    }
    const matches = { single: [...singles.values()].map(matchOf), groups }
    if (this.known.size >= MAX_KNOWN) this.known.clear()
    this.known.set(topic, matches)
    return matches
  }
}

/** The next member that may read it and is connected; else the next one that may. */
function choose(group: ShareGroup, topic: string): Subscription | undefined {
  const { members } = group
  let away: Subscription | undefined
  for (let tried = 0; tried < members.length; tried++) {
    const member = members[group.next++ % members.length]
    if (!member.session.rights.canRead(topic)) continue
    if (member.session.isConnected) return member
    away ??= member
  }
  group.next++
  return away
}

function matchOf(subscriptions: readonly Subscription[]): Match {
  const all = {
    session: subscriptions[0].session,
    qos: Math.max(...subscriptions.map(({ qos }) => qos)) as Qos,
    keepsRetainFlag: subscriptions.some(({ keepsRetainFlag }) => keepsRetainFlag),
    identifiers: subscriptions.flatMap(({ identifier }) => (identifier > 0 ? [identifier] : [])),
    own: undefined as Match | undefined,
  }
  const local = subscriptions.filter(({ isNoLocal }) => !isNoLocal)
  if (local.length === subscriptions.length) all.own = all
  else if (local.length > 0) all.own = matchOf(local)
  return all
}
