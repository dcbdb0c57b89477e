import { randomBytes } from 'node:crypto'
import type { SnapshotParam, U64 } from '../../../firmware-protocol/wire/message.ts'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import type { Client } from '../../client/client.ts'
import type { Delivery } from '../../client/subscription.ts'
import type { Clock } from '../../router/clock.ts'
import { NULL } from '../json-value.ts'
import type { EventQuery, FeedSignal } from './event-query.ts'
import type { EventStream, FeedEvent } from './event-stream.ts'
import { jsonObject } from './value-form.ts'

const RING_EVENTS = 1024
const RING_BYTES = 1_048_576
const SNAPSHOT_PARAMS = 500

export interface FeedParts {
  readonly client: Client
  readonly clock: Clock
  isRemoved(param: Pick<SnapshotParam, 'address' | 'value' | 'revision'>): boolean
  onSent(): void
}

/**
 * The events of one query, for all who ask the same: one subscription, each event written once, and the last 1024 of them
 * (or 1 MiB) for those who come back. Event ids are `<feed>-<number>`, which tell whether this feed can resume there.
 */
export class EventFeed {
  readonly streams = new Set<EventStream>()
  private readonly id = randomBytes(4).toString('hex')
  private readonly query: EventQuery
  private readonly parts: FeedParts
  /** Numbers without a gap; the last one has `seq`. */
  private readonly ring: FeedEvent[] = []
  private ringBytes = 0
  private seq = 0

  private constructor(query: EventQuery, parts: FeedParts) {
    this.query = query
    this.parts = parts
  }

  /** Rejects when the router refuses the subscription. */
  static async open(query: EventQuery, parts: FeedParts): Promise<EventFeed> {
    const feed = new EventFeed(query, parts)
    const { patterns, types, maxRate } = query
    const options = maxRate === undefined ? undefined : { maxRate }
    await parts.client.subscribe(patterns, (delivery) => feed.receive(delivery), { types: [...types], options })
    return feed
  }

  get client(): Client {
    return this.parts.client
  }

  /** From now on the stream hears of everything: from where it was, or after a snapshot, or as it comes. */
  async join(stream: EventStream, lastEventId: string | undefined, wantsSnapshot: boolean): Promise<void> {
    const missed = this.since(lastEventId)
    if (missed !== undefined) {
      for (const event of missed) stream.send(event)
      this.streams.add(stream)
      return
    }
    this.streams.add(stream)
    const hasMissed = lastEventId !== undefined && lastEventId !== ''
    if ((!wantsSnapshot && !hasMissed) || !this.query.types.includes('param')) return
    stream.hold()
    stream.release(await this.writeSnapshot(stream, this.seq))
  }

  private receive({ address, signal, value = NULL, revision, samples, phase, id, isInitial }: Delivery): void {
    if (isInitial || signal === 'timeline') return
    this.parts.onSent()
    const shown: Value =
      samples === undefined
        ? value
        : { type: 'array', value: samples.map((sample) => ({ type: 'f64', value: sample }) as const) }
    this.add(signal, address, shown, revision, {
      phase: phase && JSON.stringify(phase),
      gesture: id === undefined ? undefined : String(id),
    })
  }

  private add(
    signal: FeedSignal,
    address: string,
    value: Value,
    revision: U64 | undefined,
    more: Readonly<Record<string, string | undefined>>,
  ): void {
    const seq = ++this.seq
    const event = { seq, signal, address, revision, text: this.textOf(seq, signal, address, value, revision, more) }
    this.ring.push(event)
    this.ringBytes += event.text.length
    while (this.ring.length > RING_EVENTS || this.ringBytes > RING_BYTES) {
      this.ringBytes -= (this.ring.shift() as FeedEvent).text.length
    }
    for (const stream of this.streams) stream.send(event)
  }

  private textOf(
    seq: number,
    signal: FeedSignal,
    address: string,
    value: Value,
    revision: U64 | undefined,
    more: Readonly<Record<string, string | undefined>>,
  ): string {
    const { form, isPlain } = this.query
    const plain = { address: JSON.stringify(address), value: form.value(value) }
    if (isPlain) return `id: ${this.id}-${seq}\ndata: ${jsonObject(plain)}\n\n`
    const isRemoved = signal === 'param' && this.parts.isRemoved({ address, value, revision: revision ?? 0 })
    const name = signal !== 'param' ? signal : isRemoved ? 'removed' : 'value'
    const data = jsonObject({
      ...plain,
      revision: revision === undefined ? undefined : String(revision),
      ...more,
      t: form.time(this.parts.clock.wallUs()),
    })
    return `id: ${this.id}-${seq}\nevent: ${name}\ndata: ${data}\n\n`
  }

  /** What came after the event with this id; undefined: that cannot be told. */
  private since(lastEventId: string | undefined): readonly FeedEvent[] | undefined {
    const [, id, digits] = /^([0-9a-f]{8})-(\d{1,15})$/.exec(lastEventId ?? '') ?? []
    if (id !== this.id) return undefined
    const missing = this.seq - Number(digits)
    if (missing < 0 || missing > this.ring.length) return undefined
    return this.ring.slice(this.ring.length - missing)
  }

  /** `seq`: of the last event before it. Returns the revisions that it told. */
  private async writeSnapshot(stream: EventStream, seq: number): Promise<Map<string, U64>> {
    const { patterns, form, isPlain } = this.query
    // The router hands over snapshots in its own time; events of that time are held back, so nothing lies between.
    const params = new Map<string, SnapshotParam>()
    for (const pattern of patterns) {
      for (const param of await this.parts.client.snapshot(pattern)) {
        if (!this.parts.isRemoved(param)) params.set(param.address, param)
      }
    }
    const all = [...params.values()]
    for (let at = 0; at === 0 || at < all.length; at += SNAPSHOT_PARAMS) {
      const some = all.slice(at, at + SNAPSHOT_PARAMS)
      const isFinal = at + SNAPSHOT_PARAMS >= all.length
      // Only behind the whole of it may a client that comes back go on.
      const id = isFinal ? `id: ${this.id}-${seq}\n` : ''
      if (isPlain) {
        const texts = some.map(({ address, value }) =>
          jsonObject({ address: JSON.stringify(address), value: form.value(value) }),
        )
        const events = texts.map((text, i) => `${i === texts.length - 1 ? id : ''}data: ${text}\n\n`)
        await stream.write(events.join(''))
        continue
      }
      const members = some.map(({ address, value }) => `${JSON.stringify(address)}:${form.value(value)}`)
      await stream.write(`${id}event: snapshot\ndata: {"state":{${members.join(',')}},"final":${isFinal}}\n\n`)
    }
    return new Map(all.map(({ address, revision }) => [address, revision]))
  }
}
