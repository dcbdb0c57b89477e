import { MAX_FRAME_BYTES } from '../../firmware-protocol/wire/constants.ts'
import { DecodeError } from '../../firmware-protocol/wire/errors.ts'
import { type DecodedFrame, decodeFrame, encodeFrame, frameLength } from '../../firmware-protocol/wire/frame.ts'
import type { Message } from '../../firmware-protocol/wire/message.ts'
import { bareFraming, type CloseCode, type Link, type LinkHandler, type LinkLimits } from './link.ts'
import { OutputBuffer } from './output.ts'

/** The link of a part of this process: frames become messages, and no bytes ever wait. */
export class LocalLink implements Link {
  readonly transport = 'local'
  readonly remote: string
  readonly framing = bareFraming
  readonly limits: LinkLimits = { maxFrameBytes: MAX_FRAME_BYTES, idleTimeoutMs: 0, isReliable: true }
  readonly output = new OutputBuffer(256)
  readonly backlogBytes = 0
  private readonly onMessage: (message: Message) => void
  private handler: LinkHandler | null = null
  private readonly onClosed: (reason: string) => void

  constructor(name: string, onMessage: (message: Message) => void, onClosed: (reason: string) => void) {
    this.remote = name
    this.onMessage = onMessage
    this.onClosed = onClosed
  }

  connect(handler: LinkHandler): void {
    this.handler = handler
  }

  send(message: Message): void {
    const frame = encodeFrame(message)
    this.handler?.onFrame(frame, 0, frame.length)
  }

  /** The receiver may answer from within, so the buffer is handed over first. */
  flush(): void {
    if (this.output.length === 0) return
    const bytes = this.output.detach()
    let at = 0
    while (at < bytes.length) {
      const end = at + frameLength(bytes, at, bytes.length)
      const frame: DecodedFrame | DecodeError = decodeFrame(bytes, at, end)
      if (!(frame instanceof DecodeError)) this.onMessage(frame.message)
      at = end
    }
  }

  close(_code: CloseCode, reason: string): void {
    const handler = this.handler
    if (handler === null) return
    this.flush()
    this.handler = null
    handler.onClose(reason)
    this.onClosed(reason)
  }
}
