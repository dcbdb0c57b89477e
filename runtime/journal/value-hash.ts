/**
 * 32 bits that tell values apart; two seeds make 64, which is what decides that a state need not be written again. `code`
 * is the value's type.
 */
export function hashValue(bytes: Uint8Array, start: number, end: number, code: number, seed: number): number {
  let h = seed ^ Math.imul(code + 1, 0x9e3779b1) ^ (end - start)
  let i = start
  for (; i + 4 <= end; i += 4) {
    h = Math.imul(h ^ (bytes[i] | (bytes[i + 1] << 8) | (bytes[i + 2] << 16) | (bytes[i + 3] << 24)), 0x85ebca6b)
    h ^= h >>> 15
  }
  for (; i < end; i++) h = Math.imul(h ^ bytes[i], 0xc2b2ae35)
  h ^= h >>> 13
  h = Math.imul(h, 0x27d4eb2f)
  return h ^ (h >>> 16)
}
