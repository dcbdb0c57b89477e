import type { Clock } from '../../router/clock.ts'
import type { OscBytes, OscEncoder } from './osc-encoder.ts'
import type { OscLink } from './osc-peer.ts'

/** What fits into a packet of Ethernet. */
const MAX_BUNDLE_BYTES = 1432
const HEAD_BYTES = 16

/**
 * Puts what is sent in one turn, as the values of a BUNDLE are, into OSC bundles. The router has waited for the time of a
 * BUNDLE already: they are for now, or for the latency later, which hides what the network takes. Source: bridges.md §3.5.
 */
export class BundledLink implements OscLink {
  private readonly link: OscLink
  private readonly encoder: OscEncoder
  private readonly clock: Clock
  private readonly latencyUs: number
  /** Of the messages in hand, Unix µs; 0: immediately. */
  private timeUs = 0
  private messages: OscBytes[] = []
  private size = HEAD_BYTES
  private isWaiting = false

  /** `latencyMs` 0: receivers take them when they come. */
  constructor(link: OscLink, encoder: OscEncoder, clock: Clock, latencyMs: number) {
    this.link = link
    this.encoder = encoder
    this.clock = clock
    this.latencyUs = Math.round(latencyMs * 1000)
  }

  get isFull(): boolean {
    return this.link.isFull
  }

  send(packet: OscBytes): void {
    const size = 4 + packet.end - packet.start
    if (this.size + size > MAX_BUNDLE_BYTES) this.put()
    if (!this.isWaiting) {
      this.isWaiting = true
      this.clock.afterTurn(this.flush)
      if (this.latencyUs > 0) this.timeUs = this.clock.wallUs() + this.latencyUs
    }
    this.messages.push(packet)
    this.size += size
  }

  setPort(port: number): boolean {
    return this.link.setPort?.(port) ?? false
  }

  close(): Promise<void> {
    this.flush()
    return this.link.close()
  }

  private readonly flush = (): void => {
    this.isWaiting = false
    this.put()
  }

  private put(): void {
    if (this.messages.length === 0) return
    const { messages, timeUs } = this
    this.messages = []
    this.size = HEAD_BYTES
    // One alone needs no bundle, unless it has a time.
    const isAlone = messages.length === 1 && timeUs === 0
    this.link.send(isAlone ? messages[0] : this.encoder.bundle(messages, timeUs))
  }
}
