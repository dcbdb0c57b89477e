/** Hot path. */

/**
 * Bytes on their way out of one link: a buffer that grows and is written in whole once per turn of the event loop.
 * Whoever writes into `bytes` first calls `reserve`, then adds what it wrote to `length`.
 */
export class OutputBuffer {
  bytes: Uint8Array
  length = 0

  constructor(initialBytes = 4096) {
    this.bytes = new Uint8Array(initialBytes)
  }

  /** Makes room for `count` more bytes and returns the offset at which they start. */
  reserve(count: number): number {
    const need = this.length + count
    if (need > this.bytes.length) this.grow(need)
    return this.length
  }

  append(source: Uint8Array, start: number, end: number): void {
    const at = this.reserve(end - start)
    this.bytes.set(source.subarray(start, end), at)
    this.length = at + end - start
  }

  /**
   * Hands the filled bytes over and starts again with a fresh buffer, as large as those, so that a burst does not make each
   * later turn clear 64 KiB: for writers that keep the memory.
   */
  detach(): Uint8Array {
    const filled = this.bytes.subarray(0, this.length)
    this.bytes = new Uint8Array(Math.min(Math.max(this.length, 256), 65_536))
    this.length = 0
    return filled
  }

  private grow(need: number): void {
    let size = this.bytes.length
    while (size < need) size *= 2
    const bigger = new Uint8Array(size)
    bigger.set(this.bytes.subarray(0, this.length))
    this.bytes = bigger
  }
}
