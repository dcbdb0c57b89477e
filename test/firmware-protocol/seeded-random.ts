/** Xorshift: the same numbers for the same seed. */
export class SeededRandom {
  private state: number

  constructor(seed: number) {
    this.state = seed | 1
  }

  /** 0 … 2^32 − 1. */
  next(): number {
    this.state ^= this.state << 13
    this.state ^= this.state >>> 17
    this.state ^= this.state << 5
    return this.state >>> 0
  }

  /** 0 … count − 1. */
  below(count: number): number {
    return this.next() % count
  }

  /** 0 … 1, without 1. */
  fraction(): number {
    return this.next() / 2 ** 32
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]
  }

  bytes(count: number): Uint8Array {
    return Uint8Array.from({ length: count }, () => this.next() >>> 24)
  }
}
