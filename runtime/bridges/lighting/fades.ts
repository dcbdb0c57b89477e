/** A slot, or a coarse and a fine one, on its way to a level. */
export interface Fade {
  /** 0…511, of the coarse one. */
  readonly index: number
  readonly isPair: boolean
  /** Part of a fade of the whole universe. */
  readonly isWhole: boolean
  readonly from: number
  readonly to: number
  /** Monotonic ms. */
  readonly startedAt: number
  readonly durationMs: number
}

/** The fades of one universe: at most one for each slot. Linear, as consoles' are unless told otherwise. */
export class Fades {
  private readonly running = new Map<number, Fade>()

  get isRunning(): boolean {
    return this.running.size > 0
  }

  start(fade: Fade): void {
    this.cancel(fade.index)
    if (fade.isPair) this.cancel(fade.index + 1)
    this.running.set(fade.index, fade)
  }

  /** Somebody set this slot. */
  cancel(index: number): void {
    if (this.running.size === 0) return
    this.running.delete(index)
    if (this.running.get(index - 1)?.isPair) this.running.delete(index - 1)
  }

  /** Hands back those that were running. */
  end(): Fade[] {
    const fades = [...this.running.values()]
    this.running.clear()
    return fades
  }

  /** Writes the levels of this moment, and hands back those that have arrived. */
  advance(now: number, write: (fade: Fade, level: number) => void): Fade[] {
    const arrived: Fade[] = []
    for (const fade of this.running.values()) {
      const { from, to, startedAt, durationMs } = fade
      const share = durationMs <= 0 ? 1 : Math.min(1, (now - startedAt) / durationMs)
      write(fade, Math.round(from + (to - from) * share))
      if (share < 1) continue
      this.running.delete(fade.index)
      arrived.push(fade)
    }
    return arrived
  }
}
