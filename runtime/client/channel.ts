/** A connection to a router that carries whole frames. Owned by one client, which closes it. */
export interface Channel {
  /** Queues one frame; frames sent after the close are lost. */
  send(frame: Uint8Array): void
  /** Bytes that have not left yet. */
  readonly unsentBytes: number
  /** Asks for a sign of life below the frames (WebSocket ping); absent where the transport has none. */
  ping?(): void
  /** What was sent before still leaves, unless the peer does not take it within half a second. */
  close(): void
}

export interface ChannelHandler {
  /** One or more frames behind each other; the bytes are the channel's again after the call. */
  onFrames(bytes: Uint8Array): void
  /** The peer was heard, be it with a part of a frame. */
  onAlive?(): void
  /**
   * Once, whoever closed. `reason` is the peer's text, often empty; with `isViolation` it tells what the peer sent
   * against the rules of the transport.
   */
  onClose(reason: string, isViolation: boolean): void
}

export interface ChannelOptions {
  /** Certificates (PEM) of authorities for `wss:` and `tls:`, in place of those that Node.js trusts. */
  ca?: string[]
}

/** How long a closing channel waits for its peer. */
export const CLOSE_WAIT_MS = 500
