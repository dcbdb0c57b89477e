/** A map that forgets what was not used for the longest time when it is full. */
export class RecentMap<T> {
  private readonly entries = new Map<string, T>()
  private readonly limit: number
  private readonly onForget: (value: T) => void

  constructor(limit: number, onForget: (value: T) => void = () => {}) {
    this.limit = limit
    this.onForget = onForget
  }

  get size(): number {
    return this.entries.size
  }

  get(key: string): T | undefined {
    const value = this.entries.get(key)
    // Half empty, nothing is about to be forgotten: keeping the order then would cost more than the look-up.
    if (value !== undefined && this.entries.size > this.limit / 2) {
      this.entries.delete(key)
      this.entries.set(key, value)
    }
    return value
  }

  set(key: string, value: T): void {
    this.entries.delete(key)
    this.entries.set(key, value)
    if (this.entries.size <= this.limit) return
    const [oldest, forgotten] = this.entries.entries().next().value as [string, T]
    this.entries.delete(oldest)
    this.onForget(forgotten)
  }

  values(): IterableIterator<T> {
    return this.entries.values()
  }

  clear(): void {
    this.entries.clear()
  }
}
