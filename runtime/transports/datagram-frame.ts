/** What the UDP transport has to know of a frame without decoding it. Source: wire reference §2.1, §6.1, §8. */

import { FrameFlag, HEADER_BYTES, MAGIC, MessageCode, TIMESTAMP_BYTES } from '../../firmware-protocol/wire/constants.ts'

/** Length of the frame at `at`, or 0 when no complete frame is there before `end`. */
export function frameBytes(bytes: Uint8Array, at: number, end: number): number {
  if (end - at < HEADER_BYTES || bytes[at] !== MAGIC) return 0
  const length = payloadOffset(bytes, at) + ((bytes[at + 2] << 8) | bytes[at + 3])
  return at + length <= end ? length : 0
}

/** Whether the complete frame at the start of a datagram is HELLO, in the compact or the legacy payload form. */
export function isHello(bytes: Uint8Array): boolean {
  const start = payloadOffset(bytes, 0)
  const end = frameBytes(bytes, 0, bytes.length)
  if (end <= start) return false
  const first = bytes[start]
  if (first === MessageCode.hello) return true
  const isMap = (first >= 0x80 && first <= 0x8f) || first === 0xde || first === 0xdf
  return isMap && contains(bytes, start, end, LEGACY_HELLO)
}

/** A HELLO of a seeker, which wants a WELCOME and no session (transport reference §12). */
export function isDiscoveryProbe(bytes: Uint8Array): boolean {
  const start = payloadOffset(bytes, 0)
  const end = frameBytes(bytes, 0, bytes.length)
  // type, version, features, u16 name length, name
  if (end < start + 5 + PROBE_NAME.length || bytes[start] !== MessageCode.hello || bytes[start + 2] !== 0) return false
  const nameBytes = (bytes[start + 3] << 8) | bytes[start + 4]
  return nameBytes === PROBE_NAME.length && contains(bytes, start + 5, start + 5 + nameBytes, PROBE_NAME)
}

/**
 * HELLO on behalf of a device that said its own before anybody listened: version 1, no token, and the features by which
 * the embedded client is known (firmware reference §5.1, §5.5). `name` takes at most 65 000 bytes.
 */
export function helloFrame(name: string): Uint8Array {
  const text = new TextEncoder().encode(name)
  const payloadBytes = 7 + text.length
  const frame = new Uint8Array(HEADER_BYTES + payloadBytes)
  frame.set([MAGIC, 1, payloadBytes >>> 8, payloadBytes, MessageCode.hello, 1, 0xf8, text.length >>> 8, text.length])
  frame.set(text, 9)
  return frame
}

export const PING_FRAME = Uint8Array.of(MAGIC, 1, 0, 1, MessageCode.ping)

const PROBE_NAME = new TextEncoder().encode('Discovery')
/** The MessagePack string "HELLO", which the key `type` of a legacy HELLO has as its value. */
const LEGACY_HELLO = Uint8Array.of(0xa5, 0x48, 0x45, 0x4c, 0x4c, 0x4f)

function payloadOffset(bytes: Uint8Array, at: number): number {
  return HEADER_BYTES + ((bytes[at + 1] & FrameFlag.timestamp) !== 0 ? TIMESTAMP_BYTES : 0)
}

function contains(bytes: Uint8Array, start: number, end: number, part: Uint8Array): boolean {
  search: for (let i = start; i + part.length <= end; i++) {
    for (let k = 0; k < part.length; k++) if (bytes[i + k] !== part[k]) continue search
    return true
  }
  return false
}
