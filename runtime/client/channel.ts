/** A connection to a router that carries whole frames. Owned by one client, which closes it. */
export interface Channel {
  /** Queues one frame; frames sent after the close are lost. */
  send(frame: Uint8Array): void
  /** Bytes that have not left yet. */
  readonly unsentBytes: number
  /** What was sent before still leaves, unless the peer does not take it within half a second. */
  close(): void
}

export interface ChannelHandler {
  /** One or more frames behind each other; the bytes are the channel's again after the call. */
  onFrames(bytes: Uint8Array): void
  /** Once, whoever closed. `reason` is the peer's text, often empty. */
  onClose(reason: string): void
}

/** How long a closing channel waits for its peer. */
export const CLOSE_WAIT_MS = 500
