import { DecodeError } from '../../firmware-protocol/wire/errors.ts'
import { type DecodedFrame, decodeFrame, encodeFrame, frameLength } from '../../firmware-protocol/wire/frame.ts'
import type { Message } from '../../firmware-protocol/wire/message.ts'
import { LocalFrames } from './local-frames.ts'

/** The link of a part of this process: frames become messages, and no bytes ever wait. */
export class LocalLink extends LocalFrames {
  override readonly transport = 'local'

  constructor(name: string, onMessage: (message: Message) => void, onClosed: (reason: string) => void) {
    super(name, (bytes) => deliver(bytes, onMessage), onClosed)
  }

  say(message: Message): void {
    this.send(encodeFrame(message))
  }
}

function deliver(bytes: Uint8Array, onMessage: (message: Message) => void): void {
  for (let at = 0; at < bytes.length; ) {
    const end = at + frameLength(bytes, at, bytes.length)
    const frame: DecodedFrame | DecodeError = decodeFrame(bytes, at, end)
    if (!(frame instanceof DecodeError)) onMessage(frame.message)
    at = end
  }
}
