import { DecodeError } from '../../../firmware-protocol/wire/errors.ts'
import { decodeFrame, encodeFrame } from '../../../firmware-protocol/wire/frame.ts'
import type { Publish } from '../../../firmware-protocol/wire/message.ts'
import type { Clock } from '../../router/clock.ts'
import type { OutboxOptions } from './leaf-options.ts'
import type { UplinkStore } from './uplink-store.ts'

/** Events sent before it is asked whether they have arrived. */
const BATCH = 50

interface Waiting {
  id: number
  message: Publish
  bytes: number
  expiresAtUs: number
}

/**
 * Events that wait for the hub, oldest first, each with an age above which it is not sent any more. When there is no room
 * the oldest give way and are counted (federation.md §13.6).
 */
export class EventQueue {
  /** Given up: there was no room, or they became too old. */
  dropped = 0
  private readonly options: OutboxOptions
  private readonly store: UplinkStore
  private waiting: Waiting[] = []
  private bytes = 0

  constructor(options: OutboxOptions, store: UplinkStore) {
    this.options = options
    this.store = store
    for (const { id, frame, expiresAtUs } of store.events()) {
      const decoded = decodeFrame(frame)
      if (decoded instanceof DecodeError || decoded.message.type !== 'PUBLISH') store.removeEvent(id)
      else this.append({ id, message: decoded.message, bytes: frame.length, expiresAtUs })
    }
  }

  get size(): number {
    return this.waiting.length
  }

  /** `isLatestOnly`: an older one of the same address is replaced. */
  add(message: Publish, expiresAtUs: number, isLatestOnly: boolean): void {
    if (isLatestOnly) this.supersede(message.address)
    const frame = encodeFrame(message)
    this.append({ id: this.store.addEvent(frame, expiresAtUs), message, bytes: frame.length, expiresAtUs })
    while (this.waiting.length > this.options.maxEvents || this.bytes > this.options.maxBytes)
      this.drop(this.waiting[0])
  }

  /** The oldest of an address is not sent any more: there is a newer one. */
  supersede(address: string): void {
    const older = this.waiting.find((event) => event.message.address === address)
    if (older !== undefined) this.remove(older)
  }

  /** Up to `count` that are still young enough, oldest first. They stay until `remove`. */
  next(count: number, nowUs: number): Waiting[] {
    for (const event of this.waiting.filter(({ expiresAtUs }) => expiresAtUs <= nowUs)) this.drop(event)
    return this.waiting.slice(0, count)
  }

  remove(event: Waiting): void {
    const at = this.waiting.indexOf(event)
    if (at < 0) return
    this.waiting.splice(at, 1)
    this.bytes -= event.bytes
    this.store.removeEvent(event.id)
  }

  private append(event: Waiting): void {
    this.waiting.push(event)
    this.bytes += event.bytes
  }

  private drop(event: Waiting): void {
    this.dropped++
    this.remove(event)
  }
}

/** The sessions over which events leave. */
export interface EventWay {
  /** False = there is no room now; whoever flushes is told when there is. */
  publish(message: Publish): boolean
  /** Resolves when the hub has taken or discarded all that was sent; false = the connection is lost. */
  isThrough(): Promise<boolean>
  /** ERRORs 429 so far. */
  throttled(): number
}

/**
 * Sends what waits in the queue, a batch at a time, until it is empty or there is no room. What a batch may have lost to
 * ERROR 429, which does not tell what was discarded, is sent again as a whole.
 */
export async function sendEvents(queue: EventQueue, clock: Clock, way: EventWay): Promise<void> {
  while (queue.size > 0) {
    const throttled = way.throttled()
    const sent: Waiting[] = []
    for (const event of queue.next(BATCH, clock.wallUs())) {
      if (!way.publish(event.message)) break
      sent.push(event)
    }
    if (sent.length === 0 || !(await way.isThrough())) return
    if (way.throttled() === throttled) for (const event of sent) queue.remove(event)
    // Room that came while the answer was awaited has been told already: it is tried once more.
  }
}
