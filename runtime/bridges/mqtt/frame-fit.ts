import { EncodeError } from '../../../firmware-protocol/wire/errors.ts'
import { encodeFrame } from '../../../firmware-protocol/wire/frame.ts'
import type { Value } from '../../../firmware-protocol/wire/value.ts'

/** Of JSON, two bytes (`1,`) become nine on the wire: what is shorter than this always fits. */
const ALWAYS_FITS_BYTES = 8192

/** Whether a value, of so many bytes as payload, fits into a frame of the router: 64 KiB with its address. */
export function fitsFrame(address: string, value: Value, payloadBytes: number): boolean {
  if (payloadBytes <= ALWAYS_FITS_BYTES) return true
  try {
    encodeFrame({ type: 'SET', address, value, ttl: { mode: 'never' } })
    return true
  } catch (error) {
    if (error instanceof EncodeError) return false
    throw error
  }
}
