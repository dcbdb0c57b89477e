import { EncodeError } from '../../firmware-protocol/wire/errors.ts'
import type { Message, Signal, SignalDefinition, Ttl } from '../../firmware-protocol/wire/message.ts'
import { Pattern } from '../../firmware-protocol/wire/pattern.ts'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import type { Clock, Timer } from '../router/clock.ts'
import type { LocalSession, LocalSessionOptions } from '../router/local-session.ts'
import { LoopGuard } from '../routes/loop-guard.ts'
import type { Mapper, Passing } from '../routes/mapper.ts'
import { OwnWrites } from '../routes/own-writes.ts'
import type { BridgeCounters, BridgeSession, BundleItem, PublishDetails, Update, UpdateFilter } from './bridge.ts'

/** The router forgets signals that are not announced again (bridges.md §2.12). */
const ANNOUNCE_AGAIN_MS = 15 * 60_000
/** Times of the wall clock and of the monotonic one differ by less. */
const BEHIND_US = 1000
const NULL: Value = { type: 'null' }

export interface RouterSessionParts {
  openLocal(options: LocalSessionOptions): LocalSession
  readonly name: string
  readonly clock: Clock
  readonly counters: BridgeCounters
  /** Rules for values into the router, and out of it; null: none. */
  readonly mapIn: Mapper | null
  readonly mapOut: Mapper | null
  /** Values went round in circles at this address, which rests for a while. */
  onLoop(address: string): void
}

interface Subscription {
  /** At the router: its own pattern, and those of the rules, whose results may be for it. */
  readonly ids: readonly number[]
  readonly pattern: Pattern
  readonly types: readonly Signal[]
  readonly includesOwn: boolean
  readonly onUpdate: (update: Update) => void
  readonly onRefused: UpdateFilter['onRefused']
}

/** The bridge's session at the router: applies rules, counts, and keeps back what the bridge wrote itself. */
export class RouterSession implements BridgeSession {
  private readonly parts: RouterSessionParts
  private readonly session: LocalSession
  /** Replaced when it changes: whoever hears of a value may subscribe or unsubscribe. */
  private subscriptions: readonly Subscription[] = []
  private readonly own = new OwnWrites<true>()
  private readonly loops: LoopGuard
  private readonly announced = new Map<string, readonly SignalDefinition[]>()
  private announceTimer: Timer | null = null
  /** What the rules for values out of the router are for. */
  private readonly mapped: readonly Pattern[]
  private nextId = 1
  private isOpen = true

  constructor(parts: RouterSessionParts) {
    this.parts = parts
    this.mapped = (parts.mapOut?.patterns ?? []).map((text) => Pattern.parse(text) as Pattern)
    this.loops = new LoopGuard(parts.clock, (address) => parts.onLoop(address))
    this.session = parts.openLocal({
      name: parts.name,
      isForeign: true,
      onMessage: (message) => this.receive(message),
      onClose: () => {
        this.isOpen = false
      },
    })
  }

  set(address: string, value: Value, ttl?: Ttl): void {
    this.enter({ address, value, signal: 'param', ttl })
  }

  publish(address: string, signal: Exclude<Signal, 'param'>, value: Value, details: PublishDetails = {}): void {
    const { samples, rate, phase, id } = details
    if (samples !== undefined && this.parts.mapIn === null) {
      this.parts.counters.in++
      this.send({ type: 'PUBLISH', address, signal, samples, rate })
    } else if (samples !== undefined) {
      // Rules are for single values.
      for (const sample of samples) this.enter({ address, value: { type: 'f64', value: sample }, signal })
    } else {
      this.enter({ address, value, signal, phase, id })
    }
  }

  bundle(items: readonly BundleItem[], timestampUs?: number): void {
    const messages: Message[] = []
    let isSent = false
    const add = (passing: Passing) => {
      // What a rule holds back comes after the bundle, on its own.
      if (isSent) {
        this.putAfter(passing, timestampUs)
        return
      }
      const message = this.messageOf(passing)
      if (message !== undefined) messages.push(message)
    }
    for (const { address, value, signal = 'param' } of items) this.enterMapped({ address, value, signal }, add)
    isSent = true
    if (messages.length > 0) this.send({ type: 'BUNDLE', messages, timestamp: timestampUs })
  }

  announce(namespace: string, signals: readonly SignalDefinition[]): void {
    if (!this.isOpen) return
    this.announced.set(namespace, signals)
    this.send({ type: 'ANNOUNCE', namespace, signals: [...signals] })
    this.announceTimer ??= this.parts.clock.timer(ANNOUNCE_AGAIN_MS, () => {
      this.announceTimer = null
      for (const [known, again] of this.announced) this.announce(known, again)
    })
  }

  subscribe(text: string, onUpdate: (update: Update) => void, filter: UpdateFilter = {}): () => void {
    const pattern = Pattern.parse(text)
    if (!(pattern instanceof Pattern)) throw new RangeError(`${text} is no pattern: ${pattern}`)
    const { types = [], includesOwn = false, onRefused } = filter
    const wanted = [pattern, ...this.mapped]
    const subscription = { ids: wanted.map(() => this.nextId++), pattern, types, includesOwn, onUpdate, onRefused }
    this.subscriptions = [...this.subscriptions, subscription]
    for (const [at, { text: one }] of wanted.entries()) {
      // Rules may make one kind of signal of another.
      const kinds = at === 0 && this.mapped.length === 0 ? [...types] : []
      this.send({ type: 'SUBSCRIBE', id: subscription.ids[at], pattern: one, types: kinds })
    }
    return () => {
      if (!this.subscriptions.includes(subscription)) return
      this.subscriptions = this.subscriptions.filter((one) => one !== subscription)
      for (const id of subscription.ids) this.send({ type: 'UNSUBSCRIBE', id })
    }
  }

  send(message: Message): void {
    if (!this.isOpen) return
    try {
      this.session.send(message)
    } catch (error) {
      if (!(error instanceof EncodeError)) throw error
      // Too large for a frame: nothing comes of it.
      this.parts.counters.inDropped++
      if (message.type === 'SET') this.own.answered(message.address)
    }
  }

  close(): void {
    this.isOpen = false
    this.announceTimer?.cancel()
    this.loops.stop()
    this.parts.mapIn?.stop()
    this.parts.mapOut?.stop()
    this.subscriptions = []
    this.session.close()
  }

  private enter(passing: Passing): void {
    this.enterMapped(passing, this.put)
  }

  private readonly put = (passing: Passing): void => {
    const message = this.messageOf(passing)
    if (message === undefined) return
    if (message.type === 'SET') this.own.sent(message.address)
    this.send(message)
  }

  /** `timestampUs`: of the bundle that it was part of. What takes effect before that would be undone by older values. */
  private putAfter(passing: Passing, timestampUs = 0): void {
    if (timestampUs <= this.parts.clock.wallUs()) {
      this.put(passing)
      return
    }
    const message = this.messageOf(passing)
    if (message !== undefined) this.send({ type: 'BUNDLE', messages: [message], timestamp: timestampUs + BEHIND_US })
  }

  private enterMapped(passing: Passing, emit: (result: Passing) => void): void {
    this.parts.counters.in++
    if (this.parts.mapIn === null || !this.parts.mapIn.pass(passing, emit)) emit(passing)
  }

  private messageOf(passing: Passing): Message | undefined {
    const { address, value, signal, phase, id, ttl } = passing
    if (!this.isOpen) return undefined
    if (!this.loops.allows(address, true)) {
      if (signal === 'param') this.loops.hold(address, true, () => this.put(passing))
      this.parts.counters.inDropped++
      return undefined
    }
    if (signal === 'param') {
      if (this.comesBack(address)) this.own.expect(address, value, true)
      return { type: 'SET', address, value, ttl }
    }
    if (signal === 'event') {
      return { type: 'PUBLISH', address, signal, payload: value, timestamp: this.parts.clock.wallUs() }
    }
    if (signal === 'gesture') return { type: 'PUBLISH', address, signal, phase, id, payload: value }
    return { type: 'PUBLISH', address, signal, value }
  }

  private receive(message: Message): void {
    if (message.type === 'SET') {
      const isOwn = this.own.take(message.address, message.value) === true
      this.hand({ signal: 'param', address: message.address, value: message.value, isInitial: false }, isOwn)
    } else if (message.type === 'PUBLISH') {
      const { signal = 'event', address, value, payload, phase, id, samples } = message
      if (samples !== undefined && this.parts.mapOut !== null) {
        for (const sample of samples) {
          this.hand({ signal, address, value: { type: 'f64', value: sample }, isInitial: false }, false)
        }
        return
      }
      this.hand({ signal, address, value: value ?? payload ?? NULL, phase, id, samples, isInitial: false }, false)
    } else if (message.type === 'SNAPSHOT') {
      for (const { address, value, timestamp } of message.params) {
        const writtenUs = timestamp === undefined ? undefined : Number(timestamp)
        this.hand({ signal: 'param', address, value, isInitial: true, writtenUs }, false)
      }
    } else if (message.type === 'ACK' && message.address !== undefined) {
      this.own.answered(message.address)
    } else if (message.type === 'ERROR') {
      this.parts.counters.inDropped++
      const { address, code, message: text } = message
      if (address === undefined) return
      this.own.answered(address)
      for (const { pattern, onRefused } of this.subscriptions) {
        if (pattern.matches(address)) onRefused?.(address, code, text)
      }
    }
  }

  private comesBack(address: string): boolean {
    for (const { pattern } of this.subscriptions) if (pattern.matches(address)) return true
    for (const pattern of this.mapped) if (pattern.matches(address)) return true
    return false
  }

  /** Subscriptions are to addresses as the rules have made them. */
  private hand(update: Update, isOwn: boolean): void {
    const { mapOut } = this.parts
    if (mapOut === null || !mapOut.pass(update, isOwn ? this.tellOwn : this.tellOthers)) this.tell(update, isOwn)
  }

  private readonly tellOwn = (passing: Passing): void => this.tell(updateOf(passing), true)
  private readonly tellOthers = (passing: Passing): void => this.tell(updateOf(passing), false)

  private tell(update: Update, isOwn: boolean): void {
    for (const { types, pattern, includesOwn, onUpdate } of this.subscriptions) {
      if (isOwn && !includesOwn) continue
      if (types.length > 0 && !types.includes(update.signal)) continue
      if (!pattern.matches(update.address)) continue
      if (isOwn || update.isInitial || this.loops.allows(update.address, false)) {
        this.pass(update, onUpdate)
      } else {
        if (update.signal === 'param') this.loops.hold(update.address, false, () => this.pass(update, onUpdate))
        this.parts.counters.outDropped++
      }
    }
  }

  private pass(update: Update, onUpdate: Subscription['onUpdate']): void {
    this.parts.counters.out++
    onUpdate(update)
  }
}

function updateOf({ address, value, signal, phase, id, isInitial = false, writtenUs }: Passing): Update {
  return { address, value, signal, phase, id, isInitial, writtenUs }
}
