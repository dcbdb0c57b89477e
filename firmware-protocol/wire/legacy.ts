import { DecodeError } from './errors.ts'
import type { Message } from './message.ts'
export function isLegacy(first: number): boolean {
  return (first >= 0x80 && first <= 0x8f) || first === 0xde || first === 0xdf
}
export function decodeLegacy(_bytes: Uint8Array, start: number, _end: number): Message | DecodeError {
  return new DecodeError('message', 'legacy', start)
}
