import type { OutputBuffer } from './output.ts'

/** How one frame is delimited on a link. Frames of links with the same framing are encoded once and shared. */
export interface Framing {
  /** Small index, dense over all framings: it selects the shared buffer in a fan-out. */
  readonly id: number
  readonly name: 'bare' | 'prefixed' | 'websocket'
  /** Bytes in front of a frame of this length. */
  headerBytes(frameBytes: number): number
  /** Writes that header at `at`. */
  putHeader(out: Uint8Array, at: number, frameBytes: number): void
  /** Bytes of the header that stands at `at`. */
  headerBytesAt(bytes: Uint8Array, at: number): number
}

export interface LinkLimits {
  /** Largest frame that the peer can take. Snapshots are packed below it; anything else above it is dropped and counted. */
  readonly maxFrameBytes: number
  /** The session is closed when nothing was heard for so long; 0 = never. */
  readonly idleTimeoutMs: number
  /** Datagrams and radio: the peer sees losses, so a lost reply is not an error. */
  readonly isReliable: boolean
}

/** Why a link is closed, in words for the peer and as the WebSocket close code of that meaning (RFC 6455 §7.4.1). */
export const CloseCode = {
  normal: 1000,
  goingAway: 1001,
  protocolError: 1002,
  policy: 1008,
  tooBig: 1009,
  internal: 1011,
  tryAgainLater: 1013,
} as const
export type CloseCode = (typeof CloseCode)[keyof typeof CloseCode]

/**
 * One peer's channel of whole frames: a socket, a serial port, a datagram peer, or a part of this process.
 *
 * To send, the router appends framed bytes (`framing`) to `output` and calls `flush` at the end of the turn. The link owns
 * what happens then: bytes that the kernel does not take at once count as `backlogBytes` until it does, and the
 * handler's `onDrain` is called when they are gone. None of its methods throw for a slow or dead peer.
 */
export interface Link {
  /** For logs and statistics: websocket, tcp, udp, serial, ble, local … */
  readonly transport: string
  /** For logs: address and port, device path … */
  readonly remote: string
  readonly framing: Framing
  readonly limits: LinkLimits
  readonly output: OutputBuffer
  /** Bytes flushed but not yet taken by the peer's kernel. */
  readonly backlogBytes: number
  flush(): void
  /** Flushes what is there, then closes. The handler gets `onClose` once, later. Safe to call twice. */
  close(code: CloseCode, reason: string): void
}

/** The router's end of a link. Transports call it; they never call it after `onClose`. */
export interface LinkHandler {
  /**
   * One transport unit, which starts with one frame at `start`; bytes behind that frame are ignored.
   * The bytes belong to the transport again when the call returns.
   */
  onFrame(bytes: Uint8Array, start: number, end: number): void
  /** Any sign of life that is not a frame: a WebSocket pong, a BLE keep-alive. */
  onAlive(): void
  /** The backlog is gone. */
  onDrain(): void
  /** The link is gone, for whatever reason. */
  onClose(reason: string): void
}

/** What a transport needs of the router. */
export interface LinkAcceptor {
  /** Takes over a new link, or closes it at once (too many connections) and returns a handler that ignores everything. */
  attach(link: Link): LinkHandler
}

export const bareFraming: Framing = {
  id: 0,
  name: 'bare',
  headerBytes: () => 0,
  putHeader: () => {},
  headerBytesAt: () => 0,
}

/** TCP as upstream and the Arduino library speak it: a u32 length in front of each frame (transport reference §4.1). */
export const prefixedFraming: Framing = {
  id: 1,
  name: 'prefixed',
  headerBytes: () => 4,
  headerBytesAt: () => 4,
  putHeader(out, at, frameBytes) {
    out[at] = 0
    out[at + 1] = frameBytes >>> 16
    out[at + 2] = frameBytes >>> 8
    out[at + 3] = frameBytes
  },
}

/** Server to client WebSocket: one unmasked binary message per frame (RFC 6455 §5.2). */
export const websocketFraming: Framing = {
  id: 2,
  name: 'websocket',
  headerBytes: (frameBytes) => (frameBytes < 126 ? 2 : frameBytes < 65_536 ? 4 : 10),
  headerBytesAt: (bytes, at) => (bytes[at + 1] < 126 ? 2 : bytes[at + 1] === 126 ? 4 : 10),
  putHeader(out, at, frameBytes) {
    out[at] = 0x82
    if (frameBytes < 126) {
      out[at + 1] = frameBytes
    } else if (frameBytes < 65_536) {
      out[at + 1] = 126
      out[at + 2] = frameBytes >>> 8
      out[at + 3] = frameBytes
    } else {
      out[at + 1] = 127
      out.fill(0, at + 2, at + 6)
      out[at + 6] = frameBytes >>> 24
      out[at + 7] = frameBytes >>> 16
      out[at + 8] = frameBytes >>> 8
      out[at + 9] = frameBytes
    }
  },
}

export const FRAMINGS: readonly Framing[] = [bareFraming, prefixedFraming, websocketFraming]
