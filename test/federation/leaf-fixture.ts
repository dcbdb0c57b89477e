import type { Value } from '../../firmware-protocol/wire/value.ts'
import { type Leaf, startLeaf } from '../../runtime/federation/leaf/leaf.ts'
import { defaultLeafOptions, type LeafOptions } from '../../runtime/federation/leaf/leaf-options.ts'
import { MemoryUplinkStore } from '../../runtime/federation/leaf/memory-uplink-store.ts'
import type { UplinkStore } from '../../runtime/federation/leaf/uplink-store.ts'
import { type Clock, systemClock } from '../../runtime/router/clock.ts'
import type { StoredParam } from '../../runtime/router/journal.ts'
import type { LocalSession } from '../../runtime/router/local-session.ts'
import { type Log, silentLog } from '../../runtime/router/log.ts'
import { defaultRouterOptions, type RouterOptions } from '../../runtime/router/options.ts'
import { paramValue } from '../../runtime/router/param-value.ts'
import { Router } from '../../runtime/router/router.ts'
import { until } from '../until.ts'

export interface LeafSetup extends Partial<LeafOptions> {
  url: string
  clock?: Clock
  store?: UplinkStore
  log?: Log
  router?: Partial<RouterOptions>
  /** What a journal would bring back at the start. */
  stored?: StoredParam[]
}

/** A router with an uplink, and a local client that writes. */
export class LeafBench {
  readonly router: Router
  readonly store: UplinkStore
  readonly client: LocalSession
  readonly leaf: Leaf

  constructor(t: { after(end: () => Promise<void>): void }, setup: LeafSetup) {
    const {
      clock = systemClock,
      store = new MemoryUplinkStore(),
      log = silentLog,
      router,
      stored = [],
      ...options
    } = setup
    this.store = store
    this.router = new Router({ ...defaultRouterOptions, name: 'leaf', paramTtlSeconds: 0, ...router }, { clock, log })
    for (const param of stored) this.router.restore(param)
    this.client = this.router.openLocal({ name: 'bench' })
    this.leaf = startLeaf(
      {
        ...defaultLeafOptions,
        namespaces: ['/site-a', '/site-a/**'],
        routerId: 'stage-left',
        backOff: { baseMs: 20, capMs: 100 },
        ...options,
      },
      { router: this.router, store, clock, log, signal: new AbortController().signal },
    )
    t.after(() => this.stop())
  }

  set(address: string, value: Value, fields: object = {}): void {
    this.client.send({ type: 'SET', address, value, ...fields })
  }

  /** The value as the router holds it. */
  get(address: string): Value | undefined {
    const entry = this.router.lookup(address)
    const param = entry === null ? null : this.router.store.get(entry, this.router.clock.now())
    return param === null ? undefined : paramValue(this.router.store, param)
  }

  async active(): Promise<void> {
    await until(
      () => this.leaf.statistics.state === 'active',
      `active link (${this.leaf.statistics.state}: ${this.leaf.statistics.lastError})`,
    )
  }

  /** Everything has been told to the hub. */
  async settled(): Promise<void> {
    await until(() => {
      const { state, queue, forwarded } = this.leaf.statistics
      return state === 'active' && queue.params === 0 && forwarded.acknowledged + forwarded.refused > 0
    }, 'settled link')
  }

  async stop(): Promise<void> {
    await this.leaf.stop()
    this.router.stop()
  }
}
