/** Hot path: `setFrame`, `streamFrame`. */

import { LinkType } from '../../firmware-protocol/link/constants.ts'
import type { Declaration } from '../../firmware-protocol/link/descriptor.ts'
import {
  ENCODING_VERSION,
  HEADER_BYTES,
  MAGIC,
  MessageCode,
  ValueCode,
} from '../../firmware-protocol/wire/constants.ts'
import type { SignalDefinition } from '../../firmware-protocol/wire/message.ts'

/** A signal of a device under its address at the router, with the frames into which its values are put. */
export class Alias {
  readonly id: number
  readonly address: string
  /** As it was declared; a stand-in for what a pattern of the device matched. */
  readonly declaration: Declaration
  /** In the outbox. */
  isPending = false
  /** Type and value as they wait, or as the device has them: what is equal to it need not be sent. */
  pending: Uint8Array = EMPTY
  known: Uint8Array = EMPTY
  /** It is what the router holds, not somebody's write just now. */
  isInitial = false
  private set: Frame | null = null
  private stream: Frame | null = null

  constructor(declaration: Declaration, prefix: string) {
    this.declaration = declaration
    this.id = declaration.id
    this.address = declaration.address.startsWith('/') ? declaration.address : prefix + declaration.address
  }

  /**
   * A CLASP SET frame of this value; its length is `frameLength`. `at` is where the value of this link type stands.
   * Null for types that have no fixed size.
   */
  setFrame(bytes: Uint8Array, at: number, type: number): Uint8Array | null {
    this.set ??= new Frame(this.address, MessageCode.set)
    return this.fill(this.set, bytes, at, type)
  }

  /** The same as PUBLISH of a stream. */
  streamFrame(bytes: Uint8Array, at: number, type: number): Uint8Array | null {
    this.stream ??= new Frame(this.address, MessageCode.publish)
    return this.fill(this.stream, bytes, at, type)
  }

  frameLength = 0

  private fill(frame: Frame, bytes: Uint8Array, at: number, type: number): Uint8Array | null {
    const to = frame.valueAt
    const out = frame.bytes
    let size = 0
    let code: number = type
    switch (type) {
      case LinkType.true:
      case LinkType.false:
        code = ValueCode.bool
        out[to] = type === LinkType.true ? 1 : 0
        size = 1
        break
      case LinkType.bool:
      case LinkType.i8:
        out[to] = bytes[at]
        size = 1
        break
      case LinkType.i16:
        out[to] = bytes[at]
        out[to + 1] = bytes[at + 1]
        size = 2
        break
      case LinkType.i32:
      case LinkType.f32:
        out[to] = bytes[at]
        out[to + 1] = bytes[at + 1]
        out[to + 2] = bytes[at + 2]
        out[to + 3] = bytes[at + 3]
        size = 4
        break
      case LinkType.i64:
      case LinkType.f64:
        for (let i = 0; i < 8; i++) out[to + i] = bytes[at + i]
        size = 8
        break
      case LinkType.unit8:
      case LinkType.unit16:
        code = ValueCode.f32
        frame.view.setFloat32(
          to,
          type === LinkType.unit8 ? bytes[at] / 255 : ((bytes[at] << 8) | bytes[at + 1]) / 65_535,
        )
        size = 4
        break
      case LinkType.null:
        break
      default:
        return null
    }
    out[frame.typeAt] = code
    const payload = to + size - HEADER_BYTES
    out[2] = payload >>> 8
    out[3] = payload
    this.frameLength = to + size
    return out
  }
}

const EMPTY = new Uint8Array(0)
const STREAM_FLAGS = 0x40
const ONE_VALUE = 1

/** A frame with its address in place, ready for a value of up to 8 bytes. */
class Frame {
  readonly bytes: Uint8Array
  readonly view: DataView
  /** Where the value's type goes: for SET among the flags, for PUBLISH in front of the value. */
  readonly typeAt: number
  readonly valueAt: number

  constructor(address: string, code: number) {
    const text = new TextEncoder().encode(address)
    const isSet = code === MessageCode.set
    this.valueAt = HEADER_BYTES + 4 + text.length + (isSet ? 0 : 2)
    this.typeAt = isSet ? HEADER_BYTES + 1 : this.valueAt - 1
    this.bytes = new Uint8Array(this.valueAt + 8)
    this.view = new DataView(this.bytes.buffer)
    this.bytes.set([MAGIC, ENCODING_VERSION, 0, 0, code, isSet ? 0 : STREAM_FLAGS, text.length >>> 8, text.length])
    this.bytes.set(text, HEADER_BYTES + 4)
    if (!isSet) this.bytes[this.valueAt - 2] = ONE_VALUE
  }
}

/** Names of the link's types, as ANNOUNCE has them. */
export const DATATYPES: Readonly<Record<number, string>> = {
  [LinkType.bool]: 'bool',
  [LinkType.i8]: 'i8',
  [LinkType.i16]: 'i16',
  [LinkType.i32]: 'i32',
  [LinkType.i64]: 'i64',
  [LinkType.f32]: 'f32',
  [LinkType.f64]: 'f64',
  [LinkType.string]: 'string',
  [LinkType.bytes]: 'bytes',
  [LinkType.array]: 'array',
  [LinkType.unit8]: 'f32',
  [LinkType.unit16]: 'f32',
}

/** The signal as ANNOUNCE tells it to clients. */
export function signalDefinition({ address, declaration }: Alias): SignalDefinition {
  const { type, kind, publishes, isWritable, unit, description } = declaration
  const isFraction = type === LinkType.unit8 || type === LinkType.unit16
  const range = declaration.range ?? (isFraction ? ([0, 1] as [number, number]) : undefined)
  const meta = {
    ...(unit !== undefined && { unit }),
    ...(range !== undefined && { range }),
    ...(declaration.default !== undefined && { default: declaration.default }),
    ...(description !== undefined && { description }),
  }
  return {
    address,
    type: kind,
    ...(DATATYPES[type] !== undefined && { datatype: DATATYPES[type] }),
    access: publishes && isWritable ? 'rw' : isWritable ? 'w' : 'r',
    ...(Object.keys(meta).length > 0 && { meta }),
  }
}
