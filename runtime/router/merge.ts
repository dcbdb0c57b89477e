import { valueEnd } from '../../firmware-protocol/wire/value-bytes.ts'
import { readU16 } from './bytes.ts'

/**
 * Strategy `merge`: the keys of the new map replace or join those of the stored one; nested maps are replaced whole.
 * Both are canonical, valid map data (u16 count, then key, type byte, data); so is the result, at most 65 535 entries.
 */
export function mergeMaps(stored: Uint8Array, update: Uint8Array): Uint8Array {
  const entries = new Map<string, Uint8Array>()
  for (const map of [stored, update]) {
    let at = 2
    for (let count = readU16(map, 0); count > 0; count--) {
      const keyEnd = at + 2 + readU16(map, at)
      const end = valueEnd(map, map[keyEnd], keyEnd + 1, map.length)
      entries.set(keyOf(map, at, keyEnd), map.subarray(at, end))
      at = end
    }
  }
  let length = 2
  for (const entry of entries.values()) length += entry.length
  const merged = new Uint8Array(length)
  merged[0] = entries.size >>> 8
  merged[1] = entries.size
  let at = 2
  for (const entry of entries.values()) {
    merged.set(entry, at)
    at += entry.length
  }
  return merged
}

/** Keys are only compared, so one character a byte will do. */
function keyOf(map: Uint8Array, at: number, keyEnd: number): string {
  let key = ''
  for (let i = at + 2; i < keyEnd; i++) key += String.fromCharCode(map[i])
  return key
}
