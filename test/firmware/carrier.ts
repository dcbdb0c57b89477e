import { DecodeError } from '../../firmware-protocol/wire/errors.ts'
import { decodeFrame, encodeFrame, frameLength } from '../../firmware-protocol/wire/frame.ts'
import type { Message } from '../../firmware-protocol/wire/message.ts'
import { NarrowAcceptor, type NarrowAcceptorOptions } from '../../runtime/firmware/narrow-acceptor.ts'
import type { NarrowLink } from '../../runtime/firmware/narrow-link.ts'
import { bareFraming, type LinkHandler, type LinkLimits } from '../../runtime/router/link.ts'
import type { LocalSession } from '../../runtime/router/local-session.ts'
import { type LogFields, silentLog } from '../../runtime/router/log.ts'
import { defaultRouterOptions, type RouterOptions } from '../../runtime/router/options.ts'
import { OutputBuffer } from '../../runtime/router/output.ts'
import { Router } from '../../runtime/router/router.ts'
import type { AdjustableLink } from '../../runtime/transports/peer-acceptor.ts'
import { SteppedClock } from '../router/stepped-clock.ts'

/** A carrier of bare frames that takes everything, or nothing while `isBlocked`. */
export class Carrier implements AdjustableLink {
  readonly transport: string
  readonly remote = '/dev/ttyTEST'
  readonly framing = bareFraming
  readonly output = new OutputBuffer(64)
  limits: LinkLimits
  backlogBytes = 0
  isBlocked = false
  closed: string | undefined
  /** What has arrived at the device, frame by frame. */
  readonly frames: Uint8Array[] = []
  handler: LinkHandler | undefined

  constructor(transport: string, limits: LinkLimits) {
    this.transport = transport
    this.limits = limits
  }

  flush(): void {
    const { bytes, length } = this.output
    for (let at = 0; at < length; ) {
      const end = at + frameLength(bytes, at, length)
      this.frames.push(bytes.slice(at, end))
      at = end
    }
    if (this.isBlocked) this.backlogBytes += length
    this.output.length = 0
  }

  unblock(): void {
    this.isBlocked = false
    this.backlogBytes = 0
    this.handler?.onDrain()
  }

  close(_code: number, reason: string): void {
    if (this.closed !== undefined) return
    this.flush()
    this.closed = reason
    setImmediate(() => this.handler?.onClose(reason))
  }
}

/** A device on a carrier of its own, at a router with time that stands still until it is moved. */
export class Desk {
  readonly clock = new SteppedClock()
  readonly router: Router
  readonly carrier: Carrier
  readonly acceptor: NarrowAcceptor
  readonly warnings: string[] = []
  /** Somebody else at the router. */
  readonly other: LocalSession

  constructor(
    transport = 'serial',
    narrow: Partial<NarrowAcceptorOptions> = {},
    options: Partial<RouterOptions> = {},
    limits: Partial<LinkLimits> = {},
  ) {
    this.router = new Router({ ...defaultRouterOptions, ...options }, { clock: this.clock, log: silentLog })
    this.other = this.router.openLocal({ name: 'other' })
    this.carrier = new Carrier(transport, { maxFrameBytes: 1028, idleTimeoutMs: 0, isReliable: true, ...limits })
    const log = {
      ...silentLog,
      warn: (message: string, fields?: LogFields) => void this.warnings.push(`${message} ${fields?.address ?? ''}`),
    }
    this.acceptor = new NarrowAcceptor(this.router, { clock: this.clock, log, ...narrow })
    this.carrier.handler = this.acceptor.attach(this.carrier)
  }

  get link(): NarrowLink {
    const [link] = this.acceptor.links
    return link
  }

  /** The device sends; the router has done with it when this resolves. */
  async send(...frames: (Message | Uint8Array)[]): Promise<void> {
    for (const frame of frames) {
      const bytes = frame instanceof Uint8Array ? frame : encodeFrame(frame)
      const handler = this.carrier.handler as LinkHandler
      this.carrier.handler = this.acceptor.admit(this.carrier, handler, bytes, 0, bytes.length)
      this.carrier.handler.onFrame(bytes, 0, bytes.length)
    }
    await this.turn()
  }

  /** The others send. */
  async tell(...messages: Message[]): Promise<void> {
    for (const message of messages) this.other.send(message)
    await this.turn()
  }

  /** Lets the router finish what it has begun. */
  async turn(): Promise<void> {
    for (let i = 0; i < 4; i++) await new Promise((resolve) => setImmediate(resolve))
  }

  async advance(ms: number): Promise<void> {
    this.clock.advance(ms)
    await this.turn()
  }

  /** Takes what has arrived at the device since the last time. */
  take(): Message[] {
    return this.carrier.frames.splice(0).map((frame) => {
      const decoded = decodeFrame(frame)
      if (decoded instanceof DecodeError) throw new Error(`the device got a bad frame: ${decoded.reason}`)
      return decoded.message
    })
  }

  /** As `take`, SETs only: address and value without its type. */
  takeSets(): [string, unknown][] {
    return this.take().flatMap((message) =>
      message.type === 'SET' ? [[message.address, 'value' in message.value ? message.value.value : null]] : [],
    )
  }

  async stop(): Promise<void> {
    this.router.stop()
    await this.turn()
  }
}
