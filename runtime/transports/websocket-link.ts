/** Hot path through its base class. */

import type { Socket } from 'node:net'
import { CloseCode, type CloseCode as CloseCodeType, websocketFraming } from '../router/link.ts'
import { StreamLink, type StreamLinkOptions } from './stream-link.ts'
import type { WebSocketSink } from './websocket-deframer.ts'

/** A peer that sends pings and reads nothing gets no more pongs above this (RFC 6455 §5.5.3 allows to skip some). */
const MAX_BACKLOG_FOR_PONG_BYTES = 65_536
const MAX_CLOSE_REASON_BYTES = 123
const PING = Uint8Array.of(0x89, 0x00)

/** The server's end of a WebSocket: a stream link that answers and sends control frames (RFC 6455 §5.5). */
export class WebSocketLink extends StreamLink implements WebSocketSink {
  private readonly pingIntervalMs: number
  private lastPingAt: number
  private peerCloseCode: number | undefined

  /** `pingIntervalMs` 0: never. */
  constructor(socket: Socket, options: Omit<StreamLinkOptions, 'framing'>, pingIntervalMs: number) {
    super(socket, { ...options, framing: websocketFraming })
    this.pingIntervalMs = pingIntervalMs
    this.lastPingAt = options.clock.now()
  }

  onPing(bytes: Uint8Array, start: number, end: number): boolean {
    this.handler?.onAlive()
    if (this.isClosing) return false
    if (this.backlogBytes > MAX_BACKLOG_FOR_PONG_BYTES || this.output.length > MAX_BACKLOG_FOR_PONG_BYTES) return true
    const output = this.output
    const at = output.reserve(2)
    output.bytes[at] = 0x8a
    output.bytes[at + 1] = end - start
    output.length = at + 2
    output.append(bytes, start, end)
    this.flush()
    return true
  }

  onPong(): boolean {
    this.handler?.onAlive()
    return !this.isClosing
  }

  onPeerClose(code: number): void {
    this.peerCloseCode = code
    this.close(CloseCode.normal, `closed by the peer (WebSocket code ${code})`)
  }

  override sweep(now: number): void {
    super.sweep(now)
    if (this.isClosing || this.pingIntervalMs === 0 || now - this.lastPingAt < this.pingIntervalMs) return
    this.lastPingAt = now
    if (this.backlogBytes > 0) return
    this.output.append(PING, 0, PING.length)
    this.flush()
  }

  protected override farewell(code: CloseCodeType, reason: string): Uint8Array {
    if (this.peerCloseCode !== undefined) return closeEcho(this.peerCloseCode)
    return closeFrame(code, reason)
  }
}

/** Answers a close frame with its own code; without one, or with one that may not be sent, see RFC 6455 §7.4. */
function closeEcho(code: number): Uint8Array {
  if (code === 1005) return Uint8Array.of(0x88, 0x00)
  const isSendable = (code >= 1000 && code <= 1014 && code !== 1004 && code !== 1006) || (code >= 3000 && code <= 4999)
  return closeFrame(isSendable ? code : CloseCode.protocolError, '')
}

function closeFrame(code: number, reason: string): Uint8Array {
  const text = new Uint8Array(MAX_CLOSE_REASON_BYTES)
  // Stops at the last whole character that fits.
  const { written } = new TextEncoder().encodeInto(reason, text)
  const frame = new Uint8Array(4 + written)
  frame[0] = 0x88
  frame[1] = 2 + written
  frame[2] = code >>> 8
  frame[3] = code
  frame.set(text.subarray(0, written), 4)
  return frame
}
