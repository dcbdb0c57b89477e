import type { Value } from '../../firmware-protocol/wire/value.ts'
import type { Clock } from '../router/clock.ts'
import { RecentMap } from '../routes/recent-map.ts'
import { jsonFromValue } from './json-value.ts'

/** Whether a bridge waits for peers, or is one itself. */
export type Side = 'server' | 'client'

const MAX_ADDRESSES = 4096
/** Values on their way round at one address. */
const MAX_TOLD = 64
const MAX_ECHOES = 20
const WITHIN_MS = 1000
const REST_MS = 5000

interface Traffic {
  readonly told: { readonly text: string; readonly atMs: number }[]
  echoes: number
  sinceMs: number
  restsUntilMs: number
}

/**
 * Ends loops through two bridges of a node, which neither of them sees: nodes that are clients of each other's servers. An
 * address at which more than 20 values a second come in that went out at the other side just before rests for five seconds.
 * It costs nothing while no bridge is a client.
 */
export class MirrorGuard {
  private readonly clock: Clock
  private readonly sides = {
    server: new RecentMap<Traffic>(MAX_ADDRESSES),
    client: new RecentMap<Traffic>(MAX_ADDRESSES),
  }

  private clients = 0

  constructor(clock: Clock) {
    this.clock = clock
  }

  /** A bridge is a client from now on. Returns a function that ends it. */
  enterClient(): () => void {
    this.clients++
    return () => {
      this.clients--
    }
  }

  /** A bridge of this side has sent the value. */
  told(side: Side, address: string, value: Value): void {
    if (this.clients === 0) return
    const { told } = this.trafficOf(side, address)
    told.push({ text: jsonFromValue(value), atMs: this.clock.now() })
    if (told.length > MAX_TOLD) told.shift()
  }

  /** Whether a value may come in at this side. `onLoop` is called when the address begins to rest. */
  allows(side: Side, address: string, value: Value, onLoop: () => void): boolean {
    if (this.clients === 0) return true
    const traffic = this.sides[side === 'server' ? 'client' : 'server'].get(address)
    if (traffic === undefined) return true
    const now = this.clock.now()
    if (now < traffic.restsUntilMs) return false
    const text = jsonFromValue(value)
    const isEcho = traffic.told.some((one) => one.text === text && now - one.atMs <= WITHIN_MS)
    if (!isEcho) return true
    if (now - traffic.sinceMs > WITHIN_MS) {
      traffic.sinceMs = now
      traffic.echoes = 0
    }
    if (++traffic.echoes <= MAX_ECHOES) return true
    traffic.restsUntilMs = now + REST_MS
    traffic.echoes = 0
    traffic.told.length = 0
    onLoop()
    return false
  }

  private trafficOf(side: Side, address: string): Traffic {
    const known = this.sides[side].get(address)
    if (known !== undefined) return known
    const traffic: Traffic = { told: [], echoes: 0, sinceMs: 0, restsUntilMs: 0 }
    this.sides[side].set(address, traffic)
    return traffic
  }
}

/** For the operator. */
export function loopMessage(address: string): string {
  return `values go round in circles at ${address}: it rests for 5 s; are two nodes clients of each other?`
}
