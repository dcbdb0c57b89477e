import { decodeUtf8 } from './utf8.ts'

/** Hot path. */

/** A power of two. */
const SLOTS = 2048
const MAX_BYTES = 64

/**
 * Texts that arrived lately, by their bytes: gear sends the same addresses over and over, and one that is known is neither
 * built nor hashed again. At most 2048, of 64 bytes of ASCII each.
 */
export class KnownTexts {
  private readonly texts = new Array<string>(SLOTS).fill('')

  /** The text of `bytes[start, end)`, which are valid UTF-8 where they are not ASCII. */
  textOf(bytes: Uint8Array, start: number, end: number): string {
    const length = end - start
    if (length > MAX_BYTES) return decodeUtf8(bytes, start, end)
    let hash = length
    for (let at = start; at < end; at++) hash = Math.imul(hash ^ bytes[at], 0x0100_0193)
    const slot = (hash ^ (hash >>> 15)) & (SLOTS - 1)
    const known = this.texts[slot]
    if (isText(known, bytes, start, length)) return known
    const text = decodeUtf8(bytes, start, end)
    if (text.length === length) this.texts[slot] = text
    return text
  }
}

function isText(text: string, bytes: Uint8Array, start: number, length: number): boolean {
  if (text.length !== length) return false
  for (let i = 0; i < length; i++) if (text.charCodeAt(i) !== bytes[start + i]) return false
  return true
}
