import type { Clock, Timer } from '../../router/clock.ts'
import { readToken } from './hub-token.ts'
import type { LeafOptions } from './leaf-options.ts'

/** How often a token file is looked at while the hub refuses the token. */
const TOKEN_LOOK_MS = 5000

/** The waits between connections, which can be cut short. */
export class RetryPause {
  private readonly clock: Clock
  private readonly signal: AbortSignal
  private finish: ((wasWoken: boolean) => void) | null = null

  /** After the signal nothing waits any more; whoever aborts it calls `wake` as well. */
  constructor(clock: Clock, signal: AbortSignal) {
    this.clock = clock
    this.signal = signal
  }

  wake(): void {
    this.finish?.(true)
  }

  /** Resolves with true when it was cut short. */
  wait(ms: number): Promise<boolean> {
    if (this.signal.aborted) return Promise.resolve(true)
    return new Promise((resolve) => {
      const timer: Timer = this.clock.timer(ms, () => this.finish?.(false))
      this.finish = (wasWoken) => {
        timer.cancel()
        this.finish = null
        resolve(wasWoken)
      }
    })
  }

  /** As `wait`; a token in the file that is another than the refused one ends it as well. */
  async forToken(ms: number, options: LeafOptions, refused: string | undefined): Promise<void> {
    const until = this.clock.now() + ms
    while (this.clock.now() < until) {
      if (await this.wait(Math.min(TOKEN_LOOK_MS, until - this.clock.now()))) return
      if (options.tokenFile === undefined) continue
      const token = await readToken(options)
      if (typeof token === 'string' && token !== refused) return
    }
  }
}
