import type { Clock } from '../../router/clock.ts'
import { payloadDigest } from './payload-digest.ts'

const MAX_TOPICS = 1024
/** Payloads of a topic that are remembered: several values may go round at once. */
const MAX_KNOWN = 8
const WINDOW_MS = 1000
const MAX_REPEATS = 100
const REST_MS = 2000

interface Topic {
  readonly known: string[]
  sinceMs: number
  repeats: number
  restsUntilMs: number
}

/**
 * Where routers are connected by two bridges, values go round, always in the same direction, which is not what
 * `LoopGuard` looks for: the same few payloads come at a topic more than a hundred times a second. Then it rests for
 * two seconds, in which they die out. Source: bridges.md §2.8.
 */
export class Repeats {
  private readonly clock: Clock
  private readonly onLoop: (topic: string) => void
  private readonly topics = new Map<string, Topic>()

  constructor(clock: Clock, onLoop: (topic: string) => void) {
    this.clock = clock
    this.onLoop = onLoop
  }

  /** Whether a message may pass. */
  allows(name: string, payload: Buffer): boolean {
    const now = this.clock.now()
    const topic = this.find(name, now)
    if (now < topic.restsUntilMs) return false
    const digest = payloadDigest(payload)
    if (!topic.known.includes(digest)) {
      topic.known.push(digest)
      if (topic.known.length > MAX_KNOWN) topic.known.shift()
      return true
    }
    if (now - topic.sinceMs > WINDOW_MS) {
      topic.sinceMs = now
      topic.repeats = 0
    }
    if (++topic.repeats <= MAX_REPEATS) return true
    topic.restsUntilMs = now + REST_MS
    this.onLoop(name)
    return false
  }

  private find(name: string, now: number): Topic {
    let topic = this.topics.get(name)
    if (topic === undefined) {
      topic = { known: [], sinceMs: now, repeats: 0, restsUntilMs: 0 }
      if (this.topics.size >= MAX_TOPICS) this.topics.delete(this.topics.keys().next().value as string)
      this.topics.set(name, topic)
    }
    return topic
  }
}
