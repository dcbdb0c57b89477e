import type { Timer } from '../../router/clock.ts'
import type { BridgeContext, RunningBridge } from '../bridge.ts'

/** Asking the system for its addresses takes some 50 µs. */
const LOOK_EVERY_MS = 10_000
const AWAY_LOOK_EVERY_MS = 1000
/** Interfaces whose return is waited for; containers come and go with new names. */
const MAX_NAMES = 16

/** A bridge whose sockets come and go with the network, while its universes, sources and sequence numbers live on. */
export interface NetworkBridgeCore<P> {
  /** Opens the sockets at these addresses. Rejects with words for the operator, and has closed all of them then. */
  attach(places: readonly P[]): Promise<void>
  /** Closes the sockets. */
  detach(): Promise<void>
  /** For good: says goodbye where there are sockets, and closes them. */
  stop(): Promise<void>
}

export interface NetworkBridgeParts<P> {
  readonly context: Pick<BridgeContext, 'clock' | 'tell' | 'problem' | 'lost'>
  readonly core: NetworkBridgeCore<P>
  /** The addresses to be opened at, as they are now. */
  places(): readonly P[]
  /** What to say while there are none. */
  readonly missing: string
}

interface Named {
  /** Of the interface. */
  readonly name: string
  readonly family?: string
}

/** A bridge that waits while its network is away, and opens its sockets anew as soon as the addresses of this machine change. */
export async function openOnNetwork<P extends Named>(parts: NetworkBridgeParts<P>): Promise<RunningBridge> {
  const bridge = new NetworkBridge(parts)
  try {
    await bridge.open()
  } catch (error) {
    await bridge.stop()
    throw error
  }
  return bridge
}

class NetworkBridge<P extends Named> implements RunningBridge {
  private readonly parts: NetworkBridgeParts<P>
  private known = ''
  /** Interfaces that had an address, each for a family; those of the last time at the end. */
  private readonly names = new Set<string>()
  private isWaiting = false
  private isAttached = false
  private timer: Timer | null = null
  private reopening: Promise<void> = Promise.resolve()
  private isStopped = false

  constructor(parts: NetworkBridgeParts<P>) {
    this.parts = parts
  }

  async open(): Promise<void> {
    const { context, missing } = this.parts
    const places = this.parts.places()
    this.known = JSON.stringify(places)
    this.remember(places)
    if (places.length === 0) {
      this.isWaiting = true
      context.tell('degraded', missing)
    } else {
      // First, for what is opened may have worse to say.
      if (this.isWaiting) context.tell('running')
      this.isWaiting = false
      await this.parts.core.attach(places)
      this.isAttached = true
    }
    const isAway =
      this.names.size === 0 || [...this.names].some((known) => !places.some((place) => linkOf(place) === known))
    this.lookIn(isAway ? AWAY_LOOK_EVERY_MS : LOOK_EVERY_MS)
  }

  async stop(): Promise<void> {
    this.isStopped = true
    this.timer?.cancel()
    await this.reopening
    await this.parts.core.stop()
  }

  private remember(places: readonly P[]): void {
    for (const place of places) {
      const name = linkOf(place)
      this.names.delete(name)
      this.names.add(name)
    }
    for (const name of this.names) if (this.names.size > MAX_NAMES) this.names.delete(name)
  }

  private lookIn(ms: number): void {
    if (this.isStopped) return
    this.timer = this.parts.context.clock.timer(ms, () => {
      if (JSON.stringify(this.parts.places()) === this.known) this.lookIn(ms)
      else this.reopening = this.reopen()
    })
  }

  private async reopen(): Promise<void> {
    const { context, core } = this.parts
    const wasAttached = this.isAttached
    this.isAttached = false
    try {
      await core.detach()
      if (this.isStopped) return
      if (wasAttached) context.problem('network', 'the addresses of this machine have changed: opened again with them')
      await this.open()
    } catch (error) {
      context.lost(error as Error)
    }
  }
}

/** IPv6 comes a second or two after IPv4. */
function linkOf({ name, family = '' }: Named): string {
  return `${family} ${name}`
}
