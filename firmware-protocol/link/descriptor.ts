import type { Signal } from '../wire/message.ts'
import type { Value } from '../wire/value.ts'
import { DeclareBit, Info, MAX_DESCRIPTOR_BYTES, MoreBit, Op } from './constants.ts'
import { crc32 } from './crc.ts'
import { readLinkValue, valueEnd } from './link-value.ts'
import type { RecordReader } from './record-reader.ts'

/** One signal of a device. */
export interface Declaration {
  id: number
  /** How its values travel (LinkType). */
  type: number
  kind: Signal
  publishes: boolean
  isWritable: boolean
  /** Starts with a slash: as it is; else below the device's prefix. */
  address: string
  range?: [number, number]
  unit?: string
  description?: string
  default?: Value
  /** Updates a second toward the device; 0 or undefined: all. */
  maxRate?: number
  epsilon?: number
  /** Keeps its last value when the link dies. */
  holds?: boolean
}

/** What a device says it has. */
export interface Descriptor {
  /** CRC-32 over the records. */
  hash: number
  signals: Declaration[]
  firmware?: string
  hardware?: string
  vendor?: string
  /** The records as they came, to be kept. */
  bytes: Uint8Array
}

const KINDS: readonly Signal[] = ['param', 'event', 'stream', 'gesture', 'timeline']

/** Collects DECL and INFO records until DECLEND. Methods return a reason where a record is not right, else null. */
export class DescriptorBuilder {
  private readonly signals = new Map<number, Declaration>()
  private readonly infos = new Map<number, string>()
  private readonly parts: Uint8Array[] = []
  private length = 0

  /** Takes the record on which the reader stands, and leaves the reader behind it. */
  add(reader: RecordReader): string | null {
    const problem = reader.op === Op.declare ? this.declare(reader) : this.info(reader)
    if (problem !== null) return problem
    this.length += reader.at - reader.start
    if (this.length > MAX_DESCRIPTOR_BYTES) return `a descriptor of more than ${MAX_DESCRIPTOR_BYTES} bytes`
    this.parts.push(reader.bytes.slice(reader.start, reader.at))
    return null
  }

  finish(hash: number): Descriptor | string {
    const bytes = Buffer.concat(this.parts)
    const actual = crc32(bytes, 0, bytes.length)
    if (actual !== hash) return `the descriptor's hash is ${hex(actual)}, the device says ${hex(hash)}`
    return {
      hash,
      signals: [...this.signals.values()],
      firmware: this.infos.get(Info.firmware),
      hardware: this.infos.get(Info.hardware),
      vendor: this.infos.get(Info.vendor),
      bytes: new Uint8Array(bytes),
    }
  }

  private info(reader: RecordReader): string | null {
    const { bytes, valueAt, valueEnd } = reader
    this.infos.set(reader.code, new TextDecoder().decode(bytes.subarray(valueAt, valueEnd)))
    return null
  }

  /** DECL: flags u8, address (length u8), [min f32, max f32], [unit], [more u8 and what it announces]. */
  private declare(reader: RecordReader): string | null {
    const { bytes, type, id } = reader
    const { end } = reader
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    let at = reader.valueAt
    let isShort = false
    /** Moves on by `count` and returns where that starts; 0 when there is not so much. */
    const take = (count: number) => {
      if (at + count > end) {
        isShort = true
        return 0
      }
      at += count
      return at - count
    }
    const text = () => {
      const length = bytes[take(1)]
      const from = take(length)
      return isShort ? '' : new TextDecoder().decode(bytes.subarray(from, from + length))
    }
    const flags = bytes[take(1)]
    const kind = KINDS[flags & DeclareBit.kind]
    if (kind === undefined) return `signal ${id} is of kind ${flags & DeclareBit.kind}: 0 to 4 are known`
    const signal: Declaration = {
      id,
      type,
      kind,
      publishes: (flags & DeclareBit.publishes) !== 0,
      isWritable: (flags & DeclareBit.writable) !== 0,
      address: text(),
    }
    if ((flags & DeclareBit.range) !== 0) {
      const from = take(8)
      if (!isShort) signal.range = [view.getFloat32(from), view.getFloat32(from + 4)]
    }
    if ((flags & DeclareBit.unit) !== 0) signal.unit = text()
    if ((flags & DeclareBit.more) !== 0) {
      const more = bytes[take(1)]
      if ((more & MoreBit.description) !== 0) signal.description = text()
      if ((more & MoreBit.default) !== 0) {
        const stop = valueEnd(bytes, at, end, type)
        if (stop < 0) isShort = true
        else {
          signal.default = readLinkValue(bytes, at, type)
          at = stop
        }
      }
      if ((more & MoreBit.maxRate) !== 0) {
        const from = take(2)
        if (!isShort) signal.maxRate = view.getUint16(from)
      }
      if ((more & MoreBit.epsilon) !== 0) {
        const from = take(4)
        if (!isShort) signal.epsilon = view.getFloat32(from)
      }
      signal.holds = (more & MoreBit.hold) !== 0
    }
    if (isShort) return `the declaration of signal ${id} ends before it is complete`
    reader.at = at
    this.signals.set(id, signal)
    return null
  }
}

function hex(number: number): string {
  return number.toString(16).padStart(8, '0')
}
