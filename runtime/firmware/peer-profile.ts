import { FrameFlag, HEADER_BYTES, MAGIC, MessageCode } from '../../firmware-protocol/wire/constants.ts'
import type { Framing } from '../router/link.ts'

/**
 * What a peer understands: everything; what the Arduino library reads (class A); what the embedded client reads (class E).
 * Source: firmware reference §5.1.
 */
export type PeerProfile = 'full' | 'arduino' | 'embedded'

/** Frame flags and feature byte of the two HELLOs; no other client sends one like the first (firmware reference §1). */
const ARDUINO = { flags: 0x41, features: 0xe0 }
const EMBEDDED = { flags: 0x01, features: 0xf8 }

/**
 * The class of the peer whose first frame is `bytes[start, end)`. Full clients announce the features of class E as well,
 * but only over WebSocket and length-prefixed TCP; whatever is not HELLO proves nothing.
 */
export function peerProfile(framing: Framing['name'], bytes: Uint8Array, start: number, end: number): PeerProfile {
  if (framing === 'websocket' || end - start < HEADER_BYTES + 3 || bytes[start] !== MAGIC) return 'full'
  const flags = bytes[start + 1]
  const payloadAt = start + HEADER_BYTES
  if ((flags & FrameFlag.timestamp) !== 0 || bytes[payloadAt] !== MessageCode.hello) return 'full'
  const features = bytes[payloadAt + 2]
  if (flags === ARDUINO.flags && features === ARDUINO.features) return 'arduino'
  const isEmbedded = flags === EMBEDDED.flags && features === EMBEDDED.features
  return isEmbedded && framing === 'bare' ? 'embedded' : 'full'
}
