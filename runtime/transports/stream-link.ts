/** Hot path: `flush` runs once per connection and turn, `read` once per read chunk. */

import type { Socket } from 'node:net'
import type { Clock, Timer } from '../router/clock.ts'
import { CloseCode, type Framing, type LinkHandler, type LinkLimits } from '../router/link.ts'
import { OutputBuffer } from '../router/output.ts'
import type { Deframer, UnitSink } from './deframer.ts'
import type { LinkSweep, Swept } from './link-sweep.ts'
import type { AdjustableLink, PeerAcceptor } from './peer-acceptor.ts'

export interface StreamLinkOptions {
  transport: string
  remote: string
  framing: Framing
  limits: LinkLimits
  clock: Clock
  sweep: LinkSweep
}

/** What a peer gets to take its last bytes and close, before the socket is destroyed. */
const CLOSE_GRACE_MS = 1000
/** An output buffer that grew beyond this for a burst is given back. */
const KEPT_OUTPUT_BYTES = 1_048_576
/** Node reads a socket in chunks of this size; a chunk that is full means that more is waiting. */
const FULL_CHUNK_BYTES = 65_536

/** A Link over a TCP or TLS socket, which must have been accepted with `allowHalfOpen` and must be flowing or paused. */
export class StreamLink implements AdjustableLink, UnitSink, Swept {
  readonly transport: string
  readonly remote: string
  readonly framing: Framing
  limits: LinkLimits
  readonly output = new OutputBuffer()
  backlogBytes = 0
  protected readonly socket: Socket
  protected handler: LinkHandler | undefined
  protected isClosing = false
  protected hasPeerEnded = false
  private readonly clock: Clock
  private readonly sweeper: LinkSweep
  private deframer: Deframer | undefined
  /** Until the first unit. */
  private acceptor: PeerAcceptor | undefined
  private heardSinceSweep = false
  private lastHeardAt: number
  private closeReason: string | undefined
  private graceTimer: Timer | undefined

  constructor(socket: Socket, options: StreamLinkOptions) {
    this.socket = socket
    this.transport = options.transport
    this.remote = options.remote
    this.framing = options.framing
    this.limits = options.limits
    this.clock = options.clock
    this.sweeper = options.sweep
    this.lastHeardAt = options.clock.now()
  }

  /** Hands the link to the router and starts reading; `first` are the bytes that were read before the link existed. */
  start(acceptor: PeerAcceptor, deframer: Deframer, first: Uint8Array): void {
    const socket = this.socket
    this.deframer = deframer
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.closeReason ??= `connection lost (${error.code ?? error.message})`
    })
    socket.on('close', () => this.closed())
    socket.on('end', () => {
      this.hasPeerEnded = true
      // What the peer sent last may still be answered at the end of this turn.
      setImmediate(() => this.close(CloseCode.normal, 'closed by the peer'))
    })
    this.acceptor = acceptor
    this.handler = acceptor.attach(this)
    this.sweeper.add(this)
    socket.on('data', this.read)
    if (first.length > 0) this.read(first)
    socket.resume()
  }

  flush(): void {
    const output = this.output
    const length = output.length
    if (length === 0) return
    const socket = this.socket
    if (this.isClosing || !socket.writable) {
      output.length = 0
      return
    }
    socket.write(output.bytes.subarray(0, length), this.written)
    const waiting = socket.writableLength
    if (waiting === 0) {
      // The kernel took everything within the call, so nobody holds the memory.
      output.length = 0
      if (output.bytes.length > KEPT_OUTPUT_BYTES) output.detach()
    } else {
      output.detach()
      this.backlogBytes = waiting
    }
  }

  close(code: CloseCode, reason: string): void {
    if (this.isClosing) return
    this.flush()
    this.isClosing = true
    this.closeReason ??= reason
    const socket = this.socket
    if (socket.destroyed) return
    const farewell = this.hasPeerEnded ? undefined : this.farewell(code, reason)
    if (farewell !== undefined && socket.writable) socket.write(farewell)
    socket.end()
    // Read on (and ignore it), or the end of the peer's stream is never seen.
    socket.resume()
    this.graceTimer = this.clock.timer(CLOSE_GRACE_MS, () => socket.destroy())
  }

  onUnit(bytes: Uint8Array, start: number, end: number): boolean {
    if (this.acceptor !== undefined) this.admit(this.acceptor, bytes, start, end)
    this.handler?.onFrame(bytes, start, end)
    return !this.isClosing
  }

  onViolation(code: CloseCode, reason: string): void {
    this.close(code, reason)
  }

  sweep(now: number): void {
    if (this.isClosing) return
    if (this.heardSinceSweep) {
      this.heardSinceSweep = false
      this.lastHeardAt = now
      return
    }
    const limit = this.limits.idleTimeoutMs
    if (limit > 0 && now - this.lastHeardAt >= limit) {
      this.close(CloseCode.policy, `nothing received for ${Math.round(limit / 1000)} s`)
    }
  }

  /** Bytes that take leave of the peer in the terms of its protocol. */
  protected farewell(_code: CloseCode, _reason: string): Uint8Array | undefined {
    return undefined
  }

  private readonly read = (chunk: Uint8Array): void => {
    if (this.isClosing) return
    this.heardSinceSweep = true
    const bytes = chunk.length
    // A plain view, because code that sees Buffers and Uint8Arrays in turn is slower than code that sees one of them.
    this.deframer?.push(new Uint8Array(chunk.buffer, chunk.byteOffset, bytes))
    if (bytes >= FULL_CHUNK_BYTES && !this.isClosing) {
      // The event loop would read up to 32 such chunks from this socket before it looks at another one.
      this.socket.pause()
      setImmediate(this.readOn)
    }
  }

  private readonly readOn = (): void => {
    this.socket.resume()
  }

  private readonly written = (): void => {
    if (this.backlogBytes === 0) return
    this.backlogBytes = this.socket.writableLength
    if (this.backlogBytes === 0 && !this.isClosing) this.handler?.onDrain()
  }

  private closed(): void {
    this.isClosing = true
    this.backlogBytes = 0
    this.output.length = 0
    this.graceTimer?.cancel()
    this.sweeper.remove(this)
    const handler = this.handler
    this.handler = undefined
    handler?.onClose(this.closeReason ?? 'closed by the peer')
  }

  private admit(acceptor: PeerAcceptor, bytes: Uint8Array, start: number, end: number): void {
    this.acceptor = undefined
    const { handler } = this
    if (handler !== undefined) this.handler = acceptor.admit?.(this, handler, bytes, start, end) ?? handler
  }
}
