import type { Clock } from '../../router/clock.ts'
import type { OscBytes, OscEncoder } from './osc-encoder.ts'
import type { OscLink } from './osc-peer.ts'

/** What fits into a packet of Ethernet. */
const MAX_BUNDLE_BYTES = 1432
const HEAD_BYTES = 16

/** Puts what is sent in one turn, as the values of a BUNDLE are, into OSC bundles. */
export class BundledLink implements OscLink {
  private readonly link: OscLink
  private readonly encoder: OscEncoder
  private readonly clock: Clock
  private messages: OscBytes[] = []
  private size = HEAD_BYTES

  constructor(link: OscLink, encoder: OscEncoder, clock: Clock) {
    this.link = link
    this.encoder = encoder
    this.clock = clock
  }

  get isFull(): boolean {
    return this.link.isFull
  }

  send(packet: OscBytes): void {
    const size = 4 + packet.end - packet.start
    if (this.size + size > MAX_BUNDLE_BYTES) this.flush()
    if (this.messages.length === 0) this.clock.afterTurn(this.flush)
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
    if (this.messages.length === 0) return
    const { messages } = this
    this.messages = []
    this.size = HEAD_BYTES
    this.link.send(messages.length === 1 ? messages[0] : this.encoder.bundle(messages))
  }
}
