/** Hot path: `flush` runs once per peer and turn, `receive` once per datagram. */

import type { Clock } from '../router/clock.ts'
import { bareFraming, CloseCode, type LinkHandler, type LinkLimits } from '../router/link.ts'
import { OutputBuffer } from '../router/output.ts'
import { frameBytes, PING_FRAME } from './datagram-frame.ts'
import type { DatagramSocket } from './datagram-socket.ts'
import type { Swept } from './link-sweep.ts'
import type { AdjustableLink, PeerAcceptor } from './peer-acceptor.ts'
import type { UdpCounters } from './udp.ts'

/** Largest datagram to send, so that no network on the way has to fragment it (transport reference §5.1). */
export const MAX_DATAGRAM_BYTES = 1200
/** What is kept for a peer whose address is not validated yet. More is dropped. */
const MAX_HELD_BYTES = 4_194_304

export interface UdpLinkOptions {
  socket: DatagramSocket
  address: string
  port: number
  remote: string
  idleTimeoutMs: number
  pingAfterMs: number
  clock: Clock
  counters: UdpCounters
  /** The link is closing: forget it. */
  onGone(link: UdpLink): void
}

/**
 * The datagrams of one source. Each frame goes out as one datagram. Until a second datagram has shown that the source
 * address is real, only the first frame (WELCOME) does; the rest waits and counts as backlog.
 */
export class UdpLink implements AdjustableLink, Swept {
  readonly transport = 'udp'
  readonly remote: string
  readonly framing = bareFraming
  limits: LinkLimits
  readonly output = new OutputBuffer(1024)
  private readonly options: UdpLinkOptions
  private held: OutputBuffer | undefined
  private acceptor: PeerAcceptor | undefined
  private handler: LinkHandler | undefined
  private isValidated = false
  private hasSentFirst = false
  private isClosing = false
  private lastHeardAt: number
  private lastPingAt = 0

  constructor(options: UdpLinkOptions) {
    this.options = options
    this.remote = options.remote
    this.limits = { maxFrameBytes: MAX_DATAGRAM_BYTES, idleTimeoutMs: options.idleTimeoutMs, isReliable: false }
    this.lastHeardAt = options.clock.now()
  }

  start(acceptor: PeerAcceptor): void {
    this.acceptor = acceptor
    this.handler = acceptor.attach(this)
  }

  get backlogBytes(): number {
    return this.held?.length ?? 0
  }

  get isOpen(): boolean {
    return !this.isClosing
  }

  /** A datagram that starts with one complete frame. HELLO may be sent blindly, so it proves nothing. */
  receive(bytes: Uint8Array, isHello: boolean): void {
    this.lastHeardAt = this.options.clock.now()
    if (isHello && !this.isValidated) {
      // The router answers a new HELLO in full, so that what waits is out of date.
      this.held = undefined
      this.output.length = 0
      this.hasSentFirst = false
    }
    if (isHello && this.handler !== undefined) {
      this.handler = this.acceptor?.admit?.(this, this.handler, bytes, 0, bytes.length) ?? this.handler
    }
    this.handler?.onFrame(bytes, 0, bytes.length)
  }

  /** The source has been seen to receive, or is trusted: what was held back goes out. */
  validate(): void {
    if (this.isValidated) return
    this.isValidated = true
    const held = this.held
    if (held === undefined) return
    this.held = undefined
    this.sendFrames(held.bytes, 0, held.length)
    this.handler?.onDrain()
  }

  flush(): void {
    const output = this.output
    const end = output.length
    if (end === 0) return
    let start = 0
    if (!this.isValidated) {
      if (!this.hasSentFirst) {
        start = frameBytes(output.bytes, 0, end)
        this.hasSentFirst = true
      }
      this.hold(output.bytes, start, end)
      this.sendFrames(output.bytes, 0, start)
    } else {
      this.sendFrames(output.bytes, 0, end)
    }
    if (this.options.socket.holdsBytes) output.detach()
    else output.length = 0
  }

  close(_code: CloseCode, reason: string): void {
    if (this.isClosing) return
    this.flush()
    this.isClosing = true
    this.held = undefined
    this.options.onGone(this)
    // Not before `attach` has returned.
    setImmediate(() => {
      const handler = this.handler
      this.handler = undefined
      handler?.onClose(reason)
    })
  }

  sweep(now: number): void {
    const silentMs = now - this.lastHeardAt
    const { pingAfterMs } = this.options
    const { idleTimeoutMs } = this.limits
    if (idleTimeoutMs > 0 && silentMs >= idleTimeoutMs) {
      this.close(CloseCode.policy, `nothing received for ${Math.round(idleTimeoutMs / 1000)} s`)
    } else if (pingAfterMs > 0 && silentMs >= pingAfterMs && now - this.lastPingAt >= pingAfterMs) {
      this.lastPingAt = now
      this.sendFrames(PING_FRAME, 0, PING_FRAME.length)
    }
  }

  private hold(bytes: Uint8Array, start: number, end: number): void {
    if (start === end) return
    if (this.backlogBytes + end - start > MAX_HELD_BYTES) {
      this.options.counters.dropped++
      return
    }
    this.held ??= new OutputBuffer(1024)
    this.held.append(bytes, start, end)
  }

  private sendFrames(bytes: Uint8Array, start: number, end: number): void {
    if (this.isClosing) return
    const { socket, port, address, counters } = this.options
    let at = start
    while (at < end) {
      const length = frameBytes(bytes, at, end)
      if (length === 0) return
      if (length > MAX_DATAGRAM_BYTES) counters.oversize++
      else socket.send(bytes, at, at + length, port, address)
      at += length
    }
  }
}
