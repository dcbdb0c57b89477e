import { ENCODING_VERSION, FrameFlag, HEADER_BYTES, MAGIC, Qos, TIMESTAMP_BYTES } from './constants.ts'
import { decodeMessage } from './decode-message.ts'
import { encodeMessage } from './encode-message.ts'
import { DecodeError } from './errors.ts'
import type { Message, Publish } from './message.ts'

export interface DecodedFrame {
  /** 0 fire, 1 confirm, 2 commit; 3 is reserved and read as fire. */
  qos: number
  /** Microseconds since the Unix epoch. No peer relies on it. */
  timestamp?: number | bigint
  encrypted: boolean
  compressed: boolean
  version: number
  payloadLength: number
  message: Message
}

/**
 * Decodes the frame at `start`; what follows it up to `end` is ignored.
 *
 * frame: 53, flags (QoS 2 bits, timestamp, encrypted, compressed, version 3 bits), payload length u16, [timestamp u64],
 * payload. Source: wire reference §2.
 */
export function decodeFrame(bytes: Uint8Array, start = 0, end = bytes.length): DecodedFrame | DecodeError {
  if (end - start < HEADER_BYTES)
    return new DecodeError('frame', `a frame has 4 bytes or more, got ${end - start}`, end)
  if (bytes[start] !== MAGIC) return new DecodeError('frame', `a frame starts with 53, got ${hex(bytes[start])}`, start)
  const flags = bytes[start + 1]
  const hasTimestamp = (flags & FrameFlag.timestamp) !== 0
  const payloadLength = (bytes[start + 2] << 8) | bytes[start + 3]
  const payloadAt = start + HEADER_BYTES + (hasTimestamp ? TIMESTAMP_BYTES : 0)
  if (payloadAt + payloadLength > end) {
    return new DecodeError(
      'frame',
      `the frame needs ${payloadAt + payloadLength - start} bytes, got ${end - start}`,
      end,
    )
  }
  const message = decodeMessage(bytes, payloadAt, payloadAt + payloadLength)
  if (message instanceof DecodeError) return message
  return {
    qos: flags >>> 6,
    timestamp: hasTimestamp ? timestampAt(bytes, start + HEADER_BYTES) : undefined,
    encrypted: (flags & FrameFlag.encrypted) !== 0,
    compressed: (flags & FrameFlag.compressed) !== 0,
    version: flags & FrameFlag.versionMask,
    payloadLength,
    message,
  }
}

/** A whole frame in the compact form, with the QoS that upstream uses for the message unless told otherwise. */
export function encodeFrame(
  message: Message,
  { qos = defaultQos(message), timestamp }: { qos?: number; timestamp?: number | bigint } = {},
): Uint8Array {
  const payload = encodeMessage(message)
  const payloadAt = HEADER_BYTES + (timestamp === undefined ? 0 : TIMESTAMP_BYTES)
  const frame = new Uint8Array(payloadAt + payload.length)
  frame[0] = MAGIC
  frame[1] = (qos << 6) | (timestamp === undefined ? 0 : FrameFlag.timestamp) | ENCODING_VERSION
  frame[2] = payload.length >>> 8
  frame[3] = payload.length
  if (timestamp !== undefined) new DataView(frame.buffer).setBigUint64(HEADER_BYTES, BigInt(timestamp))
  frame.set(payload, payloadAt)
  return frame
}

/** Length of the frame at `start`: 0 when its header is not complete, −1 when there is no frame. */
export function frameLength(bytes: Uint8Array, start: number, end: number): number {
  if (start >= end) return 0
  if (bytes[start] !== MAGIC) return -1
  if (end - start < HEADER_BYTES) return 0
  const timestamp = (bytes[start + 1] & FrameFlag.timestamp) !== 0 ? TIMESTAMP_BYTES : 0
  return HEADER_BYTES + timestamp + ((bytes[start + 2] << 8) | bytes[start + 3])
}

/** Wire reference §7.1. */
function defaultQos(message: Message): number {
  switch (message.type) {
    case 'SET':
    case 'SUBSCRIBE':
    case 'UNSUBSCRIBE':
    case 'REPLAY':
    case 'FEDERATION_SYNC':
      return Qos.confirm
    case 'BUNDLE':
      return Qos.commit
    case 'PUBLISH':
      return publishQos(message)
    default:
      return Qos.fire
  }
}

function publishQos({ signal }: Publish): number {
  if (signal === 'param' || signal === 'event') return Qos.confirm
  return signal === 'timeline' ? Qos.commit : Qos.fire
}

function timestampAt(bytes: Uint8Array, at: number): number | bigint {
  const value = new DataView(bytes.buffer, bytes.byteOffset + at, TIMESTAMP_BYTES).getBigUint64(0)
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, '0')
}
