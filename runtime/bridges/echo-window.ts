import type { Clock } from '../router/clock.ts'

const MAX_ENTRIES = 4096

/**
 * Foreign programs that repeat what they are told: a value that comes back within a short time is dropped once.
 * Source: bridges.md §2.8.
 */
export class EchoWindow {
  private readonly windowMs: number
  private readonly clock: Clock
  private readonly told = new Map<string, { text: string; untilMs: number }[]>()

  constructor(windowMs: number, clock: Clock) {
    this.windowMs = windowMs
    this.clock = clock
  }

  /** `key` says where, `text` what: values that count as equal have equal texts. */
  remember(key: string, text: string): void {
    if (this.windowMs === 0) return
    const entries = this.live(key)
    entries.push({ text, untilMs: this.clock.now() + this.windowMs })
    // The order of the map is the order of use.
    this.told.delete(key)
    this.told.set(key, entries)
    if (this.told.size > MAX_ENTRIES) this.told.delete(this.told.keys().next().value as string)
  }

  /** Whether this is only what was told; answers so once for each time it was told. */
  takes(key: string, text: string): boolean {
    if (this.told.size === 0) return false
    const entries = this.live(key)
    const at = entries.findIndex((entry) => entry.text === text)
    if (at >= 0) entries.splice(at, 1)
    if (entries.length === 0) this.told.delete(key)
    else if (at >= 0) this.told.set(key, entries)
    return at >= 0
  }

  private live(key: string): { text: string; untilMs: number }[] {
    const now = this.clock.now()
    return (this.told.get(key) ?? []).filter(({ untilMs }) => untilMs >= now)
  }
}
