import type { AddressEntry } from './address-table.ts'
import { Group } from './group.ts'
import type { Session } from './session.ts'
import type { Subscription } from './subscription.ts'
import type { PatternNode, SubscriptionIndex } from './subscription-index.ts'

/** A signal code, or 5 for a legacy PUBLISH that names none and so passes every type filter. */
export const ANY_SIGNAL = 5

/**
 * Who gets what is sent to an address, by signal. Addresses that match the same patterns share one route, so that a
 * fan-out over many addresses is still one group of recipients.
 */
export class Route {
  private readonly nodes: PatternNode[]
  private readonly groups: (Group | null)[] = [null, null, null, null, null, null]

  constructor(nodes: PatternNode[]) {
    this.nodes = nodes
  }

  group(signal: number): Group {
    const known = this.groups[signal]
    if (known !== null) return known
    const bySession = new Map<Session, Subscription[]>()
    for (const node of this.nodes) {
      for (const subscription of node.subscriptions) {
        if (signal !== ANY_SIGNAL && (subscription.mask & (1 << signal)) === 0) continue
        const list = bySession.get(subscription.session)
        if (list === undefined) bySession.set(subscription.session, [subscription])
        else list.push(subscription)
      }
    }
    const group = new Group(bySession)
    this.groups[signal] = group
    return group
  }
}

/** Routes by address, remembered until a subscription changes. */
export class Routes {
  private readonly index: SubscriptionIndex
  private readonly known = new Map<string, Route>()
  private epoch = -1

  constructor(index: SubscriptionIndex) {
    this.index = index
  }

  of(entry: AddressEntry): Route {
    const epoch = this.index.epoch
    if (entry.routeEpoch === epoch && entry.route !== null) return entry.route
    if (this.epoch !== epoch) {
      this.known.clear()
      this.epoch = epoch
    }
    const nodes = this.index.match(entry.text)
    let key = ''
    for (const node of nodes) key += `${node.id},`
    let route = this.known.get(key)
    if (route === undefined) {
      route = new Route(nodes)
      this.known.set(key, route)
    }
    entry.route = route
    entry.routeEpoch = epoch
    return route
  }
}
