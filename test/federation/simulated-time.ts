// Loaded beforehand: the runtime does so when it first dials, and simulated time does not wait for the disk.
import '../../runtime/client/stream-channel.ts'
import '../../runtime/client/websocket-channel.ts'
import type { SteppedClock } from '../router/stepped-clock.ts'

/** Turns of the event loop in which the sockets are read and answered between two steps. */
const TURNS = 10
const STEP_MS = 100
const LIMIT_MS = 3_600_000

/** Clocks that the test moves together, in steps; between them everybody says on real sockets what there is to say. */
export class SimulatedTime {
  private readonly clocks: readonly SteppedClock[]

  constructor(...clocks: SteppedClock[]) {
    this.clocks = clocks
  }

  async pass(ms: number, stepMs = STEP_MS): Promise<void> {
    for (let left = ms; left > 0; left -= stepMs) await this.step(Math.min(stepMs, left))
  }

  /** Lets time pass until the condition holds; resolves with the time that took, ms. */
  async until(condition: () => boolean, what: string | (() => string), withinMs = LIMIT_MS, stepMs = STEP_MS) {
    let passedMs = 0
    await turns(TURNS)
    while (!condition()) {
      if (passedMs >= withinMs) {
        throw new Error(`no ${typeof what === 'string' ? what : what()} within ${withinMs} simulated ms`)
      }
      await this.step(stepMs)
      passedMs += stepMs
    }
    return passedMs
  }

  private async step(ms: number): Promise<void> {
    await turns(TURNS)
    for (const clock of this.clocks) clock.advance(ms)
    await turns(TURNS)
  }
}

/** Lets the sockets have their say while the clocks stand still. */
export async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve))
}
