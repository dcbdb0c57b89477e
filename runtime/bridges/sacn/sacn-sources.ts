import type { Value } from '../../../firmware-protocol/wire/value.ts'
import type { Clock } from '../../router/clock.ts'
import type { BridgeSession } from '../bridge.ts'
import { cidText, type SacnDiscovery } from './sacn-packet.ts'

const MAX_SOURCES = 256
/** Of one source: 4096 universes. More would not fit into a param either. */
const MAX_PAGES = 8
/** Two intervals of discovery: E1.31 §8. */
const FORGET_S = 20
/** More often than that a source tells nothing new, ms. */
const PAUSE_MS = 1000

interface KnownSource {
  readonly pages: Map<number, Uint16Array>
  seenAt: number
  toldAt: number
}

/** Who sends what, as params `{ns}/sources/{cid}`. Source: bridges.md §7.4, §7.5. */
export class SacnSources {
  private readonly router: BridgeSession
  private readonly namespace: string
  private readonly clock: Clock
  private readonly sources = new Map<string, KnownSource>()

  constructor(router: BridgeSession, namespace: string, clock: Clock) {
    this.router = router
    this.namespace = namespace
    this.clock = clock
  }

  get count(): number {
    return this.sources.size
  }

  /** False: there are too many. */
  heard({ cid, name, page, lastPage: last, universes }: SacnDiscovery): boolean {
    if (page >= MAX_PAGES) return true
    const lastPage = Math.min(last, MAX_PAGES - 1)
    const now = this.clock.now()
    const known = this.sources.get(cid)
    if (known === undefined && this.sources.size >= MAX_SOURCES) this.forget()
    if (known === undefined && this.sources.size >= MAX_SOURCES) return false
    const source = known ?? { pages: new Map(), seenAt: now, toldAt: Number.NEGATIVE_INFINITY }
    this.sources.set(cid, source)
    source.seenAt = now
    source.pages.set(page, Uint16Array.from(universes))
    for (const number of source.pages.keys()) if (number > lastPage) source.pages.delete(number)
    // Its first pages alone would be half the truth.
    if (page !== lastPage || source.pages.size <= lastPage || now - source.toldAt < PAUSE_MS) return true
    source.toldAt = now
    const all = [...source.pages].sort(([a], [b]) => a - b).flatMap(([, list]) => [...list])
    const value: Value = {
      type: 'map',
      value: [
        ['name', { type: 'string', value: name }],
        ['universes', { type: 'array', value: all.map((universe) => ({ type: 'i64', value: universe }) as const) }],
      ],
    }
    const ttl = { mode: 'sliding', seconds: FORGET_S } as const
    this.router.set(`${this.namespace}/sources/${cidText(cid)}`, value, ttl)
    return true
  }

  /** Those that have been silent for two intervals. */
  forget(): void {
    const now = this.clock.now()
    for (const [cid, { seenAt }] of this.sources) if (now - seenAt > FORGET_S * 1000) this.sources.delete(cid)
  }
}
