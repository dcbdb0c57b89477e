import { Pattern } from '../../../firmware-protocol/wire/pattern.ts'
import type { Clock, Timer } from '../../router/clock.ts'
import type { Update } from '../bridge.ts'
import { OutboundQueue } from '../outbound-queue.ts'
import type { EchoKey, OscEcho } from './osc-echo.ts'
import type { OscBytes, OscFormat } from './osc-encoder.ts'
import { OscPace } from './osc-pace.ts'
import type { OscPattern } from './osc-pattern.ts'

const MAX_SUBSCRIPTIONS = 32
/** Values that were there before go out so many at a time: a burst of datagrams would be lost. */
const REFRESH_COUNT = 64
const REFRESH_EVERY_MS = 5

/** The way to a peer. */
export interface OscLink {
  /** It takes no more at the moment: what is to be sent waits. */
  readonly isFull: boolean
  send(packet: OscBytes): void
  /** Whoever is there has not proved to be there. */
  readonly isDoubtful?: boolean
  /** Sends there from now on; missing: there is no such choice. */
  setPort?(port: number): boolean
  /** A datagram of so many bytes came from there. */
  heard?(bytes: number): void
  /** Whether this is the number that the last challenge told; missing: there is no doubt. */
  prove?(number: number): boolean
  /** Resolves when what belongs to the link alone is closed. */
  close(): Promise<void>
}

/** A value for peers. */
export interface Telling extends Update {
  readonly oscAddress: string
  /** One object for each address. */
  readonly key: EchoKey
  /** Who sent it, and does not get it back; undefined: nobody on this side. */
  readonly origin: OscPeer | undefined
}

interface Subscription {
  readonly text: string
  readonly pattern: OscPattern
  /** Undefined: every change. */
  readonly pace: OscPace<Telling> | undefined
}

export interface OscPeerParts {
  /** `192.0.2.1:9000`. */
  readonly name: string
  readonly link: OscLink
  readonly format: OscFormat
  /** Gets all that its filter lets through, without asking. */
  readonly getsAll: boolean
  /** Patterns of whole addresses; none = all. */
  readonly filter: readonly string[]
  readonly hearsItself: boolean
  readonly clock: Clock
  /** Writes it to the link. */
  tell(peer: OscPeer, telling: Telling): void
  /** The value that a param has now. */
  current(address: string): Telling | undefined
  onDropped(): void
}

/** A program or device on the other side: a target, a sender that was heard, or a connection. */
export class OscPeer {
  readonly name: string
  readonly link: OscLink
  readonly format: OscFormat
  readonly hearsItself: boolean
  /** Its numeric address, once it is known. */
  host = ''
  echo: OscEcho<OscPeer> | undefined
  heardAt = 0
  /** False: it has not shown the token yet, and hears nothing. */
  isWelcome = true
  private readonly parts: OscPeerParts
  private readonly filter: readonly Pattern[]
  private readonly subscriptions: Subscription[] = []
  private readonly queue: OutboundQueue
  private readonly toRefresh = new Set<string>()
  private refreshTimer: Timer | null = null

  constructor(parts: OscPeerParts) {
    this.parts = parts
    this.name = parts.name
    this.link = parts.link
    this.format = parts.format
    this.hearsItself = parts.hearsItself
    this.filter = parts.filter.map((text) => Pattern.parse(text)).filter((pattern) => pattern instanceof Pattern)
    this.queue = new OutboundQueue(() => parts.onDropped())
  }

  get isListening(): boolean {
    return this.isWelcome && (this.parts.getsAll || this.subscriptions.length > 0)
  }

  /** Patterns that it subscribed to. */
  get subscribed(): string[] {
    return this.subscriptions.map(({ text }) => text)
  }

  /** Whether values of this sender are its own. */
  isSame(origin: OscPeer | undefined): boolean {
    if (origin === undefined) return false
    return origin === this || (!this.hearsItself && origin.host === this.host)
  }

  /** Hands it over if the peer wants it. */
  offer(telling: Telling): void {
    if (this.isSame(telling.origin)) return
    if (this.parts.getsAll && this.passes(telling.address)) {
      this.deliver(telling)
      return
    }
    for (const { pattern, pace } of this.subscriptions) {
      if (!pattern.matches(telling.oscAddress)) continue
      if (pace === undefined || telling.signal === 'event') this.deliver(telling)
      else pace.offer(telling.address, telling)
      return
    }
  }

  /** The values of these params follow, as they are when their turn comes. */
  refresh(addresses: Iterable<string>): void {
    for (const address of addresses) this.toRefresh.add(address)
    this.scheduleRefresh(0)
  }

  /** For a peer that was told nothing yet: all that it gets without asking. */
  refreshAll(known: Iterable<string>): void {
    if (!this.parts.getsAll || !this.isWelcome) return
    this.refresh([...known].filter((address) => this.passes(address)))
  }

  /** False: it has too many. `maxRate`: updates a second of one address; 0 = all. */
  subscribe(text: string, pattern: OscPattern, maxRate: number): boolean {
    this.unsubscribe(text)
    if (this.subscriptions.length >= MAX_SUBSCRIPTIONS) return false
    const pace =
      maxRate > 0
        ? new OscPace<Telling>(1000 / maxRate, this.parts.clock, (telling) => this.deliver(telling))
        : undefined
    this.subscriptions.push({ text, pattern, pace })
    return true
  }

  unsubscribe(text: string): boolean {
    const at = this.subscriptions.findIndex((one) => one.text === text)
    if (at < 0) return false
    this.subscriptions.splice(at, 1)[0].pace?.stop()
    return true
  }

  /** The link takes more. */
  resume(): void {
    while (this.queue.size > 0 && !this.link.isFull) {
      this.parts.tell(this, this.queue.shift() as Telling)
    }
    if (this.toRefresh.size > 0) this.scheduleRefresh(0)
  }

  close(): Promise<void> {
    for (const { pace } of this.subscriptions) pace?.stop()
    this.subscriptions.length = 0
    this.refreshTimer?.cancel()
    this.toRefresh.clear()
    this.queue.clear()
    return this.link.close()
  }

  private passes(address: string): boolean {
    return this.filter.length === 0 || this.filter.some((pattern) => pattern.matches(address))
  }

  private deliver(telling: Telling): void {
    if (this.toRefresh.size > 0) this.toRefresh.delete(telling.address)
    if (this.queue.size === 0 && !this.link.isFull) this.parts.tell(this, telling)
    else this.queue.push(telling)
  }

  private scheduleRefresh(delayMs: number): void {
    this.refreshTimer ??= this.parts.clock.timer(delayMs, () => {
      this.refreshTimer = null
      let count = 0
      for (const address of this.toRefresh) {
        if (this.link.isFull || count++ === REFRESH_COUNT) break
        this.toRefresh.delete(address)
        const telling = this.parts.current(address)
        if (telling === undefined) continue
        this.parts.tell(this, telling)
        // It was held back.
        if (this.link.isDoubtful && this.link.isFull) this.toRefresh.add(address)
      }
      if (this.toRefresh.size > 0 && !this.link.isFull) this.scheduleRefresh(REFRESH_EVERY_MS)
    })
  }
}
