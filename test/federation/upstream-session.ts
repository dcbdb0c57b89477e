import type { Hello, Message, Signal, SnapshotParam } from '../../firmware-protocol/wire/message.ts'
import type { UpstreamConnection } from './upstream-connection.ts'
import { glob, subscriptionMatches } from './upstream-patterns.ts'
import { SeenFrames } from './upstream-record.ts'
import { refusal } from './upstream-refusal.ts'
import type { UpstreamScopes } from './upstream-scopes.ts'
import type { UpstreamParam } from './upstream-state.ts'

interface Subscription {
  id: number
  pattern: string
  /** Empty = all. */
  types: Signal[]
}

const SNAPSHOT_PARAMS = 800
const DROP_WINDOW_S = 10
const DROPS_BEFORE_NOTICE = 100

/** What the hub keeps of one HELLO. */
export class UpstreamSession {
  readonly id: string
  readonly name: string
  /** HELLO had the federation bit. */
  readonly isPeer: boolean
  readonly token: string | undefined
  /** null = open mode. */
  readonly scopes: UpstreamScopes | null
  readonly connection: UpstreamConnection
  /** What it sent. */
  readonly seen = new SeenFrames()
  /** Of the last DECLARE, as they came. */
  declared: string[] = []
  routerId: string
  /** In the tables of the hub: without that, requests are answered and nothing is delivered ("zombie"). */
  isListed = true
  /** When a broadcast was last sent to it, ms. */
  activeMs: number
  drops = 0
  private subscriptions: Subscription[] = []
  private windowS = Number.NEGATIVE_INFINITY
  private windowDrops = 0
  private noticeS = Number.NEGATIVE_INFINITY

  constructor(id: string, hello: Hello, scopes: UpstreamScopes | null, connection: UpstreamConnection) {
    this.id = id
    this.name = hello.name
    this.routerId = hello.name
    this.isPeer = hello.features.includes('federation')
    this.token = hello.token
    this.scopes = scopes
    this.connection = connection
    this.activeMs = connection.hub.clock.now()
  }

  get isOpen(): boolean {
    return !this.connection.isEnded
  }

  /** Distinct ids. */
  get subscriptionCount(): number {
    return new Set(this.subscriptions.map(({ id }) => id)).size
  }

  /** Patterns that are delivered now, by id. */
  get subscribed(): [id: number, pattern: string][] {
    return this.subscriptions.map(({ id, pattern }) => [id, pattern])
  }

  /** Another pattern under a known id is added to the old one, which stays until the session ends. */
  subscribe(id: number, pattern: string, types: Signal[]): void {
    this.subscriptions = this.subscriptions.filter((held) => held.id !== id || held.pattern !== pattern)
    this.subscriptions.push({ id, pattern, types })
  }

  /** Only the newest pattern of the id goes. */
  unsubscribe(id: number): void {
    const at = this.subscriptions.findLastIndex((held) => held.id === id)
    if (at >= 0) this.subscriptions.splice(at, 1)
  }

  /** The idle sweep, or the end of the connection. */
  unlist(): void {
    this.isListed = false
    this.subscriptions = []
  }

  isSubscribedTo(address: string, signal: Signal | undefined): boolean {
    return this.subscriptions.some(({ pattern, types }) => {
      if (types.length > 0 && signal !== undefined && !types.includes(signal)) return false
      return subscriptionMatches(pattern, address)
    })
  }

  /** A declared namespace covers the address; without any the session is an ordinary client. */
  mayWriteAt(address: string): boolean {
    return this.declared.length === 0 || this.isWithinDeclared(address)
  }

  isWithinDeclared(address: string): boolean {
    return this.declared.some((pattern) => glob(pattern, address))
  }

  /** Chunks by count: one that is too large for a frame vanishes (D7). Nothing to send is one empty SNAPSHOT. */
  sendSnapshot(params: readonly (readonly [string, UpstreamParam])[]): void {
    for (let at = 0; at === 0 || at < params.length; at += SNAPSHOT_PARAMS) {
      const chunk = params.slice(at, at + SNAPSHOT_PARAMS).map(([address, param]): SnapshotParam => {
        const { value, revision, writer, timestampUs: timestamp } = param
        return { address, value, revision, writer, timestamp }
      })
      this.connection.reply({ type: 'SNAPSHOT', params: chunk })
    }
  }

  /** A message of somebody else, or the echo of its own SET; dropped when there is no room. */
  broadcast(message: Message): void {
    const result = this.connection.broadcast(message, this.id)
    if (result === 'dropped') this.noteDrop()
    if (result === 'sent') this.activeMs = this.connection.hub.clock.now()
  }

  /** From the 100th drop within 10 s on there is a notice, at most one in 10 s (router.md §12). */
  private noteDrop(): void {
    this.drops++
    const { clock } = this.connection.hub
    const nowS = Math.floor(clock.now() / 1000)
    if (nowS >= this.windowS + DROP_WINDOW_S) {
      this.windowS = nowS
      this.windowDrops = 1
      return
    }
    this.windowDrops++
    if (this.windowDrops < DROPS_BEFORE_NOTICE || nowS < this.noticeS + DROP_WINDOW_S) return
    this.noticeS = nowS
    this.activeMs = clock.now()
    const text = `Buffer overflow: messages being dropped (${this.windowDrops} drops in last 10 seconds)`
    this.connection.reply(refusal(503, text))
  }
}
