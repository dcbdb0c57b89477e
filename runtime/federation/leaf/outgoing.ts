import { encodeFrame } from '../../../firmware-protocol/wire/frame.ts'
import type { Channel } from '../../client/channel.ts'
import type { Clock, Timer } from '../../router/clock.ts'
import type { Answers, PongOutcome } from './answers.ts'
import type { FrameRate } from './frame-rate.ts'
import type { Request } from './hub-request.ts'
import type { HubSessionCounters, RequestAnswer } from './hub-session.ts'

/** More than this in the channel: the hub, or the line, does not keep up. */
const MAX_UNSENT_BYTES = 262_144
/** A channel does not tell when it has drained. */
const LOOK_AGAIN_MS = 50
/** PUBLISH has no answer: so long after the first, or with so many, a PING closes the batch. Federation.md §13.5.4. */
const BATCH_MS = 1000
const BATCH_FRAMES = 256
const PING = encodeFrame({ type: 'PING' })

export interface OutgoingParts {
  clock: Clock
  channel: Channel
  answers: Answers
  rate: FrameRate
  counters: HubSessionCounters
  /** Un-answered SETs. */
  window: number
  /** There is room again after `hasRoom` was false; in a turn of its own. */
  onRoom(): void
}

type Queued = Request | { kind: 'barrier'; settle(answer: RequestAnswer): void }

/** What leaves for the hub: requests in their order, as fast as the rate allows, and PINGs as they are needed. */
export class Outgoing {
  private readonly parts: OutgoingParts
  private readonly queue: Queued[] = []
  private wake: { at: number; timer: Timer } | undefined
  private isRoomWanted = false
  private isRoomComing = false
  private isStopped = false
  /** PUBLISHes since the last PING, and when the first of them left. */
  private published = 0
  private publishedAt = 0

  constructor(parts: OutgoingParts) {
    this.parts = parts
  }

  /** One more SET or PUBLISH may leave now. After false, `onRoom` follows. */
  hasRoom(forSet: boolean): boolean {
    if (this.isRoom(forSet)) return true
    this.isRoomWanted = true
    this.arm()
    return false
  }

  /** Sends the request when its turn comes. */
  post(request: Request): void {
    this.queue.push(request)
    this.pump()
  }

  /** Settles with the PONG that follows everything posted before. */
  barrier(settle: (answer: RequestAnswer) => void): void {
    this.queue.push({ kind: 'barrier', settle })
    this.pump()
  }

  /** Sends a PUBLISH at once; false = there is no room. */
  publish(frame: Uint8Array): boolean {
    const { clock, rate } = this.parts
    if (!this.hasRoom(false) || !rate.take(clock.now())) return false
    if (this.published++ === 0) this.publishedAt = clock.now()
    this.transmit(frame)
    return true
  }

  /** After a PONG: what the hub may have discarded comes first. */
  repeat({ again, barriers }: PongOutcome): void {
    this.queue.unshift(...again, ...barriers.map((settle) => ({ kind: 'barrier' as const, settle })))
  }

  /** Sends what may leave by now. To be called after every answer. */
  pump(): void {
    if (this.isStopped) return
    const { clock, answers, rate } = this.parts
    while (!this.isClogged()) {
      const now = clock.now()
      if (answers.pingInMs() === 0) {
        if (!rate.take(now)) break
        answers.pingSent()
        this.published = 0
        this.transmit(PING)
        continue
      }
      const [next] = this.queue
      if (next === undefined || answers.isThrottled) break
      if (next.kind === 'barrier') {
        this.queue.shift()
        answers.addBarrier(next.settle)
        continue
      }
      if (this.mustWait(next) || !rate.take(now)) break
      this.queue.shift()
      answers.sent(next)
      this.transmit(next.frame)
    }
    this.offerRoom()
    this.arm()
  }

  /** Now and then: closes batches. */
  sweep(): void {
    const { clock, answers } = this.parts
    if (this.published >= BATCH_FRAMES || (this.published > 0 && clock.now() - this.publishedAt >= BATCH_MS))
      answers.wantPong()
    answers.sweep()
    this.pump()
  }

  /** Everything that has not left is lost. */
  stop(): void {
    this.isStopped = true
    this.wake?.timer.cancel()
    for (const queued of this.queue.splice(0)) {
      if (queued.kind === 'clock') queued.settle(undefined)
      else if (queued.kind !== 'note') queued.settle({ kind: 'lost' })
    }
  }

  private isRoom(forSet: boolean): boolean {
    const { clock, answers, rate, window } = this.parts
    return (
      !this.isStopped &&
      this.queue.length === 0 &&
      !answers.isThrottled &&
      !(forSet && answers.setsUnderWay >= window) &&
      rate.waitMs(clock.now()) === 0 &&
      !this.isClogged()
    )
  }

  private isClogged(): boolean {
    return this.parts.channel.unsentBytes > MAX_UNSENT_BYTES
  }

  /** At most one request that an empty ACK answers is under way (federation.md §13.4). */
  private mustWait(next: Request): boolean {
    return (next.kind === 'declare' || next.kind === 'bundle') && this.parts.answers.isExclusiveTaken
  }

  private transmit(frame: Uint8Array): void {
    this.parts.counters.framesSent++
    this.parts.channel.send(frame)
  }

  private offerRoom(): void {
    if (!this.isRoomWanted || this.isRoomComing || !this.isRoom(true)) return
    // A turn later: all answers of one read, and what waited for them, come first.
    this.isRoomComing = true
    this.parts.clock.afterTurn(() => {
      this.isRoomComing = false
      if (this.isStopped || !this.isRoomWanted || !this.isRoom(true)) return
      this.isRoomWanted = false
      this.parts.onRoom()
    })
  }

  /** Looks again when time alone makes something possible. */
  private arm(): void {
    if (this.isStopped) return
    const delayMs = this.waitMs()
    if (delayMs === Number.POSITIVE_INFINITY) return
    const { clock } = this.parts
    const at = clock.now() + delayMs
    if (this.wake !== undefined) {
      if (this.wake.at <= at) return
      this.wake.timer.cancel()
    }
    const timer = clock.timer(delayMs, () => {
      this.wake = undefined
      this.pump()
    })
    this.wake = { at, timer }
  }

  private waitMs(): number {
    const { clock, answers, rate } = this.parts
    const [next] = this.queue
    const pingMs = answers.pingInMs()
    const wantsToSend =
      !answers.isThrottled &&
      (this.isRoomWanted || (next !== undefined && next.kind !== 'barrier' && !this.mustWait(next)))
    if (!wantsToSend && pingMs === Number.POSITIVE_INFINITY) return pingMs
    if (this.isClogged()) return LOOK_AGAIN_MS
    const rateMs = rate.waitMs(clock.now())
    // Room that the window does not give comes with an answer, not with time.
    if (wantsToSend && (rateMs > 0 || next !== undefined)) return Math.max(1, rateMs)
    return pingMs === Number.POSITIVE_INFINITY ? pingMs : Math.max(1, pingMs, rateMs)
  }
}
