import type { Socket } from 'socket.io'
import type { Client } from '../../client/client.ts'
import type { Delivery } from '../../client/subscription.ts'
import { OwnWrites } from '../../routes/own-writes.ts'
import type { BridgeCounters, Update } from '../bridge.ts'
import { NULL } from '../json-value.ts'
import { LastValues } from '../last-values.ts'
import type { MirrorGuard } from '../mirror-guard.ts'
import { OutboundQueue } from '../outbound-queue.ts'
import { type Scopes, scopeRefusal } from '../scopes.ts'
import { argumentOf, type EventMapping, mirrorKey, valueOfArguments } from './event-mapping.ts'

const MAX_SUBSCRIPTIONS = 256
/** Packets that wait in the library; more wait here, by their last values. */
const HIGH_WATER_PACKETS = 64
/** All that the router keeps usually, for a client that gets it at the beginning. */
const MAX_WAITING = 16_384

export interface PeerParts {
  readonly socket: Socket
  readonly client: Client
  readonly mapping: EventMapping
  readonly scopes: Scopes
  readonly counters: BridgeCounters
  readonly mirrors: MirrorGuard
  onLoop(address: string): void
}

type Acknowledge = (answer: Readonly<Record<string, unknown>>) => void

/**
 * One client of the server, with a session of its own at the router. Plain events are values below the namespace; events
 * `clasp:…` are requests with acknowledgements:
 *
 * | event | arguments | answer |
 * |---|---|---|
 * | clasp:set | address, value | revision |
 * | clasp:emit | address, value | – |
 * | clasp:get | address | value, revision |
 * | clasp:subscribe, clasp:unsubscribe | pattern | – ; then `clasp:value` {address, value, signal, revision} |
 * | clasp:snapshot | pattern | state |
 *
 * Each answer has `ok`; `error` where that is false. To subscribe is to join the room of that pattern: from the first one
 * on it gets nothing else.
 */
export class SocketIoPeer {
  private readonly socket: Socket
  private readonly client: Client
  private readonly mapping: EventMapping
  private readonly counters: BridgeCounters
  private readonly parts: PeerParts
  private readonly own = new OwnWrites<true>()
  /** Of one that is told everything. */
  private readonly last = new LastValues()
  private readonly rooms = new Map<string, { unsubscribe(): void }>()
  private readonly queue: OutboundQueue
  private everything: { unsubscribe(): void } | null = null
  private isChoosy = false

  constructor(parts: PeerParts) {
    this.parts = parts
    this.socket = parts.socket
    this.client = parts.client
    this.mapping = parts.mapping
    this.counters = parts.counters
    this.queue = new OutboundQueue(() => this.counters.outDropped++, MAX_WAITING)
  }

  async begin(): Promise<void> {
    const { conn, connected } = this.socket
    if (!connected) return
    const drain = () => this.drain()
    conn.on('drain', drain)
    // The connection may go on without this namespace.
    this.socket.once('disconnect', () => conn.off('drain', drain))
    const subscription = await this.client.subscribe([`${this.mapping.base}/**`], (delivery) => {
      if (!this.isChoosy && this.parts.scopes.canRead(delivery.address)) this.deliver(delivery)
    })
    if (this.isChoosy) subscription.unsubscribe()
    else this.everything = subscription
  }

  /** Whether there is as much for it already as it reads at a time. */
  private get isSlow(): boolean {
    return this.waitingPackets >= HIGH_WATER_PACKETS
  }

  /** Resolves when an answer would not have to wait, or nothing is sent any more. */
  async room(): Promise<void> {
    const { conn } = this.socket
    if (!this.isSlow || !this.socket.connected) return
    await new Promise<void>((resolve) => {
      const go = () => {
        conn.off('drain', go)
        conn.off('close', go)
        resolve()
      }
      conn.on('drain', go)
      conn.on('close', go)
    })
  }

  /** An event of the client; its last argument may be a function that takes the answer. */
  async receive(event: string, args: readonly unknown[]): Promise<void> {
    this.counters.in++
    const last = args.at(-1)
    const answer: Acknowledge = typeof last === 'function' ? (last as Acknowledge) : () => {}
    const given = typeof last === 'function' ? args.slice(0, -1) : args
    try {
      const result = event.startsWith('clasp:')
        ? await this.request(event.slice(6), given)
        : await this.take(event, given)
      answer({ ok: true, ...result })
    } catch (error) {
      this.counters.inDropped++
      answer({ ok: false, error: (error as Error).message })
    }
  }

  private async take(event: string, args: readonly unknown[]): Promise<Record<string, unknown>> {
    const address = this.mapping.addressOf(event)
    const value = valueOfArguments(args)
    if (address === undefined || value === undefined) throw new Error(`the event ${event.slice(0, 50)} does not fit`)
    this.checkWrite(address)
    if (this.mapping.signalOf(event) === 'param') {
      const { mirrors, onLoop } = this.parts
      if (!mirrors.allows('server', mirrorKey(event), value, () => onLoop(address)))
        throw new Error(`values go round in circles at ${address}: it rests for 5 s`)
      return this.set(address, value)
    }
    await this.client.publish({ address, signal: 'event', payload: value })
    return {}
  }

  private async request(name: string, [place, given]: readonly unknown[]): Promise<Record<string, unknown>> {
    if (typeof place !== 'string') throw new Error(`clasp:${name} needs an address or a pattern first`)
    const value = valueOfArguments(given === undefined ? [] : [given]) ?? NULL
    switch (name) {
      case 'set':
        this.checkWrite(place)
        return this.set(place, value)
      case 'emit':
        this.checkWrite(place)
        await this.client.publish({ address: place, signal: 'event', payload: value })
        return {}
      case 'get': {
        if (!this.parts.scopes.canRead(place)) throw new Error(scopeRefusal('read', place))
        const param = await this.client.get(place)
        if (param === undefined) throw new Error(`there is nothing at ${place}`)
        return { value: argumentOf(param.value), revision: Number(param.revision ?? 0) }
      }
      case 'subscribe':
        if (!this.parts.scopes.canReadAll(place)) throw new Error(scopeRefusal('read', place))
        await this.join(place)
        return {}
      case 'unsubscribe':
        this.rooms.get(place)?.unsubscribe()
        this.rooms.delete(place)
        return {}
      case 'snapshot': {
        const found = await this.client.snapshot(place)
        const params = found.filter(({ address }) => this.parts.scopes.canRead(address))
        return { state: Object.fromEntries(params.map(({ address, value: kept }) => [address, argumentOf(kept)])) }
      }
      default:
        throw new Error(`there is no clasp:${name}: there are set, emit, get, subscribe, unsubscribe and snapshot`)
    }
  }

  private checkWrite(address: string): void {
    if (!this.parts.scopes.canWrite(address)) throw new Error(scopeRefusal('write', address))
  }

  private async set(address: string, value: Parameters<Client['set']>[1]): Promise<Record<string, unknown>> {
    this.own.expect(address, value, true)
    try {
      const { revision } = await this.client.set(address, value)
      return { revision: Number(revision ?? 0) }
    } finally {
      this.own.answered(address)
    }
  }

  private async join(pattern: string): Promise<void> {
    if (this.rooms.has(pattern)) return
    if (this.rooms.size >= MAX_SUBSCRIPTIONS) throw new Error(`there are ${MAX_SUBSCRIPTIONS} subscriptions already`)
    this.isChoosy = true
    this.everything?.unsubscribe()
    this.everything = null
    const placeholder = { unsubscribe() {} }
    this.rooms.set(pattern, placeholder)
    try {
      const subscription = await this.client.subscribe([pattern], (delivery) => this.deliver(delivery))
      if (this.rooms.get(pattern) === placeholder) this.rooms.set(pattern, subscription)
      else subscription.unsubscribe()
    } catch (error) {
      this.rooms.delete(pattern)
      throw error
    }
  }

  private deliver(delivery: Delivery): void {
    if (this.isOwn(delivery) || !(this.isChoosy || this.isNews(delivery))) return
    const { signal, address, value = NULL, isInitial, phase, id } = delivery
    this.queue.push({ signal, address, value, isInitial, phase, id })
    this.drain()
  }

  private isOwn({ signal, address, value = NULL, isInitial }: Delivery): boolean {
    if (signal !== 'param' || isInitial || this.own.take(address, value) !== true) return false
    if (!this.isChoosy) this.last.note(address, value)
    return true
  }

  /** One that it knows is not said again, or it would go round between nodes that are clients of each other. */
  private isNews({ signal, address, value = NULL, isInitial }: Delivery): boolean {
    if (signal !== 'param') return true
    if (!this.last.isNews(address, value)) return false
    if (!isInitial) this.parts.mirrors.told('server', mirrorKey(this.mapping.eventOf(address)), value)
    return true
  }

  private get waitingPackets(): number {
    return (this.socket as unknown as { conn: { writeBuffer: readonly unknown[] } }).conn.writeBuffer.length
  }

  private drain(): void {
    while (this.queue.size > 0 && !this.isSlow) this.write(this.queue.shift() as Update)
  }

  private write({ signal, address, value, phase }: Update): void {
    this.counters.out++
    if (this.isChoosy) {
      this.socket.emit('clasp:value', { address, value: argumentOf(value), signal, phase })
      return
    }
    const event = this.mapping.eventOf(address)
    if (event === undefined) this.counters.outDropped++
    else this.socket.emit(event, argumentOf(value))
  }
}
