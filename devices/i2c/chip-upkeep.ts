import type { DeviceClock } from '../device.ts'

const FAILURES = 3
const AGAIN_MS = 100
/** Longest pause between attempts to open an output chip anew: until then its outputs are what they were. */
export const OUTPUT_RETRY_MS = 2000

export interface UpkeepParts {
  readonly clock: DeviceClock
  /** Brings the chip to what it is to be now. */
  write(): Promise<void>
  /** Looks at the chip. Resolves with the time to the next look, ms. */
  look(): Promise<number>
  /** Neither works any more. */
  onFailure(error: Error): void
}

/** What is done with an output chip while it runs, one thing after the other: writes on demand, looks now and then. */
export class ChipUpkeep {
  private readonly parts: UpkeepParts
  private queue: Promise<void> = Promise.resolve()
  private isWriteQueued = false
  private isLookQueued = false
  private failures = 0
  private timer: { cancel(): void } | null = null
  private isStopped = false

  constructor(parts: UpkeepParts) {
    this.parts = parts
  }

  /** There is something to write. What comes until then goes with it. */
  write(): void {
    if (this.isWriteQueued) return
    this.isWriteQueued = true
    this.queue = this.queue.then(() => this.tryToWrite())
  }

  /** Looks at once. */
  look(): void {
    if (this.isLookQueued || this.isStopped) return
    this.isLookQueued = true
    this.queue = this.queue.then(() => this.tryToLook())
  }

  lookIn(ms: number): void {
    this.timer?.cancel()
    if (!this.isStopped) this.timer = this.parts.clock.timer(ms, () => this.look())
  }

  /** What was asked for is done. */
  settled(): Promise<void> {
    return this.queue
  }

  /** Resolves when the last write is done. */
  stop(): Promise<void> {
    this.isStopped = true
    this.timer?.cancel()
    return this.queue
  }

  private async tryToWrite(): Promise<void> {
    this.isWriteQueued = false
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.parts.write()
      } catch (error) {
        if (attempt < FAILURES) continue
        this.fail(error as Error)
        return
      }
    }
  }

  private async tryToLook(): Promise<void> {
    this.isLookQueued = false
    if (this.isStopped) return
    try {
      this.lookIn(await this.parts.look())
      this.failures = 0
    } catch (error) {
      if (++this.failures < FAILURES) this.lookIn(AGAIN_MS)
      else this.fail(error as Error)
    }
  }

  /** Told once. Writes are tried to the end, for they may be what makes outputs safe. */
  private fail(error: Error): void {
    if (this.isStopped) return
    this.isStopped = true
    this.timer?.cancel()
    this.parts.onFailure(error)
  }
}
