import type { Clock, Timer } from '../../router/clock.ts'
import { ACTIVE_SENSING } from './midi-status.ts'
import type { OutputQueue } from './output-queue.ts'

/** Senders promise something every 300 ms, receivers wait 10 % longer (MIDI 1.0 Detailed Specification 4.2, "Active sensing"). */
const SILENCE_MS = 330
/** With time for a timer that is late. */
const SENSING_EVERY_MS = 250

/** Notices that gear which announced active sensing is silent, for its cable was pulled. */
export class ActiveSensing {
  private readonly clock: Clock
  private readonly onSilence: () => void
  private heardAt = 0
  private timer: Timer | null = null

  constructor(clock: Clock, onSilence: () => void) {
    this.clock = clock
    this.onSilence = onSilence
  }

  /** Something came. */
  heard(): void {
    this.heardAt = this.clock.now()
  }

  /** FE came: from now on silence means something. */
  promised(): void {
    this.timer ??= this.clock.timer(SILENCE_MS, this.check)
  }

  stop(): void {
    this.timer?.cancel()
    this.timer = null
  }

  private readonly check = (): void => {
    const left = this.heardAt + SILENCE_MS - this.clock.now()
    this.timer = left > 0 ? this.clock.timer(left, this.check) : null
    if (left <= 0) this.onSilence()
  }
}

/** Promises gear to be heard, so that it ends its notes when this process or the cable has gone. */
export class ActiveSensingSender {
  private readonly clock: Clock
  private readonly queue: OutputQueue
  private timer: Timer | null = null

  constructor(clock: Clock, queue: OutputQueue) {
    this.clock = clock
    this.queue = queue
  }

  start(): void {
    this.queue.realTime(ACTIVE_SENSING)
    this.arm()
  }

  stop(): void {
    this.timer?.cancel()
  }

  private arm(): void {
    const left = this.queue.writtenAt + SENSING_EVERY_MS - this.clock.now()
    this.timer = this.clock.timer(left > 0 ? left : SENSING_EVERY_MS, () => {
      if (this.clock.now() - this.queue.writtenAt >= SENSING_EVERY_MS) this.queue.realTime(ACTIVE_SENSING)
      this.arm()
    })
  }
}
