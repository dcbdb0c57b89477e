/** Hot path: `isValidUtf8`, `decodeUtf8`. */

const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
const encoder = new TextEncoder()

/** Whether `bytes[start, end)` is well-formed UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF. */
export function isValidUtf8(bytes: Uint8Array, start: number, end: number): boolean {
  let i = start
  while (i < end) {
    const a = bytes[i++]
    if (a < 0x80) continue
    if (a < 0xc2) return false
    if (a < 0xe0) {
      if (i >= end || (bytes[i++] & 0xc0) !== 0x80) return false
    } else if (a < 0xf0) {
      if (i + 2 > end) return false
      const b = bytes[i]
      if ((b & 0xc0) !== 0x80 || (bytes[i + 1] & 0xc0) !== 0x80) return false
      if ((a === 0xe0 && b < 0xa0) || (a === 0xed && b >= 0xa0)) return false
      i += 2
    } else {
      if (a > 0xf4 || i + 3 > end) return false
      const b = bytes[i]
      if ((b & 0xc0) !== 0x80 || (bytes[i + 1] & 0xc0) !== 0x80 || (bytes[i + 2] & 0xc0) !== 0x80) return false
      if ((a === 0xf0 && b < 0x90) || (a === 0xf4 && b >= 0x90)) return false
      i += 3
    }
  }
  return true
}

/** The text of valid UTF-8; a leading byte order mark is kept. */
export function decodeUtf8(bytes: Uint8Array, start: number, end: number): string {
  if (end - start > 64) return decoder.decode(bytes.subarray(start, end))
  let text = ''
  for (let i = start; i < end; i++) {
    if (bytes[i] >= 0x80) return decoder.decode(bytes.subarray(start, end))
    text += String.fromCharCode(bytes[i])
  }
  return text
}

/** Bytes that `text` takes; an unpaired surrogate becomes U+FFFD. */
export function utf8Length(text: string): number {
  let length = 0
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit < 0x80) length += 1
    else if (unit < 0x800) length += 2
    else if (unit >= 0xd800 && unit < 0xdc00 && (text.charCodeAt(i + 1) & 0xfc00) === 0xdc00) {
      length += 4
      i++
    } else length += 3
  }
  return length
}

/** Writes `text` at `at`, which must have room for `utf8Length(text)` bytes, and returns the offset behind it. */
export function putUtf8(out: Uint8Array, at: number, text: string): number {
  return at + (encoder.encodeInto(text, out.subarray(at)).written ?? 0)
}
