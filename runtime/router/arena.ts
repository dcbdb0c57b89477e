/** Hot path. */

const SLAB_BITS = 20
const SLAB_BYTES = 1 << SLAB_BITS
const SLAB_MASK = SLAB_BYTES - 1

/**
 * Memory for stored addresses and values: slabs of 1 MiB, cut into blocks by size class, with a free list a class.
 * A stored byte string costs its own length rounded up and no JavaScript object, which is what keeps 100 000 params below
 * 60 MB and the garbage collector out of the hot path. A block is named by a `ref`, slab number and offset in one integer.
 */
export class Arena {
  private readonly slabs: Uint8Array[] = []
  private readonly free: number[][] = []
  private used = SLAB_BYTES
  /** Bytes in blocks that are in use, rounding included. */
  bytesInUse = 0

  /** The slab that holds `ref`; its block starts at `offset(ref)`. */
  slab(ref: number): Uint8Array {
    return this.slabs[ref >>> SLAB_BITS]
  }

  offset(ref: number): number {
    return ref & SLAB_MASK
  }

  /** A block for `bytes` bytes, at most 65 536. Contents are undefined. */
  allocate(bytes: number): number {
    const size = blockBytes(bytes)
    this.bytesInUse += size
    const recycled = this.free[classOf(size)]
    if (recycled !== undefined && recycled.length > 0) return recycled.pop() as number
    if (this.used + size > SLAB_BYTES) {
      this.slabs.push(new Uint8Array(SLAB_BYTES))
      this.used = 0
    }
    const ref = (this.slabs.length - 1) * SLAB_BYTES + this.used
    this.used += size
    return ref
  }

  release(ref: number, bytes: number): void {
    const size = blockBytes(bytes)
    this.bytesInUse -= size
    const index = classOf(size)
    const list = this.free[index]
    if (list === undefined) this.free[index] = [ref]
    else list.push(ref)
  }

  store(source: Uint8Array, start: number, end: number): number {
    const ref = this.allocate(end - start)
    this.write(ref, source, start, end)
    return ref
  }

  write(ref: number, source: Uint8Array, start: number, end: number): void {
    const slab = this.slabs[ref >>> SLAB_BITS]
    let at = ref & SLAB_MASK
    if (end - start > 48) slab.set(source.subarray(start, end), at)
    else for (let i = start; i < end; i++) slab[at++] = source[i]
  }

  view(ref: number, bytes: number): Uint8Array {
    const at = ref & SLAB_MASK
    return this.slabs[ref >>> SLAB_BITS].subarray(at, at + bytes)
  }
}

/** Two stored byte strings of the same block size can replace each other in place. */
export function fitsSameBlock(a: number, b: number): boolean {
  return blockBytes(a) === blockBytes(b)
}

/** Multiples of 8 up to 256, of 64 up to 4096, of 1024 above: at most a quarter is lost to rounding. */
function blockBytes(bytes: number): number {
  if (bytes <= 256) return bytes === 0 ? 8 : (bytes + 7) & ~7
  if (bytes <= 4096) return (bytes + 63) & ~63
  return (bytes + 1023) & ~1023
}

function classOf(size: number): number {
  if (size <= 256) return size >>> 3
  if (size <= 4096) return 32 + (size >>> 6)
  return 96 + (size >>> 10)
}
