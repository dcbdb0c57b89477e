/** Hot path. */

/** Small enough to keep for every connection, large enough for the frame that usually straddles two reads. */
const KEPT_BYTES = 2048

/**
 * The beginning of something whose rest has not arrived yet. It grows with what has really been received, never with what
 * a length field announces, so that a peer cannot make us reserve memory by claiming it.
 */
export class Carry {
  bytes: Uint8Array = EMPTY
  length = 0

  append(source: Uint8Array, start: number, end: number): void {
    const count = end - start
    const need = this.length + count
    if (need > this.bytes.length) {
      const bigger = new Uint8Array(Math.max(256, need, Math.min(this.bytes.length * 2, 131_072)))
      bigger.set(this.bytes.subarray(0, this.length))
      this.bytes = bigger
    }
    if (count > 48) {
      this.bytes.set(source.subarray(start, end), this.length)
    } else {
      const bytes = this.bytes
      let at = this.length
      for (let i = start; i < end; i++) bytes[at++] = source[i]
    }
    this.length = need
  }

  /** Forgets the content, and the memory too when it was unusually large. */
  clear(): void {
    this.length = 0
    if (this.bytes.length > KEPT_BYTES) this.bytes = EMPTY
  }
}

const EMPTY = new Uint8Array(0)
