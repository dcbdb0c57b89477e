import type { ServerResponse } from 'node:http'
import type { Client } from '../../client/client.ts'
import type { Clock, Timer } from '../../router/clock.ts'
import type { BridgeCounters } from '../bridge.ts'
import { EventFeed } from './event-feed.ts'
import { type EventQuery, keyOf } from './event-query.ts'
import { EventStream } from './event-stream.ts'
import { HttpError } from './http-error.ts'
import type { HttpService } from './http-service.ts'

const KEEP_ALIVE_MS = 15_000
/** A feed that nobody hears goes on for so long, for those who come back. */
const LINGER_MS = 30_000
const RETRY_AFTER_S = '10'

export interface FeedsParts {
  readonly service: HttpService
  readonly clock: Clock
  readonly counters: BridgeCounters
  /** Also the limit for feeds. */
  readonly maxStreams: number
  openClient(): Promise<Client>
  setPeers(count: number): void
}

interface Entry {
  readonly feed: Promise<EventFeed>
  users: number
  linger: Timer | null
}

/** All event streams of the bridge, and the feeds behind them. */
export class EventFeeds {
  private readonly parts: FeedsParts
  private readonly entries = new Map<string, Entry>()
  private readonly streams = new Set<EventStream>()
  private keepAlive: Timer | null = null
  private isStopped = false

  constructor(parts: FeedsParts) {
    this.parts = parts
  }

  /** Rejects with an HttpError when there are too many; `takeOver` gives the response when all is well. */
  async open(
    query: EventQuery,
    takeOver: () => ServerResponse,
    { lastEventId, wantsSnapshot }: { lastEventId: string | undefined; wantsSnapshot: boolean },
  ): Promise<void> {
    const { clock, counters, maxStreams, setPeers } = this.parts
    const key = keyOf(query)
    if (this.countUsers() >= maxStreams) throw tooMany(maxStreams)
    const entry = this.entries.get(key) ?? this.add(key, query)
    entry.users++
    entry.linger?.cancel()
    let feed: EventFeed
    try {
      feed = await entry.feed
    } catch (error) {
      this.release(key, entry)
      throw error
    }
    if (this.isStopped) throw new HttpError('unavailable', 'the bridge is stopping')
    const response = takeOver()
    if (response.destroyed) {
      this.release(key, entry)
      return
    }
    const stream = new EventStream(response, clock, () => counters.outDropped++)
    this.streams.add(stream)
    setPeers(this.streams.size)
    this.keepAlive ??= clock.timer(KEEP_ALIVE_MS, () => this.keepAllAlive())
    response.once('close', () => {
      feed.streams.delete(stream)
      this.streams.delete(stream)
      setPeers(this.streams.size)
      this.release(key, entry)
    })
    // The router may close the feed's session meanwhile, which ends the stream as well.
    await feed.join(stream, lastEventId, wantsSnapshot).catch(() => stream.end())
  }

  async stop(): Promise<void> {
    this.isStopped = true
    this.keepAlive?.cancel()
    const closed = [...this.streams].map((stream) => {
      stream.end()
      return stream.closed
    })
    const entries = [...this.entries.values()]
    this.entries.clear()
    for (const { linger } of entries) linger?.cancel()
    await Promise.allSettled([...closed, ...entries.map(async ({ feed }) => (await feed).client.close())])
  }

  private countUsers(): number {
    let count = 0
    for (const { users } of this.entries.values()) count += users
    return count
  }

  private add(key: string, query: EventQuery): Entry {
    const idle = [...this.entries].find(([, { users }]) => users === 0)
    if (this.entries.size >= this.parts.maxStreams && idle !== undefined) this.drop(...idle)
    const entry: Entry = { feed: this.openFeed(query), users: 0, linger: null }
    this.entries.set(key, entry)
    entry.feed.then(
      (feed) =>
        feed.client.closed.then(() => {
          // Its clients come back, and get a snapshot.
          if (this.entries.get(key) === entry) this.entries.delete(key)
          for (const stream of feed.streams) stream.end()
        }),
      () => {
        if (this.entries.get(key) === entry) this.entries.delete(key)
      },
    )
    return entry
  }

  private async openFeed(query: EventQuery): Promise<EventFeed> {
    const { service, clock, counters, openClient } = this.parts
    const client = await openClient()
    try {
      return await EventFeed.open(query, {
        client,
        clock,
        isRemoved: (param) => service.isRemoved(param),
        onSent: () => counters.out++,
      })
    } catch (error) {
      await client.close()
      throw error
    }
  }

  private release(key: string, entry: Entry): void {
    entry.users--
    if (entry.users > 0 || this.entries.get(key) !== entry) return
    entry.linger = this.parts.clock.timer(LINGER_MS, () => this.drop(key, entry))
  }

  private drop(key: string, entry: Entry): void {
    entry.linger?.cancel()
    this.entries.delete(key)
    void entry.feed.then(({ client }) => client.close()).catch(() => {})
  }

  private keepAllAlive(): void {
    for (const stream of this.streams) stream.keepAlive()
    this.keepAlive = this.streams.size === 0 ? null : this.parts.clock.timer(KEEP_ALIVE_MS, () => this.keepAllAlive())
  }
}

function tooMany(limit: number): HttpError {
  const headers = { 'Retry-After': RETRY_AFTER_S }
  return new HttpError('unavailable', `there are ${limit} event streams already`, undefined, headers)
}
