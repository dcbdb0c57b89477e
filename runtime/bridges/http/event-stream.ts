import type { ServerResponse } from 'node:http'
import type { U64 } from '../../../firmware-protocol/wire/message.ts'
import type { Clock } from '../../router/clock.ts'

/** Unsent bytes from which on params wait by their last value and streams are dropped. */
const HIGH_WATER_BYTES = 262_144
const MAX_WAITING = 1024
const MAX_WAITING_BYTES = 1_048_576
/** To read what is left, for a slow client and when the bridge stops. */
const GOODBYE_MS = 5000
const STOP_MS = 500

/** One event as it is sent, the same to all who asked for the same. */
export interface FeedEvent {
  readonly seq: number
  readonly signal: 'param' | 'event' | 'stream' | 'gesture'
  readonly address: string
  /** Of a param. */
  readonly revision: U64 | undefined
  /** Whole: with id, name, data, and an empty line. */
  readonly text: string
}

/**
 * The response of one client of an event stream (HTML standard, §9.2 Server-sent events). Toward a slow client params are
 * coalesced and streams dropped; one that does not keep up with events either is told so and closed.
 */
export class EventStream {
  private readonly response: ServerResponse
  private readonly clock: Clock
  private readonly onDropped: () => void
  /** By address, or by number what must not be replaced. */
  private readonly waiting = new Map<string | number, string>()
  private waitingBytes = 0
  /** What arrives while the snapshot is on its way. */
  private held: FeedEvent[] | null = null
  private isEnded = false

  /** The headers are sent at once. */
  constructor(response: ServerResponse, clock: Clock, onDropped: () => void) {
    this.response = response
    this.clock = clock
    this.onDropped = onDropped
    response.writeHead(200, {
      'Content-Type': 'text/event-stream',
      'Cache-Control': 'no-store',
      'X-Accel-Buffering': 'no',
    })
    response.on('drain', () => this.drain())
    response.once('close', () => {
      this.isEnded = true
      this.waiting.clear()
    })
    response.write('retry: 2000\n\n')
  }

  /** Events wait until `release`. */
  hold(): void {
    this.held = []
  }

  /** Lets the events go that are newer than the snapshot, whose revisions these are by address. */
  release(revisions: ReadonlyMap<string, U64>): void {
    const held = this.held ?? []
    this.held = null
    for (const event of held) {
      const known = revisions.get(event.address)
      if (known === undefined || event.revision === undefined || event.revision > known) this.send(event)
    }
  }

  send(event: FeedEvent): void {
    if (this.isEnded) return
    if (this.held !== null) {
      if (this.held.length < MAX_WAITING) this.held.push(event)
      else this.giveUp()
      return
    }
    if (this.waiting.size === 0 && this.response.writableLength < HIGH_WATER_BYTES) {
      this.response.write(event.text)
      return
    }
    if (event.signal === 'stream') {
      this.onDropped()
      return
    }
    const key = event.signal === 'param' ? event.address : event.seq
    const replaced = this.waiting.get(key)
    if (replaced !== undefined) {
      // To the end, so that ids only rise.
      this.waiting.delete(key)
      this.waitingBytes -= replaced.length
      this.onDropped()
    }
    this.waiting.set(key, event.text)
    this.waitingBytes += event.text.length
    if (this.waiting.size > MAX_WAITING || this.waitingBytes > MAX_WAITING_BYTES) this.giveUp()
  }

  /** Text that belongs to this client alone: a piece of a snapshot. Resolves when the next one may follow. */
  async write(text: string): Promise<void> {
    if (this.isEnded || this.response.write(text)) return
    const { response } = this
    await new Promise<void>((resolve) => {
      const go = () => {
        response.off('drain', go)
        response.off('close', go)
        resolve()
      }
      response.on('drain', go)
      response.on('close', go)
    })
  }

  /** A comment, so that proxies and clients see that the connection lives. */
  keepAlive(): void {
    if (!this.isEnded && this.waiting.size === 0) this.response.write(':\n\n')
  }

  /** Resolves when the response is closed, whoever did it. */
  get closed(): Promise<void> {
    if (this.response.closed) return Promise.resolve()
    return new Promise((resolve) => this.response.once('close', () => resolve()))
  }

  /** Ends the response. Who does not read what is left is cut off, at once if it was ended before. */
  end(): void {
    if (this.isEnded) this.response.destroy()
    else this.finish('', STOP_MS)
  }

  private finish(text: string, patienceMs: number): void {
    this.isEnded = true
    this.waiting.clear()
    this.response.end(text)
    const timer = this.clock.timer(patienceMs, () => this.response.destroy())
    this.response.once('close', () => timer.cancel())
  }

  private giveUp(): void {
    this.onDropped()
    const data = { code: 'slow_consumer', message: 'events were lost: ask for less, or with max_rate' }
    this.finish(`event: error\ndata: ${JSON.stringify(data)}\n\n`, GOODBYE_MS)
  }

  private drain(): void {
    for (const [key, text] of this.waiting) {
      if (this.response.writableLength >= HIGH_WATER_BYTES) return
      this.waiting.delete(key)
      this.waitingBytes -= text.length
      this.response.write(text)
    }
  }
}
