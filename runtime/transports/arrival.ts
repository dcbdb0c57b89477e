import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { SecureContext } from 'node:tls'
import type { Clock, Timer } from '../router/clock.ts'
import { bareFraming, type CloseCode, type Framing, prefixedFraming } from '../router/link.ts'
import type { Log } from '../router/log.ts'
import { BareDeframer, type Deframer, PrefixedDeframer, type UnitSink } from './deframer.ts'
import type { HttpSurface } from './http-surface.ts'
import type { LinkSweep } from './link-sweep.ts'
import type { PeerAcceptor } from './peer-acceptor.ts'
import { remoteAddress } from './remote-address.ts'
import { StreamLink, type StreamLinkOptions } from './stream-link.ts'
import { WebSocketDeframer } from './websocket-deframer.ts'
import { answerHandshake, plainResponse } from './websocket-handshake.ts'
import { WebSocketLink } from './websocket-link.ts'

/** What the connections of one port share. */
export interface ArrivalContext {
  acceptor: PeerAcceptor
  log: Log
  clock: Clock
  sweep: LinkSweep
  handshakeTimeoutMs: number
  idleTimeoutMs: number
  pingIntervalMs: number
  tls: Tls | undefined
  /** undefined: it could not be loaded. */
  http(): Promise<HttpSurface | undefined>
  counters: PortCounters
}

export interface Tls {
  context: SecureContext
  TLSSocket: typeof import('node:tls').TLSSocket
}

/** Counters only grow. */
export interface PortCounters {
  accepted: number
  /** Turned away because too many connections were open. */
  refused: number
  /** Connections that did not get as far as a link, or through a request, in time. */
  handshakeTimeouts: number
  byTransport: { websocket: number; prefixed: number; bare: number; http: number; tls: number; unknown: number }
}

/** Largest frames to send: what fits behind a length prefix; and a full payload without a timestamp. */
const MAX_TCP_FRAME_BYTES = 65_536
const MAX_WEBSOCKET_FRAME_BYTES = 65_539
/** What a connection that is refused gets to say which protocol to refuse it in, and to read the refusal. */
const REFUSAL_TIMEOUT_MS = 1000

const FirstByte = { prefixed: 0x00, tls: 0x16, letterA: 0x41, bare: 0x53, letterZ: 0x5a } as const

/** An accepted connection on its way to becoming a link: finds out which protocol it speaks. */
export class Arrival {
  readonly remote: string
  link: StreamLink | undefined
  private readonly raw: Socket
  /** The accepted socket, or the TLS socket on top of it. */
  private socket: Socket
  private readonly isRefused: boolean
  private readonly context: ArrivalContext
  private readonly deadline: Timer

  constructor(raw: Socket, isRefused: boolean, context: ArrivalContext) {
    this.raw = raw
    this.socket = raw
    this.isRefused = isRefused
    this.context = context
    this.remote = remoteAddress(raw.remoteAddress, raw.remotePort)
    this.deadline = context.clock.timer(isRefused ? REFUSAL_TIMEOUT_MS : context.handshakeTimeoutMs, () => {
      if (!isRefused) context.counters.handshakeTimeouts++
      context.log.debug('a connection did not say in time what it wants', { remote: this.remote })
      raw.destroy()
    })
    raw.on('error', ignoreError)
    raw.on('close', () => this.deadline.cancel())
  }

  /** Waits for the first bytes. */
  sniff(): void {
    const socket = this.socket
    const onData = (first: Buffer): void => {
      socket.pause()
      socket.removeListener('data', onData)
      socket.removeListener('end', onEnd)
      this.dispatch(first)
    }
    // A probe that connects and leaves without a word.
    const onEnd = (): void => void socket.destroy()
    socket.on('data', onData)
    socket.on('end', onEnd)
  }

  /** Closes the link with a farewell if there is one, and the socket within a second. */
  close(code: CloseCode, reason: string): void {
    if (this.link === undefined) this.raw.destroy()
    else this.link.close(code, reason)
  }

  private dispatch(first: Uint8Array): void {
    const byte = first[0]
    const { byTransport } = this.context.counters
    if (byte === FirstByte.tls && this.socket === this.raw) {
      byTransport.tls++
      this.secure(first)
    } else if (byte >= FirstByte.letterA && byte <= FirstByte.letterZ && byte !== FirstByte.bare) {
      byTransport.http++
      void this.speakHttp(first)
    } else if (this.isRefused) {
      this.socket.destroy()
    } else if (byte === FirstByte.prefixed) {
      byTransport.prefixed++
      this.speakFrames(prefixedFraming, PrefixedDeframer, first)
    } else if (byte === FirstByte.bare) {
      byTransport.bare++
      this.speakFrames(bareFraming, BareDeframer, first)
    } else {
      byTransport.unknown++
      this.context.log.debug('a connection speaks no known protocol', { remote: this.remote, firstByte: byte })
      this.socket.destroy()
    }
  }

  private secure(first: Uint8Array): void {
    const { tls, log } = this.context
    if (tls === undefined) {
      log.warn('TLS connection refused: no certificate is configured (listen.tls)', { remote: this.remote })
      return void this.raw.destroy()
    }
    this.raw.unshift(first)
    const socket = new tls.TLSSocket(this.raw, { isServer: true, secureContext: tls.context })
    socket.on('error', (error) => log.debug('TLS failed', { remote: this.remote, error: error.message }))
    this.socket = socket
    this.sniff()
  }

  private speakFrames(framing: Framing, Cutter: new (sink: UnitSink) => Deframer, first: Uint8Array): void {
    this.deadline.cancel()
    const link = new StreamLink(this.socket, { ...this.linkOptions('tcp', MAX_TCP_FRAME_BYTES), framing })
    this.link = link
    link.start(this.context.acceptor, new Cutter(link), first)
  }

  private async speakHttp(first: Uint8Array): Promise<void> {
    const socket = this.socket
    if (this.isRefused) return void socket.end(plainResponse('503 Service Unavailable', 'too many connections'))
    const surface = await this.context.http()
    if (socket.destroyed) return
    if (surface === undefined) return void socket.end(plainResponse('503 Service Unavailable', 'restart the router'))
    surface.adopt(socket, first, {
      upgrade: (request, head) => this.upgrade(request, head),
      keepOpen: () => this.deadline.cancel(),
    })
  }

  /** The deadline runs on until here, so that it covers the request's headers. */
  private upgrade(request: IncomingMessage, head: Uint8Array): void {
    const { context, socket } = this
    const handshake = answerHandshake(request)
    if (!handshake.isAccepted) {
      context.log.debug('WebSocket refused', { remote: this.remote, reason: handshake.reason })
      return void socket.end(handshake.response)
    }
    this.deadline.cancel()
    context.counters.byTransport.websocket++
    socket.write(handshake.response)
    const options = this.linkOptions('websocket', MAX_WEBSOCKET_FRAME_BYTES)
    const link = new WebSocketLink(socket, options, context.pingIntervalMs)
    this.link = link
    link.start(context.acceptor, new WebSocketDeframer(link), head)
  }

  private linkOptions(protocol: string, maxFrameBytes: number): Omit<StreamLinkOptions, 'framing'> {
    const { idleTimeoutMs, clock, sweep } = this.context
    return {
      transport: this.socket === this.raw ? protocol : `${protocol}+tls`,
      remote: this.remote,
      limits: { maxFrameBytes, idleTimeoutMs, isReliable: true },
      clock,
      sweep,
    }
  }
}

/** Whatever goes wrong with a socket ends in its close event. */
function ignoreError(): void {}
