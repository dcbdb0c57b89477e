/** Hot path: `onRecords`, `flush`. */

import { ExtendedBit, FIRST_HOST_ID, Op, TimeKind } from '../../firmware-protocol/link/constants.ts'
import type { Descriptor } from '../../firmware-protocol/link/descriptor.ts'
import { DescriptorBuilder } from '../../firmware-protocol/link/descriptor.ts'
import { isNumeric, readLinkValue } from '../../firmware-protocol/link/link-value.ts'
import { RecordReader } from '../../firmware-protocol/link/record-reader.ts'
import { addressProblem } from '../../firmware-protocol/wire/address.ts'
import { HEADER_BYTES, MAX_FRAME_BYTES, MessageCode } from '../../firmware-protocol/wire/constants.ts'
import { DecodeError, EncodeError } from '../../firmware-protocol/wire/errors.ts'
import { decodeFrame, encodeFrame, frameLength } from '../../firmware-protocol/wire/frame.ts'
import type { Message, Publish, Signal } from '../../firmware-protocol/wire/message.ts'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import { announcements } from '../router/announcements.ts'
import type { Clock } from '../router/clock.ts'
import {
  bareFraming,
  type CloseCode,
  type Link,
  type LinkAcceptor,
  type LinkHandler,
  type LinkLimits,
} from '../router/link.ts'
import { OutputBuffer } from '../router/output.ts'
import { Alias, signalDefinition } from './alias.ts'
import { DeviceOutbox } from './device-outbox.ts'
import { DevicePatterns } from './device-patterns.ts'
import { configureRecord, declareRecord, eventRecord, publishOf, resultRecord, setOf } from './device-records.ts'

export interface DeviceSessionOptions {
  /** Its address prefix, which ends with a slash. */
  prefix: string
  name: string
  transport: string
  /** For logs and statistics: port and uid. */
  remote: string
  token?: string
  acceptor: LinkAcceptor
  clock: Clock
  /** Records a second beyond which what may be lost is dropped. */
  maxRecordsPerSecond: number
  /** There is something to send. */
  onPending(): void
  /** The router ended the session. */
  onClosed(reason: string): void
}

/** Counters only grow. */
export interface DeviceCounters {
  /** Values and events that the device sent. */
  records: number
  /** Records with ids that were never declared, or that it may not publish. */
  unknownIds: number
  /** Frames of which a part was no record. */
  malformedRecords: number
  /** Dropped because the device floods. */
  flooded: number
  /** The router refused what the device sent. */
  refused: number
}

/** What the device may put on the wire as it is. */
const TUNNELLED: readonly number[] = [MessageCode.set, MessageCode.publish, MessageCode.bundle, MessageCode.get]
const FIRST_PATTERN_ID = 100_000
const SPARE_BYTES = 512
const LARGEST_SPARE_BYTES = 4096

/**
 * One device as a client of the router: its records become CLASP frames, and what the router sends to it becomes
 * records. It outlives the link: a device that sleeps, or whose cable is replugged, finds its session again.
 * Mapping: firmware-protocol/README.md, "What becomes of it at the router".
 */
export class DeviceSession implements Link {
  readonly transport: string
  readonly remote: string
  readonly framing = bareFraming
  readonly limits: LinkLimits = { maxFrameBytes: MAX_FRAME_BYTES, idleTimeoutMs: 0, isReliable: true }
  readonly output = new OutputBuffer(SPARE_BYTES)
  private spare: Uint8Array | null = null
  readonly backlogBytes = 0
  readonly counters: DeviceCounters = { records: 0, unknownIds: 0, malformedRecords: 0, flooded: 0, refused: 0 }
  readonly outbox = new DeviceOutbox()
  readonly prefix: string
  descriptor: Descriptor | null = null
  private readonly options: DeviceSessionOptions
  private handler: LinkHandler | null = null
  private readonly reader = new RecordReader()
  private readonly inner = new RecordReader()
  private builder = new DescriptorBuilder()
  private readonly byId: (Alias | undefined)[] = []
  private readonly byAddress = new Map<string, Alias>()
  /** Signals that the device only publishes and has asked for. */
  private readonly asked = new Set<string>()
  private readonly patterns = new DevicePatterns()
  /** The write that is being made, where the device is to hear of its outcome. */
  private asking: { alias: Alias; isOffer: boolean; isAnswerWanted: boolean } | null = null
  private isReading = false
  private isClosed = false
  /** What comes before is the router's whole state, which it sends to every new session. */
  private isGreeted = false
  private second = 0
  private recordsThisSecond = 0
  /** Told once the descriptor is complete; the reason when it is not right. */
  onDescribed: (descriptor: Descriptor | string) => void = () => {}

  constructor(options: DeviceSessionOptions) {
    this.options = options
    this.transport = options.transport
    this.remote = options.remote
    this.prefix = options.prefix
  }

  get isOpen(): boolean {
    return this.handler !== null
  }

  open(): void {
    const handler = this.options.acceptor.attach(this)
    // The router has as many sessions as it takes.
    if (this.isClosed) return
    this.handler = handler
    const { name, token } = this.options
    const features = ['param', 'event', 'stream', 'gesture', 'timeline'] as const
    this.say({ type: 'HELLO', version: 1, features: [...features], name, token })
    this.say({ type: 'PING' })
  }

  /** The link starts over: what was half told is void, and the device has lost what it had. */
  relink(): void {
    this.builder = new DescriptorBuilder()
    this.outbox.clear()
    for (const slot of this.patterns.slots) this.unsubscribe(slot)
    this.forgetMatches()
    for (const alias of this.byAddress.values()) alias.known = NOTHING
  }

  /**
   * The device's signals are known: its addresses are taken up, announced, and subscribed to. Returns what is wrong with
   * those that cannot be taken.
   */
  describe(descriptor: Descriptor): string[] {
    if (this.descriptor !== null && this.descriptor.hash !== descriptor.hash) this.forgetSignals()
    const problems: string[] = []
    this.descriptor = descriptor
    for (const declaration of descriptor.signals) {
      const { id } = declaration
      if (this.byId[id] !== undefined) continue
      const alias = new Alias(declaration, this.prefix)
      const problem = id >= FIRST_HOST_ID ? `a device has ids below ${FIRST_HOST_ID}` : addressProblem(alias.address)
      if (problem !== undefined) {
        problems.push(`signal ${id}: ${problem}`)
        continue
      }
      this.byId[id] = alias
      this.byAddress.set(alias.address, alias)
    }
    this.announceSignals()
    for (const alias of this.byAddress.values()) if (alias.declaration.isWritable) this.subscribeTo(alias)
    const pattern = `${this.prefix}$config/**`
    this.say({ type: 'SUBSCRIBE', id: FIRST_PATTERN_ID - 1, pattern, types: ['param'] })
    return problems
  }

  /** Announced signals expire: this is to be said again now and then. */
  announceSignals(): void {
    if (this.descriptor === null) return
    const aliases = this.descriptor.signals.flatMap(({ id }) => this.byId[id] ?? [])
    for (const message of announcements(this.prefix.slice(0, -1), aliases.map(signalDefinition))) this.say(message)
  }

  /** Asks the device to sample a signal so often (ms), and to report such changes only. */
  private configure(alias: Alias, interval: number, deadband: number): void {
    this.outbox.add(configureRecord(alias.id, interval, deadband))
  }

  /** Sends a message as this device. One that has no encoding is dropped: it came from the device's own text. */
  say(message: Message): void {
    let frame: Uint8Array
    try {
      frame = encodeFrame(message)
    } catch (error) {
      if (!(error instanceof EncodeError)) throw error
      this.counters.malformedRecords++
      return
    }
    this.handler?.onFrame(frame, 0, frame.length)
  }

  /** Records of one frame from the device. */
  onRecords(bytes: Uint8Array, start: number, end: number, isReliable: boolean): void {
    const { reader, handler, counters } = this
    if (handler === null) return
    reader.open(bytes, start, end)
    let timestamp: number | undefined
    while (reader.next()) {
      const { op, id, type } = reader
      if (op === Op.value) {
        const alias = this.byId[id]
        if (alias === undefined || !alias.declaration.publishes) {
          counters.unknownIds++
          continue
        }
        if (!isReliable && this.isFlooding()) continue
        counters.records++
        if (alias.declaration.isWritable) this.outbox.heard(alias, type, bytes, reader.valueAt, reader.valueEnd)
        const frame = alias.setFrame(bytes, reader.valueAt, type)
        if (frame !== null) handler.onFrame(frame, 0, alias.frameLength)
        else this.say({ type: 'SET', address: alias.address, value: readLinkValue(bytes, reader.valueAt, type) })
      } else if (op === Op.stream && timestamp === undefined) {
        const alias = this.byId[id]
        if (alias === undefined || !alias.declaration.publishes) {
          counters.unknownIds++
          continue
        }
        if (!isReliable && this.isFlooding()) continue
        counters.records++
        const frame = alias.streamFrame(bytes, reader.valueAt, type)
        if (frame !== null) handler.onFrame(frame, 0, alias.frameLength)
        else this.say(publishOf(reader, alias.address, 'stream'))
      } else if (op === Op.time) {
        const time = reader.valueEnd - reader.valueAt === 8 ? Number(u64(bytes, reader.valueAt)) : undefined
        if (type === TimeKind.at) timestamp = time
        else if (type === TimeKind.bundle || type === TimeKind.bundleAt) {
          this.bundle(bytes, reader.at, end, time)
          return
        }
      } else if (!this.onOther(reader, isReliable, timestamp)) {
        counters.malformedRecords++
        return
      }
    }
    if (reader.at < end) counters.malformedRecords++
  }

  /** What the router has written for this device. */
  flush(): void {
    const { output } = this
    const { bytes, length } = output
    if (length === 0) return
    // The router may write again from within: two buffers change places.
    output.bytes = this.spare ?? new Uint8Array(SPARE_BYTES)
    output.length = 0
    this.spare = null
    let at = 0
    while (at < length) {
      const end = at + frameLength(bytes, at, length)
      const code = bytes[at + HEADER_BYTES]
      if (!this.isGreeted) this.isGreeted = code === MessageCode.pong
      // ACKs come for everything the device sends, and hardly any device wants them.
      else if (code !== MessageCode.ack || this.asking !== null) {
        const frame = decodeFrame(bytes, at, end)
        if (!(frame instanceof DecodeError)) this.onMessage(frame.message)
      }
      at = end
    }
    // A large one, of a snapshot, is not kept.
    if (bytes.length <= LARGEST_SPARE_BYTES) this.spare = bytes
    if (!this.outbox.isEmpty) this.options.onPending()
  }

  /** The router closes the session: limits, or it stops. */
  close(_code: CloseCode, reason: string): void {
    this.end(reason)
    this.options.onClosed(reason)
  }

  /** The device is gone for good: its session ends. */
  end(reason: string): void {
    const { handler } = this
    this.isClosed = true
    this.handler = null
    handler?.onClose(reason)
  }

  private isFlooding(count = 1): boolean {
    const second = Math.floor(this.options.clock.now() / 1000)
    if (second !== this.second) {
      this.second = second
      this.recordsThisSecond = 0
    }
    this.recordsThisSecond += count
    if (this.recordsThisSecond <= this.options.maxRecordsPerSecond) return false
    this.counters.flooded++
    return true
  }

  private forgetSignals(): void {
    this.forgetMatches()
    for (const { id, declaration } of this.byAddress.values())
      if (declaration.isWritable) this.say({ type: 'UNSUBSCRIBE', id: id + 1 })
    this.byId.length = 0
    this.byAddress.clear()
    this.outbox.clear()
  }

  private forgetMatches(): void {
    for (const { address } of this.patterns.forgetMatches()) this.byAddress.delete(address)
  }

  private subscribeTo({ id, address, declaration }: Alias): void {
    const { kind, maxRate, epsilon } = declaration
    const options = maxRate || epsilon ? { maxRate: maxRate || undefined, epsilon: epsilon || undefined } : undefined
    this.say({ type: 'SUBSCRIBE', id: id + 1, pattern: address, types: [kind], options })
  }

  /** False: the rest of the frame cannot be read. */
  private onOther(reader: RecordReader, isReliable: boolean, timestamp: number | undefined): boolean {
    const { bytes, op, id, type } = reader
    switch (op) {
      case Op.nothing:
      case Op.result:
      case Op.configure:
        return true
      case Op.declare:
      case Op.info: {
        if (!isReliable) return false
        const problem = this.builder.add(reader)
        if (problem !== null) this.onDescribed(problem)
        return problem === null
      }
      case Op.declared: {
        if (!isReliable) return false
        const descriptor = this.builder.finish(u32(bytes, reader.valueAt))
        this.builder = new DescriptorBuilder()
        this.onDescribed(descriptor)
        return true
      }
      case Op.subscribe:
        this.onPattern(reader)
        return true
      case Op.clasp:
        this.tunnel(reader)
        return true
    }
    const alias = this.byId[id]
    if (op === Op.get) {
      if (alias === undefined) this.counters.unknownIds++
      else {
        this.asked.add(alias.address)
        this.say({ type: 'GET', address: alias.address })
      }
      return true
    }
    if (alias === undefined || !alias.declaration.publishes) {
      this.counters.unknownIds++
      if (op === Op.extended && (reader.flags & ExtendedBit.answer) !== 0) this.answer(id, 404)
      return true
    }
    if (!isReliable && this.isFlooding(op === Op.block ? reader.count : 1)) return true
    this.counters.records++
    if (op === Op.extended) this.onExtended(reader, alias)
    else if (op === Op.block && !isNumeric(type)) this.counters.malformedRecords++
    else {
      const kind = op === Op.event ? 'event' : op === Op.gesture ? 'gesture' : 'stream'
      this.say({ ...publishOf(reader, alias.address, kind), ...(timestamp !== undefined && { timestamp }) })
    }
    return true
  }

  private onExtended(reader: RecordReader, alias: Alias): void {
    const { bytes, type, valueAt, flags } = reader
    const isOffer = (flags & ExtendedBit.initial) !== 0
    // The router's value is on its way already, and wins.
    if (isOffer && alias.isPending) return
    if (alias.declaration.isWritable) this.outbox.heard(alias, type, bytes, valueAt, reader.valueEnd)
    const isAnswerWanted = (flags & ExtendedBit.answer) !== 0
    // The answers to what was written before are not meant.
    this.flush()
    if (isOffer || isAnswerWanted) this.asking = { alias, isOffer, isAnswerWanted }
    this.say(setOf(reader, alias.address))
    this.flush()
    this.asking = null
  }

  /** The rest of the frame is one bundle. */
  private bundle(bytes: Uint8Array, start: number, end: number, timestamp: number | undefined): void {
    const { inner, counters } = this
    const messages: Message[] = []
    inner.open(bytes, start, end)
    while (inner.next()) {
      const alias = this.byId[inner.id]
      if (inner.op > Op.gesture || alias === undefined || !alias.declaration.publishes) {
        counters.unknownIds++
        continue
      }
      if (inner.op === Op.block && !isNumeric(inner.type)) {
        counters.malformedRecords++
        continue
      }
      counters.records++
      if (inner.op <= Op.extended) {
        if (alias.declaration.isWritable) this.outbox.heard(alias, inner.type, bytes, inner.valueAt, inner.valueEnd)
        messages.push({ type: 'SET', address: alias.address, value: readLinkValue(bytes, inner.valueAt, inner.type) })
      } else {
        const kind = inner.op === Op.event ? 'event' : inner.op === Op.gesture ? 'gesture' : 'stream'
        messages.push(publishOf(inner, alias.address, kind))
      }
    }
    if (inner.at < end) counters.malformedRecords++
    else if (messages.length > 0) this.say({ type: 'BUNDLE', messages, ...(timestamp !== undefined && { timestamp }) })
  }

  /** SUB and UNSUB: values of addresses that are not the device's own. */
  private onPattern(reader: RecordReader): void {
    const { bytes, code, type, valueAt, interval } = reader
    if (this.patterns.has(code)) this.unsubscribe(code)
    if (type !== 0) return
    const text = new TextDecoder().decode(bytes.subarray(valueAt, reader.valueEnd))
    if (!this.patterns.set(code, text)) {
      this.counters.refused++
      return
    }
    // A device that has just (re)started knows no ids: they are told again with the values.
    this.forgetMatches()
    const options = interval > 0 ? { maxRate: interval } : undefined
    const id = FIRST_PATTERN_ID + code
    this.say({ type: 'SUBSCRIBE', id, pattern: text, types: ['param', 'event', 'stream'], options })
  }

  private unsubscribe(slot: number): void {
    this.patterns.delete(slot)
    this.say({ type: 'UNSUBSCRIBE', id: FIRST_PATTERN_ID + slot })
  }

  private tunnel(reader: RecordReader): void {
    const { bytes, valueAt, valueEnd } = reader
    const length = valueEnd - valueAt
    if (length === 0 || !TUNNELLED.includes(bytes[valueAt])) {
      this.counters.refused++
      return
    }
    const frame = new Uint8Array(HEADER_BYTES + length)
    frame.set([0x53, 1, length >>> 8, length])
    frame.set(bytes.subarray(valueAt, valueEnd), HEADER_BYTES)
    this.counters.records++
    this.handler?.onFrame(frame, 0, frame.length)
  }

  private answer(id: number, code: number): void {
    this.outbox.add(resultRecord(id, code))
  }

  private onMessage(message: Message): void {
    switch (message.type) {
      case 'SET':
        this.deliver(message.address, message.value, 'param', false)
        return
      case 'SNAPSHOT':
        for (const { address, value } of message.params) this.deliver(address, value, 'param', true)
        return
      case 'PUBLISH':
        this.onPublish(message)
        return
      case 'BUNDLE':
        for (const part of message.messages) this.onMessage(part)
        return
      case 'ACK':
        if (this.asking?.isAnswerWanted && message.address === this.asking.alias.address)
          this.answer(this.asking.alias.id, 0)
        return
      case 'ERROR':
        if (message.address !== undefined) this.onRefusal(message.address, message.code)
        else if (this.asking?.isAnswerWanted) this.answer(this.asking.alias.id, message.code)
    }
  }

  private deliver(address: string, value: Value, kind: Signal, isInitial: boolean): void {
    let alias = this.byAddress.get(address)
    if (alias === undefined && address.startsWith(`${this.prefix}$config/`)) {
      this.onSampling(address, value)
      return
    }
    if (alias === undefined) {
      alias = this.matched(address, value, kind)
    } else if (alias.id < FIRST_HOST_ID && !alias.declaration.isWritable && !this.asked.delete(address)) return
    if (alias !== undefined) this.outbox.set(alias, value, isInitial)
  }

  /** An address that a pattern has matched gets an id, which the device is told first. */
  private matched(address: string, value: Value, kind: Signal): Alias | undefined {
    // It may also be the answer to a GET that the device has sent as it is.
    if (!this.patterns.matchesAny(address)) return undefined
    const alias = this.patterns.match(address, value, kind)
    if (alias === null) {
      this.outbox.counters.inconvertible++
      return undefined
    }
    this.byAddress.set(address, alias)
    const { id, declaration } = alias
    this.outbox.add(declareRecord(id, declaration.type, kind, new TextEncoder().encode(address)))
    return alias
  }

  /** `<prefix>$config/<signal>` = { interval: ms, deadband: units }. */
  private onSampling(address: string, value: Value): void {
    const signal = this.prefix + address.slice(this.prefix.length + '$config/'.length)
    if (value.type !== 'map') return
    const number = (key: string) => {
      const entry = value.value.find(([name]) => name === key)?.[1]
      return entry !== undefined && 'value' in entry && typeof entry.value === 'number' ? entry.value : 0
    }
    const alias = this.byAddress.get(signal) ?? this.byAddress.get(`/${signal.slice(this.prefix.length)}`)
    if (alias !== undefined && alias.id < FIRST_HOST_ID) this.configure(alias, number('interval'), number('deadband'))
  }

  private onPublish(message: Publish): void {
    const value = message.value ?? message.payload
    const kind = message.signal ?? 'event'
    if (kind === 'stream') {
      const last = message.samples?.at(-1)
      const sample: Value | undefined = last === undefined ? value : { type: 'f32', value: last }
      if (sample !== undefined) this.deliver(message.address, sample, 'stream', false)
      return
    }
    let alias = this.byAddress.get(message.address)
    alias ??= this.matched(message.address, value ?? { type: 'null' }, kind)
    if (alias === undefined || (alias.id < FIRST_HOST_ID && !alias.declaration.isWritable)) return
    // A string for a number is dropped, the event itself is not.
    const { record, isConverted } = eventRecord(alias.id, alias.declaration.type, message, value)
    if (!isConverted) this.outbox.counters.inconvertible++
    this.outbox.add(record)
  }

  private onRefusal(address: string, code: number): void {
    if (this.isReading) return
    const asking = this.asking?.alias.address === address ? this.asking : null
    // That the router has a value already is what an offer asks for.
    if (!asking?.isOffer) this.counters.refused++
    const alias = asking?.alias ?? this.byAddress.get(address)
    if (alias === undefined || alias.id >= FIRST_HOST_ID) return
    if (!asking?.isOffer || asking.isAnswerWanted) this.answer(alias.id, code)
    if (!alias.declaration.isWritable) return
    // What the router holds instead.
    alias.known = NOTHING
    this.isReading = true
    this.say({ type: 'GET', address })
    this.flush()
    this.isReading = false
  }
}

const NOTHING = new Uint8Array(0)

function u32(bytes: Uint8Array, at: number): number {
  return ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0
}

function u64(bytes: Uint8Array, at: number): number {
  return u32(bytes, at) * 2 ** 32 + u32(bytes, at + 4)
}
