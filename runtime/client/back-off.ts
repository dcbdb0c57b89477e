export interface BackOffOptions {
  /** First delay. */
  baseMs: number
  /** No delay is longer. */
  capMs: number
  /** 0…1; Math.random unless a test wants to know the outcome. */
  random?: () => number
}

/** Delays between retries: each twice the one before up to the cap, spread over its upper half so that many do not come at once. */
export class BackOff {
  private readonly options: BackOffOptions
  private attempts = 0

  constructor(options: BackOffOptions) {
    this.options = options
  }

  /** Milliseconds to wait before the next attempt. */
  next(): number {
    const { baseMs, capMs, random = Math.random } = this.options
    const full = Math.min(capMs, baseMs * 2 ** Math.min(this.attempts++, 30))
    return full * (0.5 + 0.5 * random())
  }

  /** After a success. */
  reset(): void {
    this.attempts = 0
  }
}
