import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { join } from 'node:path'
import type { Message } from '../../firmware-protocol/wire/message.ts'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import { Hub } from '../../runtime/federation/hub/hub.ts'
import { dialHub } from '../../runtime/federation/leaf/dialed-hub-session.ts'
import { type Leaf, startLeaf } from '../../runtime/federation/leaf/leaf.ts'
import { defaultLeafOptions, type LeafOptions } from '../../runtime/federation/leaf/leaf-options.ts'
import type { LeafStatistics } from '../../runtime/federation/leaf/link-status.ts'
import { MemoryUplinkStore } from '../../runtime/federation/leaf/memory-uplink-store.ts'
import { isSameValue } from '../../runtime/federation/leaf/same-value.ts'
import type { UplinkStore } from '../../runtime/federation/leaf/uplink-store.ts'
import { type RunningJournal, startJournal } from '../../runtime/journal/journal.ts'
import { defaultJournalOptions } from '../../runtime/journal/journal-options.ts'
import type { Authorizer } from '../../runtime/router/access.ts'
import { type Clock, systemClock } from '../../runtime/router/clock.ts'
import type { LocalSession } from '../../runtime/router/local-session.ts'
import type { Log } from '../../runtime/router/log.ts'
import { defaultRouterOptions, type RouterOptions } from '../../runtime/router/options.ts'
import { paramValue } from '../../runtime/router/param-value.ts'
import { Router } from '../../runtime/router/router.ts'
import { listenPort } from '../../runtime/transports/port.ts'
import { Peer } from '../router/fixture.ts'
import { until } from '../until.ts'
import type { UpstreamHub } from './upstream-hub.ts'

export interface Test {
  after(end: () => Promise<void> | void): void
}

export interface SiteSetup {
  name?: string
  clock?: Clock
  /** The link to a hub. Default: none. */
  uplink?: Partial<LeafOptions> & { url: string }
  /** Memory of the link; a second site with the same one is the first after a restart. */
  store?: UplinkStore
  /** Folder of a journal, which is the memory of the link as well; instead of `store`. */
  journal?: string
  /** Accepts leaves, at `port`. */
  isHub?: boolean
  /** Listens there; 0 = anywhere. Default: it listens only as a hub. */
  port?: number
  router?: Partial<RouterOptions>
  authorizer?: Authorizer
  /** For the waiting times of the link. */
  random?: () => number
}

/** A router of ours in this process, leaf or hub or both at once. Everything ends with the test. */
export class Site {
  readonly router: Router
  readonly hub: Hub | null
  readonly client: LocalSession
  /** What `client` was sent. */
  readonly heard: Message[] = []
  /** Warnings and errors for the operator. */
  readonly complaints: string[] = []
  /** When a connection to the hub was tried, ms of the site's clock. */
  readonly attempts: number[] = []
  store: UplinkStore
  journal: RunningJournal | null = null
  port = 0
  private leafOrNull: Leaf | null = null
  private end: () => Promise<void> = async () => {}

  static async start(t: Test, setup: SiteSetup = {}): Promise<Site> {
    const site = new Site(setup)
    t.after(() => site.stop())
    if (setup.journal !== undefined) await site.remember(setup.journal)
    if (setup.isHub === true || setup.port !== undefined) await site.listen(setup.port ?? 0)
    if (setup.uplink !== undefined) site.link(setup.uplink, setup.random)
    return site
  }

  private constructor({ name = 'site', clock = systemClock, isHub = false, router, authorizer, store }: SiteSetup) {
    const log = this.log
    this.store = store ?? new MemoryUplinkStore()
    this.router = new Router(
      { ...defaultRouterOptions, name, paramTtlSeconds: 0, ...router },
      { clock, log, authorizer },
    )
    this.client = this.router.openLocal({ name: 'client', onMessage: (message) => this.heard.push(message) })
    this.hub = isHub ? new Hub(this.router, { log, clock, name }) : null
    if (this.hub !== null) this.router.peers = this.hub
  }

  get leaf(): Leaf {
    assert.ok(this.leafOrNull !== null, 'the site has no uplink')
    return this.leafOrNull
  }

  get status(): LeafStatistics {
    return this.leaf.statistics
  }

  get url(): string {
    return `tcp://127.0.0.1:${this.port}`
  }

  get isActive(): boolean {
    return this.leaf.statistics.state === 'active'
  }

  /** The hub has all that it is to have, as far as the leaf knows. */
  get isSettled(): boolean {
    const { state, queue } = this.leaf.statistics
    return state === 'active' && queue.params === 0 && queue.events === 0
  }

  set(address: string, value: Value, fields: object = {}): void {
    this.client.send({ type: 'SET', address, value, ...fields })
  }

  publish(address: string, value: Value, fields: object = {}): void {
    this.client.send({ type: 'PUBLISH', address, signal: 'event', phase: 'start', value, ...fields })
  }

  subscribe(id: number, pattern: string): void {
    this.client.send({ type: 'SUBSCRIBE', id, pattern, types: [] })
  }

  /** The value as the router holds it. */
  get(address: string): Value | undefined {
    const entry = this.router.lookup(address)
    const param = entry === null ? null : this.router.store.get(entry, this.router.clock.now())
    return param === null ? undefined : paramValue(this.router.store, param)
  }

  /** All values below a prefix but what leaves keep of themselves. */
  values(prefix: string): Map<string, Value> {
    const values = new Map<string, Value>()
    const now = this.router.clock.now()
    for (const param of this.router.store.params) {
      const { text } = param.entry
      if (isPayload(text, prefix) && param.expiresAt > now) values.set(text, paramValue(this.router.store, param))
    }
    return values
  }

  /** Refusals that the local client got. */
  get refusals(): Message[] {
    return this.heard.filter(({ type }) => type === 'ERROR')
  }

  async active(): Promise<void> {
    await until(
      () => this.isActive,
      `active link of ${this.leaf.routerId} (${this.status.state}: ${this.status.lastError})`,
    )
  }

  /** A client on a socket, WELCOME and the first SNAPSHOT taken out of the way. */
  async join(t: Test, name = 'client'): Promise<Peer> {
    const peer = new Peer(connect(this.port, '127.0.0.1'))
    t.after(() => peer.close())
    await once(peer.socket, 'connect')
    peer.send({ type: 'HELLO', version: 1, features: ['param', 'event', 'stream'], name })
    peer.session = (await peer.next('WELCOME')).session
    await peer.settle()
    return peer
  }

  /** Starts the uplink anew, as a change of the configuration does. */
  async relink(uplink: Partial<LeafOptions> & { url: string }): Promise<void> {
    await this.leafOrNull?.stop()
    this.link(uplink)
  }

  /** Closes all connections and listens no more; what is stored stays. */
  async goAway(): Promise<void> {
    await this.end()
    this.end = async () => {}
  }

  /** Listens again on the same port. */
  async comeBack(): Promise<void> {
    await this.listen(this.port)
  }

  async stop(): Promise<void> {
    await this.leafOrNull?.stop()
    await this.journal?.stop()
    this.router.stop()
    await this.goAway()
  }

  /** Ends as a power cut would: what no commit has taken along is lost. */
  async crash(): Promise<void> {
    await this.journal?.stop(AbortSignal.abort())
    await this.stop()
  }

  /** Everything is durable within a second. */
  private async remember(folder: string): Promise<void> {
    const { router, log } = this
    const durability = [{ pattern: '/**', mode: 'batched' as const }]
    const program = join(process.cwd(), 'dist', 'journal-worker.cjs')
    this.journal = await startJournal(
      { ...defaultJournalOptions, folder, durability },
      { router, clock: router.clock, log, program },
    )
    router.journal = this.journal
    this.store = this.journal.uplink
  }

  private link(uplink: Partial<LeafOptions> & { url: string }, random?: () => number): void {
    const { router, store, log } = this
    const { clock } = router
    this.leafOrNull = startLeaf(
      { ...defaultLeafOptions, namespaces: ['/site-a', '/site-a/**'], routerId: 'stage-left', ...uplink },
      {
        router,
        store,
        clock,
        log,
        random,
        dial: (options, handler, parts) => {
          if (options.isPeer) this.attempts.push(clock.now())
          return dialHub(options, handler, parts)
        },
        signal: new AbortController().signal,
      },
    )
  }

  private async listen(port: number): Promise<void> {
    const aborter = new AbortController()
    const options = { host: '127.0.0.1', port, clock: this.router.clock }
    const listener = await listenPort(options, this.router, this.log, aborter.signal)
    this.port = listener.port
    this.end = async () => {
      await listener.stop()
      aborter.abort()
    }
  }

  private get log(): Log {
    const complain = (message: string, fields: object = {}) => {
      this.complaints.push(`${message} ${Object.values(fields).join(' ')}`)
    }
    return { debug() {}, info() {}, warn: complain, error: complain }
  }
}

/** All values of the scripted hub below a prefix but what leaves keep of themselves. */
export function hubValues(hub: UpstreamHub, prefix: string): Map<string, Value> {
  return new Map(
    [...hub.params].filter(([address]) => isPayload(address, prefix)).map(([address, { value }]) => [address, value]),
  )
}

/** The addresses at which both sides are not equal, with what each has; a few of them. */
export function differences(ours: Map<string, Value>, theirs: Map<string, Value>): string[] {
  const found: string[] = []
  for (const address of new Set([...ours.keys(), ...theirs.keys()])) {
    const [a, b] = [ours.get(address), theirs.get(address)]
    if (a === undefined || b === undefined || !isSameValue(a, b)) found.push(`${address}: ${shown(a)} / ${shown(b)}`)
    if (found.length === 5) break
  }
  return found
}

export function isEqual(a: Value | undefined, b: Value | undefined): boolean {
  return a === undefined || b === undefined ? a === b : isSameValue(a, b)
}

export function shown(value: Value | undefined, characters = 40): string {
  return value === undefined ? 'nothing' : 'value' in value ? String(value.value).slice(0, characters) : value.type
}

function isPayload(address: string, prefix: string): boolean {
  return address.startsWith(prefix) && !address.includes('/_leaf/') && !address.startsWith('/_clasp/')
}

/** Numbers that look random and are the same for the same seed (mulberry32). */
export class Chance {
  private state: number

  constructor(seed: number) {
    this.state = seed
  }

  /** 0 <= number < 1. */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) | 0
    let mixed = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }

  /** 0 <= integer < limit. */
  below(limit: number): number {
    return Math.floor(this.next() * limit)
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]
  }
}
