import { MAX_FRAME_BYTES } from '../../firmware-protocol/wire/constants.ts'
import { bareFraming, type CloseCode, type Link, type LinkHandler, type LinkLimits } from './link.ts'
import { OutputBuffer } from './output.ts'

/** The link of a part of this process that speaks in frames, as a client at a socket does, for a peer of a bridge. */
export class LocalFrames implements Link {
  readonly transport: string = 'bridge'
  readonly remote: string
  readonly framing = bareFraming
  readonly limits: LinkLimits = { maxFrameBytes: MAX_FRAME_BYTES, idleTimeoutMs: 0, isReliable: true }
  readonly output = new OutputBuffer(256)
  readonly backlogBytes = 0
  private readonly onFrames: (bytes: Uint8Array) => void
  private readonly onClosed: (reason: string) => void
  private handler: LinkHandler | null = null

  /** `onFrames` gets whole frames, one behind the other. */
  constructor(name: string, onFrames: (bytes: Uint8Array) => void, onClosed: (reason: string) => void) {
    this.remote = name
    this.onFrames = onFrames
    this.onClosed = onClosed
  }

  connect(handler: LinkHandler): void {
    this.handler = handler
  }

  /** One whole frame. */
  send(frame: Uint8Array): void {
    this.handler?.onFrame(frame, 0, frame.length)
  }

  /** The receiver may answer from within, so the buffer is handed over first. */
  flush(): void {
    if (this.output.length > 0) this.onFrames(this.output.detach())
  }

  close(_code: CloseCode, reason: string): void {
    const { handler } = this
    if (handler === null) return
    this.flush()
    this.handler = null
    handler.onClose(reason)
    this.onClosed(reason)
  }
}
