import type { Channel } from '../../client/channel.ts'
import type { Answers } from './answers.ts'
import type { LinkProblem } from './hub-session.ts'
import { silentHub, unresponsiveHub } from './link-words.ts'

const SILENCE_MS = 30_000
const TRANSPORT_PING_MS = 20_000
/** A hub that sends and never answers is left after so many answer time-outs. */
const MAX_UNANSWERED_TIMEOUTS = 6

/** Whether the hub is still there: federation.md §13.10. Times are monotonic, ms. */
export class HubLiveness {
  private readonly answers: Answers
  private readonly channel: Channel
  private readonly url: URL
  private readonly answerTimeoutMs: number
  private frameAt: number
  /** Parts of frames and signs of life of the transport count. */
  private heardAt: number
  /** When the transport was last asked for one. */
  private askedAt: number

  constructor(answers: Answers, channel: Channel, url: URL, answerTimeoutMs: number, now: number) {
    this.answers = answers
    this.channel = channel
    this.url = url
    this.answerTimeoutMs = answerTimeoutMs
    this.frameAt = now
    this.heardAt = now
    this.askedAt = now
  }

  heard(now: number): void {
    this.heardAt = now
  }

  heardFrames(now: number): void {
    this.heardAt = now
    this.frameAt = now
  }

  /** Now and then: asks for what proves life; returns why the session is to be ended, if it is. */
  look(now: number): LinkProblem | undefined {
    const { answers, answerTimeoutMs, heardAt, url } = this
    const { waitingSince } = answers
    if (waitingSince !== undefined && now - Math.max(waitingSince, heardAt) >= answerTimeoutMs)
      return silentHub('session', now - heardAt, url)
    if (waitingSince !== undefined && now - waitingSince >= MAX_UNANSWERED_TIMEOUTS * answerTimeoutMs)
      return unresponsiveHub(now - waitingSince, url)
    if (waitingSince === undefined && now - this.frameAt >= SILENCE_MS) answers.wantPong()
    if (now - this.askedAt >= TRANSPORT_PING_MS) {
      this.askedAt = now
      this.channel.ping?.()
    }
    return undefined
  }
}
