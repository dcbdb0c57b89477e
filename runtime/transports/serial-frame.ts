/** What tells a CLASP frame from noise on a serial line. Source: transport reference §6.2, wire reference §2.1. */

import { FrameFlag, HEADER_BYTES, MAGIC, MessageCode, TIMESTAMP_BYTES } from '../../firmware-protocol/wire/constants.ts'
import { isLegacy } from '../../firmware-protocol/wire/legacy.ts'

/** Header and timestamp, which come on top of the payload. */
export const MAX_HEADER_BYTES = HEADER_BYTES + TIMESTAMP_BYTES
export const NOT_A_FRAME = -1
export const INCOMPLETE = 0

/** Encryption, compression and versions other than 0 and 1; no firmware uses them. */
const IMPLAUSIBLE_FLAGS = 0x1e
const QOS_MASK = 0xc0
const CODES: ReadonlySet<number> = new Set(Object.values(MessageCode))

/**
 * Length of the frame whose beginning stands at `bytes[at, end)`. INCOMPLETE when more bytes are needed to tell, NOT_A_FRAME
 * when no frame begins so: flags, length or the type of the message are implausible.
 */
export function plausibleFrameBytes(bytes: Uint8Array, at: number, end: number, maxPayloadBytes: number): number {
  if (bytes[at] !== MAGIC) return NOT_A_FRAME
  if (end - at < 2) return INCOMPLETE
  const flags = bytes[at + 1]
  if ((flags & IMPLAUSIBLE_FLAGS) !== 0 || (flags & QOS_MASK) === QOS_MASK) return NOT_A_FRAME
  if (end - at < HEADER_BYTES) return end - at > 2 && bytes[at + 2] > maxPayloadBytes >>> 8 ? NOT_A_FRAME : INCOMPLETE
  const payloadBytes = (bytes[at + 2] << 8) | bytes[at + 3]
  if (payloadBytes > maxPayloadBytes) return NOT_A_FRAME
  const payloadAt = at + HEADER_BYTES + ((flags & FrameFlag.timestamp) !== 0 ? TIMESTAMP_BYTES : 0)
  if (payloadAt >= end) return INCOMPLETE
  const code = bytes[payloadAt]
  return CODES.has(code) || isLegacy(code) ? payloadAt - at + payloadBytes : NOT_A_FRAME
}
