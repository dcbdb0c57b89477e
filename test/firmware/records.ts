import { DeclareBit, ExtendedBit, LinkType, MoreBit, Op, TimeKind } from '../../firmware-protocol/link/constants.ts'
import { crc32 } from '../../firmware-protocol/link/crc.ts'
import { type Declaration, DescriptorBuilder } from '../../firmware-protocol/link/descriptor.ts'
import { readLinkValue } from '../../firmware-protocol/link/link-value.ts'
import { RecordReader } from '../../firmware-protocol/link/record-reader.ts'
import type { Value } from '../../firmware-protocol/wire/value.ts'

/** Records as a device writes them: exactly what is asked for, right or wrong. Layout: firmware-protocol/README.md. */
export function idBytes(id: number): Buffer {
  return Buffer.from(id < 0x80 ? [id] : [0x80 | (id >>> 8), id & 0xff])
}

/** The bytes of a value of this type; for `bool` the type should be `true` or `false`, which have none. */
export function valueBytes(type: number, value: number | bigint | string | Uint8Array | null = null): Buffer {
  const bytes = Buffer.alloc(8)
  switch (type) {
    case LinkType.bool:
    case LinkType.unit8:
      return Buffer.from([Number(value)])
    case LinkType.i8:
      return bytes.subarray(0, bytes.writeInt8(Number(value)))
    case LinkType.i16:
      return bytes.subarray(0, bytes.writeInt16BE(Number(value)))
    case LinkType.unit16:
      return bytes.subarray(0, bytes.writeUInt16BE(Number(value)))
    case LinkType.i32:
      return bytes.subarray(0, bytes.writeInt32BE(Number(value)))
    case LinkType.i64:
      return bytes.subarray(0, bytes.writeBigInt64BE(BigInt(value as number | bigint)))
    case LinkType.f32:
      return bytes.subarray(0, bytes.writeFloatBE(Number(value)))
    case LinkType.f64:
      return bytes.subarray(0, bytes.writeDoubleBE(Number(value)))
    case LinkType.string:
    case LinkType.bytes: {
      const content = Buffer.from(value as string)
      return Buffer.concat([idBytes(content.length), content])
    }
    default:
      return Buffer.alloc(0)
  }
}

type Content = Parameters<typeof valueBytes>[1]

function plain(op: number) {
  return (id: number, type: number = LinkType.null, value: Content = null): Buffer =>
    Buffer.concat([Buffer.from([(op << 4) | type]), idBytes(id), valueBytes(type, value)])
}

export const val = plain(Op.value)
export const event = plain(Op.event)
export const stream = plain(Op.stream)

export interface Extended {
  revision?: number
  /** As CLASP has it. */
  ttl?: number
  lock?: boolean
  unlock?: boolean
  initial?: boolean
  answer?: boolean
}

export function valx(id: number, type: number, value: Content, options: Extended): Buffer {
  const { revision, ttl } = options
  const u32 = (number: number | undefined) => {
    const bytes = Buffer.alloc(number === undefined ? 0 : 4)
    if (number !== undefined) bytes.writeUInt32BE(number)
    return bytes
  }
  const flags =
    (revision === undefined ? 0 : ExtendedBit.revision) |
    (ttl === undefined ? 0 : ExtendedBit.ttl) |
    (options.lock ? ExtendedBit.lock : 0) |
    (options.unlock ? ExtendedBit.unlock : 0) |
    (options.initial ? ExtendedBit.initial : 0) |
    (options.answer ? ExtendedBit.answer : 0)
  const head = Buffer.concat([Buffer.from([(Op.extended << 4) | type]), idBytes(id), Buffer.from([flags])])
  return Buffer.concat([head, u32(revision), u32(ttl), valueBytes(type, value)])
}

/** `interval` in units of 10 µs. */
export function block(id: number, type: number, interval: number, values: readonly number[]): Buffer {
  const head = Buffer.from([values.length, interval >>> 8, interval & 0xff])
  const content = values.map((value) => valueBytes(type, value))
  return Buffer.concat([Buffer.from([(Op.block << 4) | type]), idBytes(id), head, ...content])
}

export function gesture(id: number, phase: number, number: number, type = 0, value: Content = null): Buffer {
  const head = Buffer.concat([Buffer.from([(Op.gesture << 4) | type]), idBytes(id), Buffer.from([phase, number])])
  return Buffer.concat([head, valueBytes(type, value)])
}

/** `us` as u32 for `sampled`, as u64 for the two that name a time. */
export function time(kind: number, us: number | bigint = 0): Buffer {
  const bytes = Buffer.alloc(kind === TimeKind.sampled ? 5 : kind === TimeKind.bundle ? 1 : 9)
  bytes[0] = (Op.time << 4) | kind
  if (kind === TimeKind.sampled) bytes.writeUInt32BE(Number(us), 1)
  else if (kind !== TimeKind.bundle) bytes.writeBigUInt64BE(BigInt(us), 1)
  return bytes
}

export function get(id: number): Buffer {
  return Buffer.concat([Buffer.from([Op.get << 4]), idBytes(id)])
}

export function sub(sid: number, pattern: string, maxRate = 0): Buffer {
  const text = Buffer.from(pattern)
  const rate = Buffer.from([maxRate >>> 8, maxRate & 0xff])
  return Buffer.concat([Buffer.from([Op.subscribe << 4, sid, text.length]), text, rate])
}

export function unsub(sid: number): Buffer {
  return Buffer.from([(Op.subscribe << 4) | 1, sid])
}

/** The payload of a CLASP frame. */
export function tunnel(payload: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([Op.clasp << 4, payload.length >>> 8, payload.length & 0xff]), payload])
}

export function info(key: number, text: string): Buffer {
  return Buffer.concat([Buffer.from([Op.info << 4, key, Buffer.byteLength(text)]), Buffer.from(text)])
}

/** A field behind ANNOUNCE. */
export function field(type: number, value: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([type, value.length]), value])
}

export type SignalSpec = Pick<Declaration, 'id' | 'type' | 'address'> &
  Partial<Omit<Declaration, 'default'>> & { default?: Content }

const KINDS = ['param', 'event', 'stream', 'gesture', 'timeline'] as const

export function decl(signal: SignalSpec): Buffer {
  const { id, type, kind = 'param', publishes = true, isWritable = false, address, range, unit } = signal
  const { description, maxRate, epsilon, holds } = signal
  const more =
    (description === undefined ? 0 : MoreBit.description) |
    (signal.default === undefined ? 0 : MoreBit.default) |
    (maxRate === undefined ? 0 : MoreBit.maxRate) |
    (epsilon === undefined ? 0 : MoreBit.epsilon) |
    (holds ? MoreBit.hold : 0)
  const flags =
    KINDS.indexOf(kind) |
    (publishes ? DeclareBit.publishes : 0) |
    (isWritable ? DeclareBit.writable : 0) |
    (range === undefined ? 0 : DeclareBit.range) |
    (unit === undefined ? 0 : DeclareBit.unit) |
    (more === 0 ? 0 : DeclareBit.more)
  const short = (text: string) => Buffer.concat([Buffer.from([Buffer.byteLength(text)]), Buffer.from(text)])
  const float = (number: number) => valueBytes(LinkType.f32, number)
  const parts = [Buffer.from([(Op.declare << 4) | type]), idBytes(id), Buffer.from([flags]), short(address)]
  if (range !== undefined) parts.push(float(range[0]), float(range[1]))
  if (unit !== undefined) parts.push(short(unit))
  if (more !== 0) parts.push(Buffer.from([more]))
  if (description !== undefined) parts.push(short(description))
  if (signal.default !== undefined) parts.push(valueBytes(type, signal.default))
  if (maxRate !== undefined) parts.push(Buffer.from([maxRate >>> 8, maxRate & 0xff]))
  if (epsilon !== undefined) parts.push(float(epsilon))
  return Buffer.concat(parts)
}

export function declend(hash: number): Buffer {
  const bytes = Buffer.alloc(5)
  bytes[0] = Op.declared << 4
  bytes.writeUInt32BE(hash, 1)
  return bytes
}

/** What a device declares, record by record. */
export function describing(signals: readonly SignalSpec[], firmware?: string): Buffer[] {
  return [...(firmware === undefined ? [] : [info(1, firmware)]), ...signals.map(decl)]
}

export function hashOf(records: readonly Uint8Array[]): number {
  const bytes = Buffer.concat(records)
  return crc32(bytes, 0, bytes.length)
}

/** One record from the router, with those fields that its kind has. */
export interface ReceivedRecord {
  op: number
  type: number
  id: number
  isReliable: boolean
  value?: Value
  flags?: number
  code?: number
  /** Of GESTURE. */
  phase?: number
  gesture?: number
  /** Of CONFIGURE. */
  interval?: number
  deadband?: number
  /** Of DECL. */
  declaration?: Declaration
}

/** The records of a frame from the router. Throws when they are malformed. */
export function readRecords(body: Uint8Array, isReliable: boolean): ReceivedRecord[] {
  const bytes = new Uint8Array(body)
  const reader = new RecordReader()
  const records: ReceivedRecord[] = []
  reader.open(bytes, 0, bytes.length)
  while (reader.next()) {
    const { op, type, id, valueAt } = reader
    const record: ReceivedRecord = { op, type, id, isReliable }
    if (op <= Op.gesture && op !== Op.block) record.value = readLinkValue(bytes, valueAt, type)
    if (op === Op.extended) record.flags = reader.flags
    if (op === Op.result) record.code = reader.code
    if (op === Op.gesture) Object.assign(record, { phase: reader.phase, gesture: reader.gesture })
    if (op === Op.configure) {
      record.interval = reader.interval
      record.deadband = Buffer.from(bytes).readFloatBE(valueAt + 2)
    }
    if (op === Op.declare) {
      const builder = new DescriptorBuilder()
      const problem = builder.add(reader)
      if (problem !== null) throw new Error(`the router declares badly: ${problem}`)
      const descriptor = builder.finish(crc32(bytes, reader.start, reader.at))
      if (typeof descriptor === 'string') throw new Error(descriptor)
      record.declaration = descriptor.signals[0]
    }
    records.push(record)
  }
  if (reader.at < reader.end)
    throw new Error(`the router sent a malformed record: ${Buffer.from(body).toString('hex')}`)
  return records
}
