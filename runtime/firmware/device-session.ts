/** Hot path: `onRecords`, `flush`. */

import { ExtendedBit, FIRST_HOST_ID, LAST_ID, Op, TimeKind } from '../../firmware-protocol/link/constants.ts'
import type { Declaration, Descriptor } from '../../firmware-protocol/link/descriptor.ts'
import { DescriptorBuilder } from '../../firmware-protocol/link/descriptor.ts'
import { naturalType, putLinkValue, readLinkValue } from '../../firmware-protocol/link/link-value.ts'
import { RecordReader } from '../../firmware-protocol/link/record-reader.ts'
import { HEADER_BYTES, MAX_FRAME_BYTES, MessageCode } from '../../firmware-protocol/wire/constants.ts'
import { DecodeError, EncodeError } from '../../firmware-protocol/wire/errors.ts'
import { decodeFrame, encodeFrame, frameLength } from '../../firmware-protocol/wire/frame.ts'
import type { Message, Phase, Publish, Signal } from '../../firmware-protocol/wire/message.ts'
import { Pattern } from '../../firmware-protocol/wire/pattern.ts'
import type { Value } from '../../firmware-protocol/wire/value.ts'
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

const PHASES: readonly Phase[] = ['start', 'move', 'end', 'cancel']
/** What the device may put on the wire as it is. */
const TUNNELLED: readonly number[] = [MessageCode.set, MessageCode.publish, MessageCode.bundle, MessageCode.get]
const FIRST_PATTERN_ID = 100_000
const SPARE_BYTES = 512
const LARGEST_SPARE_BYTES = 4096
/** Addresses that the patterns of one device may match. */
const MAX_MATCHES = 256
const MAX_PATTERNS = 32

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
  private readonly patterns = new Map<number, Pattern>()
  private readonly matches = new Map<number, Alias>()
  /** Interval (ms) and deadband that the device is asked to keep, by address of the signal. */
  private readonly sampling = new Map<string, { interval: number; deadband: number }>()
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
    this.handler = this.options.acceptor.attach(this)
    const { name, token } = this.options
    const features = ['param', 'event', 'stream', 'gesture', 'timeline'] as const
    this.say({ type: 'HELLO', version: 1, features: [...features], name, token })
  }

  /** The link starts over: what was half told is void, and the device has lost what it had. */
  relink(): void {
    this.builder = new DescriptorBuilder()
    this.outbox.clear()
    this.answersWanted = 0
    for (const alias of this.byAddress.values()) {
      alias.known = NOTHING
      alias.isOffered = false
      alias.isAnswerWanted = false
    }
  }

  /** The device's signals are known: its addresses are taken up, announced, and subscribed to. */
  describe(descriptor: Descriptor): void {
    if (this.descriptor !== null && this.descriptor.hash !== descriptor.hash) this.forgetSignals()
    const isNew = this.descriptor === null
    this.descriptor = descriptor
    for (const declaration of descriptor.signals) {
      if (this.byId[declaration.id] !== undefined) continue
      const alias = new Alias(declaration, this.prefix)
      this.byId[declaration.id] = alias
      this.byAddress.set(alias.address, alias)
    }
    this.announceSignals()
    for (const alias of this.byAddress.values()) if (alias.declaration.isWritable) this.subscribeTo(alias)
    const pattern = `${this.prefix}$config/**`
    if (isNew) this.say({ type: 'SUBSCRIBE', id: FIRST_PATTERN_ID - 1, pattern, types: ['param'] })
    for (const [address, { interval, deadband }] of this.sampling) this.configure(address, interval, deadband)
  }

  /** Announced signals expire: this is to be said again now and then. */
  announceSignals(): void {
    if (this.descriptor === null) return
    const signals = this.descriptor.signals.flatMap(({ id }) => {
      const alias = this.byId[id]
      return alias === undefined ? [] : [signalDefinition(alias)]
    })
    // In portions that fit into a frame.
    for (let i = 0; i < signals.length; i += 100)
      this.say({ type: 'ANNOUNCE', namespace: this.prefix.slice(0, -1), signals: signals.slice(i, i + 100) })
  }

  /** Asks the device to sample a signal (its address at the router) so often, and to report such changes only. */
  configure(address: string, interval: number, deadband: number): void {
    this.sampling.set(address, { interval, deadband })
    const alias = this.byAddress.get(address)
    if (alias === undefined) return
    const record = new Uint8Array(alias.id < 0x80 ? 8 : 9)
    const view = new DataView(record.buffer)
    record[0] = Op.configure << 4
    const at = putId(record, 1, alias.id)
    view.setUint16(at, Math.min(65_535, Math.max(0, Math.round(interval))))
    view.setFloat32(at + 2, deadband)
    this.outbox.add(record)
    this.options.onPending()
  }

  /** Sends a message as this device. One that has no encoding is dropped: it came from the device's own text. */
  say(message: Message): void {
    try {
      const frame = encodeFrame(message)
      this.handler?.onFrame(frame, 0, frame.length)
    } catch (error) {
      if (!(error instanceof EncodeError)) throw error
      this.counters.malformedRecords++
    }
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
        else this.say(this.publish(reader, alias, 'stream'))
      } else if (op === Op.time) {
        const time = reader.valueEnd - reader.valueAt === 8 ? Number(u64(bytes, reader.valueAt)) : undefined
        if (type === TimeKind.at) timestamp = time
        else if (type === TimeKind.bundle || type === TimeKind.bundleAt) {
          this.bundle(bytes, reader.at, end, time)
          return
        }
      } else if (!this.onOther(reader, isReliable, timestamp)) {
        break
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
      // ACKs come for everything the device sends, and hardly any device wants them.
      if (code !== MessageCode.ack || this.answersWanted > 0) {
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
    this.handler = null
    handler?.onClose(reason)
  }

  private answersWanted = 0

  private isFlooding(): boolean {
    const second = Math.floor(this.options.clock.now() / 1000)
    if (second !== this.second) {
      this.second = second
      this.recordsThisSecond = 0
    }
    if (++this.recordsThisSecond <= this.options.maxRecordsPerSecond) return false
    this.counters.flooded++
    return true
  }

  private forgetSignals(): void {
    for (const { id, declaration } of this.byAddress.values())
      if (declaration.isWritable) this.say({ type: 'UNSUBSCRIBE', id: id + 1 })
    this.byId.length = 0
    this.byAddress.clear()
    this.outbox.clear()
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
      else this.say({ type: 'GET', address: alias.address })
      return true
    }
    if (alias === undefined || !alias.declaration.publishes) {
      this.counters.unknownIds++
      if (op === Op.extended && (reader.flags & ExtendedBit.answer) !== 0) this.answer(id, 404)
      return true
    }
    if (!isReliable && this.isFlooding()) return true
    this.counters.records++
    if (op === Op.extended) this.onExtended(reader, alias)
    else {
      const kind = op === Op.event ? 'event' : op === Op.gesture ? 'gesture' : 'stream'
      this.say({ ...this.publish(reader, alias, kind), ...(timestamp !== undefined && { timestamp }) })
    }
    if (type === undefined) return false
    return true
  }

  private publish(reader: RecordReader, alias: Alias, signal: Signal): Publish {
    const { bytes, op, type, valueAt } = reader
    const { address } = alias
    if (op === Op.block) {
      const samples: number[] = []
      const size = reader.count === 0 ? 0 : (reader.valueEnd - valueAt) / reader.count
      for (let i = 0; i < reader.count; i++) {
        const value = readLinkValue(bytes, valueAt + i * size, type)
        samples.push(value.type === 'bool' ? Number(value.value) : 'value' in value ? Number(value.value) : 0)
      }
      const rate = reader.interval === 0 ? undefined : Math.round(100_000 / reader.interval)
      return { type: 'PUBLISH', address, signal, samples, rate }
    }
    const value = type === 0 ? undefined : readLinkValue(bytes, valueAt, type)
    // An event's value is its payload (router reference §4.3); streams and gestures carry theirs in the same place.
    const message: Publish = { type: 'PUBLISH', address, signal, ...(value !== undefined && { value }) }
    if (op === Op.gesture) {
      message.phase = PHASES[reader.phase & 3]
      message.id = reader.gesture
    }
    return message
  }

  private onExtended(reader: RecordReader, alias: Alias): void {
    const { bytes, type, valueAt, flags } = reader
    const isOffer = (flags & ExtendedBit.initial) !== 0
    // The router's value is on its way already, and wins.
    if (isOffer && alias.isPending) return
    if (alias.declaration.isWritable) this.outbox.heard(alias, type, bytes, valueAt, reader.valueEnd)
    const value = readLinkValue(bytes, valueAt, type)
    if ((flags & ExtendedBit.answer) !== 0 && !alias.isAnswerWanted) {
      alias.isAnswerWanted = true
      this.answersWanted++
    }
    if (isOffer && !alias.isOffered) {
      alias.isOffered = true
      this.answersWanted++
    }
    this.say({
      type: 'SET',
      address: alias.address,
      value,
      // What the device had when it connected counts only where the router has nothing: revision 0.
      ...(isOffer && { revision: 0 }),
      ...((flags & ExtendedBit.revision) !== 0 && { revision: reader.revision }),
      ...((flags & ExtendedBit.lock) !== 0 && { lock: true }),
      ...((flags & ExtendedBit.unlock) !== 0 && { unlock: true }),
      ...((flags & ExtendedBit.ttl) !== 0 && { ttl: { mode: 'sliding' as const, seconds: reader.ttl } }),
    })
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
      counters.records++
      if (inner.op <= Op.extended) {
        if (alias.declaration.isWritable) this.outbox.heard(alias, inner.type, bytes, inner.valueAt, inner.valueEnd)
        messages.push({ type: 'SET', address: alias.address, value: readLinkValue(bytes, inner.valueAt, inner.type) })
      } else {
        const kind = inner.op === Op.event ? 'event' : inner.op === Op.gesture ? 'gesture' : 'stream'
        messages.push(this.publish(inner, alias, kind))
      }
    }
    if (inner.at < end) counters.malformedRecords++
    else if (messages.length > 0) this.say({ type: 'BUNDLE', messages, ...(timestamp !== undefined && { timestamp }) })
  }

  /** SUB and UNSUB: values of addresses that are not the device's own. */
  private onPattern(reader: RecordReader): void {
    const { bytes, code, type, valueAt, interval } = reader
    const id = FIRST_PATTERN_ID + code
    if (type !== 0) {
      if (this.patterns.delete(code)) this.say({ type: 'UNSUBSCRIBE', id })
      return
    }
    const text = new TextDecoder().decode(bytes.subarray(valueAt, reader.valueEnd))
    const pattern = Pattern.parse(text)
    if (this.patterns.has(code)) this.say({ type: 'UNSUBSCRIBE', id })
    if (typeof pattern === 'string' || (!this.patterns.has(code) && this.patterns.size >= MAX_PATTERNS)) {
      this.counters.refused++
      return
    }
    this.patterns.set(code, pattern)
    // A device that has just (re)started knows no ids: they are told again with the values.
    for (const [number, { address }] of this.matches) {
      this.matches.delete(number)
      this.byAddress.delete(address)
    }
    const options = interval > 0 ? { maxRate: interval } : undefined
    this.say({ type: 'SUBSCRIBE', id, pattern: text, types: ['param', 'event', 'stream'], options })
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
    const record = new Uint8Array(id < 0x80 ? 4 : 5)
    record[0] = Op.result << 4
    const at = putId(record, 1, id)
    record[at] = code >>> 8
    record[at + 1] = code
    this.outbox.add(record)
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
        if (message.address !== undefined) this.onAnswer(message.address, 0)
        return
      case 'ERROR':
        if (message.address !== undefined) this.onAnswer(message.address, message.code)
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
    } else if (alias.id < FIRST_HOST_ID && !alias.declaration.isWritable) return
    if (alias !== undefined) this.outbox.set(alias, value, isInitial)
  }

  /** An address that a pattern has matched gets an id, which the device is told first. */
  private matched(address: string, value: Value, kind: Signal): Alias | undefined {
    // The router sends every new session its whole state, asked for or not.
    if (![...this.patterns.values()].some((pattern) => pattern.matches(address))) return undefined
    const type = naturalType(value)
    if (type < 0 || this.matches.size >= MAX_MATCHES) {
      this.outbox.counters.inconvertible++
      return undefined
    }
    let id = FIRST_HOST_ID
    while (this.matches.has(id) && id < LAST_ID) id++
    const declaration: Declaration = { id, type, kind, publishes: false, isWritable: true, address }
    const alias = new Alias(declaration, this.prefix)
    const text = new TextEncoder().encode(address)
    if (text.length > 255) return undefined
    this.matches.set(id, alias)
    this.byAddress.set(address, alias)
    const record = new Uint8Array(5 + text.length)
    record[0] = (Op.declare << 4) | type
    const at = putId(record, 1, id)
    record[at] = kind === 'event' ? 1 : kind === 'stream' ? 2 : 0
    record[at + 1] = text.length
    record.set(text, at + 2)
    this.outbox.add(record)
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
    const absolute = this.byAddress.has(signal) ? signal : `/${signal.slice(this.prefix.length)}`
    this.configure(absolute, number('interval'), number('deadband'))
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
    const record = new Uint8Array(512)
    record[0] = (kind === 'gesture' ? Op.gesture : Op.event) << 4
    let at = putId(record, 1, alias.id)
    if (kind === 'gesture') {
      record[at++] = Math.max(0, PHASES.indexOf(message.phase ?? 'start'))
      record[at++] = (message.id ?? 0) & 0xff
    }
    // A string for a number is dropped, the event itself is not.
    const end =
      value === undefined
        ? at
        : putLinkValue(record, 0, at, record.length, alias.declaration.type || naturalType(value), value)
    if (end < 0) {
      this.outbox.counters.inconvertible++
      record[0] &= 0xf0
    }
    this.outbox.add(record.subarray(0, Math.max(end, at)))
  }

  private onAnswer(address: string, code: number): void {
    const alias = this.byAddress.get(address)
    const isOffered = alias?.isOffered === true
    if (code !== 0 && !isOffered) this.counters.refused++
    if (alias === undefined || alias.id >= FIRST_HOST_ID) return
    const isAnswerWanted = alias.isAnswerWanted
    this.answersWanted -= (isOffered ? 1 : 0) + (isAnswerWanted ? 1 : 0)
    alias.isOffered = false
    alias.isAnswerWanted = false
    if (code === 0 && !isAnswerWanted) return
    if (isAnswerWanted || !isOffered) this.answer(alias.id, code)
    // What the router holds instead.
    if (code !== 0 && alias.declaration.isWritable) {
      alias.known = NOTHING
      this.say({ type: 'GET', address })
    }
  }
}

const NOTHING = new Uint8Array(0)

function putId(out: Uint8Array, at: number, id: number): number {
  if (id < 0x80) {
    out[at] = id
    return at + 1
  }
  out[at] = 0x80 | (id >>> 8)
  out[at + 1] = id
  return at + 2
}

function u32(bytes: Uint8Array, at: number): number {
  return ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0
}

function u64(bytes: Uint8Array, at: number): number {
  return u32(bytes, at) * 2 ** 32 + u32(bytes, at + 4)
}
