import { HEADER_BYTES, MessageCode } from '../../firmware-protocol/wire/constants.ts'
import { DecodeError } from '../../firmware-protocol/wire/errors.ts'
import { decodeFrame, frameLength } from '../../firmware-protocol/wire/frame.ts'
import type { Message } from '../../firmware-protocol/wire/message.ts'
import type { Clock, Timer } from '../router/clock.ts'
import {
  bareFraming,
  type CloseCode,
  type Link,
  type LinkAcceptor,
  type LinkHandler,
  type LinkLimits,
} from '../router/link.ts'
import type { Log } from '../router/log.ts'
import { OutputBuffer } from '../router/output.ts'
import { helloFrame } from '../transports/datagram-frame.ts'
import type { AdjustableLink } from '../transports/peer-acceptor.ts'
import { noCounts } from './narrow-counters.ts'
import { NarrowDelivery } from './narrow-delivery.ts'
import { NarrowEncoder } from './narrow-encoder.ts'
import { NarrowInterest } from './narrow-interest.ts'
import { isSlowCarrier, type NarrowOptions } from './narrow-options.ts'
import { NarrowOutlet } from './narrow-outlet.ts'
import { NarrowQueue } from './narrow-queue.ts'
import { type PeerProfile, peerProfile } from './peer-profile.ts'

export interface NarrowLinkParts {
  clock: Clock
  log: Log
  options: NarrowOptions
  /** What the peer is, whatever it says; undefined = told by its HELLO and by what it sends. */
  profile: PeerProfile | undefined
  onGone(link: NarrowLink): void
}

/** What the router may put into one frame here; what the device takes is decided later. */
const ROUTER_FRAME_BYTES = 65_536
const KEPT_OUTPUT_BYTES = 65_536
/** The library sends an unsolicited PONG every 15 s (firmware reference §3.6). */
const ARDUINO_IDLE_MS = 60_000
/** The embedded client answers no PING and may only listen, so that silence over UDP proves little. */
const EMBEDDED_UDP_IDLE_MS = 300_000

/**
 * Stands between the router and the link of a device that runs upstream firmware. To the router it is a link like any other
 * with bare frames; the device gets only what it understands, one message a frame, no faster than it can take it.
 * For a peer that understands everything it passes frames on as they are. Source: firmware reference §5.
 */
export class NarrowLink implements Link, LinkHandler {
  readonly transport: string
  readonly remote: string
  readonly framing = bareFraming
  readonly output = new OutputBuffer(1024)
  readonly counters = noCounts()
  profile: PeerProfile = 'full'
  limits: LinkLimits
  private readonly link: AdjustableLink
  private readonly carrierLimits: LinkLimits
  private readonly parts: NarrowLinkParts
  private readonly interest = new NarrowInterest()
  private readonly queue: NarrowQueue
  private readonly outlet: NarrowOutlet
  /** Undefined while the peer is a full client. */
  private delivery: NarrowDelivery | undefined
  private handler: LinkHandler | undefined
  /** HELLO has been passed on. */
  private isGreeted = false
  private isClosed = false
  private hasWarnedOfAddress = false
  private heardAt: number
  private pingTimer: Timer | undefined

  constructor(link: AdjustableLink, parts: NarrowLinkParts) {
    this.link = link
    this.parts = parts
    this.transport = link.transport
    this.remote = link.remote
    this.carrierLimits = link.limits
    this.limits = link.limits
    this.queue = new NarrowQueue(parts.options.updatesPerSecond, this.counters)
    this.outlet = new NarrowOutlet(link, this.queue, parts.clock, this.counters)
    this.heardAt = parts.clock.now()
    this.assume(parts.profile ?? 'full')
  }

  connect(acceptor: LinkAcceptor): void {
    this.handler = acceptor.attach(this)
    const { pingAfterMs } = this.parts.options
    if (pingAfterMs > 0) this.watch(pingAfterMs)
  }

  get backlogBytes(): number {
    return this.link.backlogBytes
  }

  /** Messages that wait until the device can take them. */
  get waiting(): number {
    return this.queue.length
  }

  flush(): void {
    this.digest()
    this.delivery?.endTurn()
    // What is passed on is the router's to hold back when the carrier is full.
    if (this.link.output.length > 0) this.link.flush()
    this.outlet.pump()
  }

  close(code: CloseCode, reason: string): void {
    if (this.isClosed) return
    this.flush()
    for (const frame of this.queue.takeLasting()) this.outlet.put(frame, 0, frame.length)
    this.stop()
    this.link.close(code, reason)
  }

  onFrame(bytes: Uint8Array, start: number, end: number): void {
    this.heardAt = this.parts.clock.now()
    const frame = decodeFrame(bytes, start, end)
    if (frame instanceof DecodeError) {
      // Before HELLO the router would close the connection; a device must not lose it for a bad frame (rule 11).
      if (this.isGreeted) this.handler?.onFrame(bytes, start, end)
      else this.counters.ignored++
    } else if (frame.message.type === 'HELLO') {
      this.greet(bytes, start, end)
    } else if (this.isGreeted || this.greetForIt()) {
      this.observe(frame.message)
      this.handler?.onFrame(bytes, start, end)
    } else this.counters.ignored++
  }

  onAlive(): void {
    this.heardAt = this.parts.clock.now()
    this.handler?.onAlive()
  }

  onDrain(): void {
    this.outlet.pump()
    if (this.link.backlogBytes === 0) this.handler?.onDrain()
  }

  onClose(reason: string): void {
    this.stop()
    this.parts.onGone(this)
    const { handler } = this
    this.handler = undefined
    handler?.onClose(reason)
  }

  /** A HELLO starts over: what waits, and what was subscribed, belonged to the session before. */
  private greet(bytes: Uint8Array, start: number, end: number): void {
    this.isGreeted = true
    this.digest()
    this.queue.clear()
    this.interest.clear()
    this.assume(this.parts.profile ?? peerProfile(this.link.framing.name, bytes, start, end))
    this.handler?.onFrame(bytes, start, end)
  }

  /** The device said its only HELLO before anybody listened (firmware reference §5.5). */
  private greetForIt(): boolean {
    const { implicitName } = this.parts.options
    if (implicitName === undefined) return false
    const hello = helloFrame(implicitName)
    this.greet(hello, 0, hello.length)
    return true
  }

  private assume(profile: PeerProfile): void {
    const { clock, log, options } = this.parts
    const { counters, interest, queue, remote } = this
    this.profile = profile
    this.link.limits = { ...this.carrierLimits, idleTimeoutMs: this.idleTimeoutMs(profile) }
    this.limits = this.link.limits
    this.delivery = undefined
    if (profile === 'full') return
    this.limits = { ...this.link.limits, maxFrameBytes: ROUTER_FRAME_BYTES }
    const encoder = new NarrowEncoder(profile, this.carrierLimits.maxFrameBytes, options, counters, (address) => {
      if (this.hasWarnedOfAddress) return
      this.hasWarnedOfAddress = true
      log.warn('a device cannot be sent an address: it takes 64 ASCII characters', { remote, address })
    })
    const onTooManyAddresses = (keeps: number) =>
      log.warn('a device is sent more addresses than the embedded client keeps: subscribe to fewer', { remote, keeps })
    const release = () => this.outlet.release()
    this.delivery = new NarrowDelivery({
      clock,
      options,
      counters,
      encoder,
      queue,
      interest,
      release,
      onTooManyAddresses,
    })
  }

  private idleTimeoutMs(profile: PeerProfile): number {
    const { idleTimeoutMs } = this.carrierLimits
    if (profile === 'full' || isSlowCarrier(this.transport)) return idleTimeoutMs
    if (profile === 'arduino') return idleTimeoutMs === 0 ? ARDUINO_IDLE_MS : Math.min(idleTimeoutMs, ARDUINO_IDLE_MS)
    return this.transport === 'udp' && idleTimeoutMs > 0 ? Math.max(idleTimeoutMs, EMBEDDED_UDP_IDLE_MS) : 0
  }

  /** What a message from the device tells of it. */
  private observe(message: Message): void {
    const isOpenToEvidence = this.parts.profile === undefined
    switch (message.type) {
      case 'SUBSCRIBE':
        // What the router has written so far does not answer this.
        this.digest()
        if (isOpenToEvidence && message.id === 0 && this.profile === 'full') this.assume('embedded')
        this.interest.subscribe(message.id, message.pattern)
        return
      case 'UNSUBSCRIBE':
        this.interest.unsubscribe(message.id)
        return
      case 'GET':
        this.interest.ask(message.address)
        return
      case 'SET': {
        const { type } = message.value
        // Class E never sends these, and does not read them either.
        if (isOpenToEvidence && (type === 'f32' || type === 'i32') && this.profile !== 'arduino') this.assume('arduino')
        this.delivery?.expectEcho(message.address, message.value)
        return
      }
      default:
        return
    }
  }

  /** Takes over what the router has written. */
  private digest(): void {
    const { delivery, output } = this
    const { bytes, length } = output
    output.length = 0
    let at = 0
    while (at < length) {
      const end = at + frameLength(bytes, at, length)
      if (delivery === undefined) this.outlet.put(bytes, at, end)
      else if (bytes[at + HEADER_BYTES] !== MessageCode.snapshot || !this.interest.isEmpty) {
        const frame = decodeFrame(bytes, at, end)
        if (!(frame instanceof DecodeError)) delivery.deliver(frame.message)
      }
      at = end
    }
    if (output.bytes.length > KEPT_OUTPUT_BYTES) output.detach()
  }

  private watch(delayMs: number): void {
    const { clock, options } = this.parts
    this.pingTimer = clock.timer(delayMs, () => {
      const silentMs = clock.now() - this.heardAt
      const isSilent = silentMs >= options.pingAfterMs
      this.watch(isSilent ? options.pingAfterMs : options.pingAfterMs - silentMs)
      if (!isSilent || !this.isGreeted) return
      this.delivery?.ping()
      this.outlet.pump()
    })
  }

  private stop(): void {
    this.isClosed = true
    this.pingTimer?.cancel()
    this.outlet.stop()
  }
}
