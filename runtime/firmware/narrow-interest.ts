import { Pattern } from '../../firmware-protocol/wire/pattern.ts'

/** Bounds on what a device can make us remember. */
const MAX_PATTERNS = 1000
const MAX_ASKED = 64

/** What a device asked for. Of a SNAPSHOT it gets nothing else: not the whole state that follows HELLO (rule 5). */
export class NarrowInterest {
  /** A further pattern under an id adds to it, as class E calls all its subscriptions 0. */
  private readonly patterns = new Map<string, { id: number; pattern: Pattern }>()
  /** Addresses of GETs that have not been answered. */
  private readonly asked = new Set<string>()

  get isEmpty(): boolean {
    return this.patterns.size === 0 && this.asked.size === 0
  }

  subscribe(id: number, text: string): void {
    const pattern = Pattern.parse(text)
    if (typeof pattern === 'string' || this.patterns.size >= MAX_PATTERNS) return
    this.patterns.set(`${id} ${text}`, { id, pattern })
  }

  unsubscribe(id: number): void {
    for (const [key, entry] of this.patterns) if (entry.id === id) this.patterns.delete(key)
  }

  ask(address: string): void {
    if (this.asked.size < MAX_ASKED) this.asked.add(address)
  }

  /** Whether a stored value is wanted; an answer to GET is wanted once. */
  wants(address: string): boolean {
    if (this.asked.delete(address)) return true
    for (const { pattern } of this.patterns.values()) if (pattern.matches(address)) return true
    return false
  }

  clear(): void {
    this.patterns.clear()
    this.asked.clear()
  }
}
