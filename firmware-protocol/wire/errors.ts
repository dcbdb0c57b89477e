/** Why bytes are not a frame or a message. A value, not an exception: bad input is ordinary. Wire reference §9.1. */
export class DecodeError {
  readonly layer: 'frame' | 'message'
  /** 100 for a bad frame, 101 for a bad message. */
  readonly code: number
  readonly reason: string
  /** Where in the bytes handed to the decoder. */
  readonly offset: number

  constructor(layer: 'frame' | 'message', reason: string, offset: number) {
    this.layer = layer
    this.code = layer === 'frame' ? 100 : 101
    this.reason = reason
    this.offset = offset
  }
}

/** A message that has no encoding: too large, or with a number out of range. */
export class EncodeError extends Error {}
