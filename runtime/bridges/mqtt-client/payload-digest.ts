import { createHash } from 'node:crypto'

const SHORT_BYTES = 64

/** A short text that is the same for the same payload. */
export function payloadDigest(payload: Buffer): string {
  return payload.length <= SHORT_BYTES
    ? payload.toString('latin1')
    : createHash('sha1').update(payload).digest('base64')
}
