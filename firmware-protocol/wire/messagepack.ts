import { DecodeError } from './errors.ts'
import { decodeUtf8, isValidUtf8 } from './utf8.ts'

/** A decoded MessagePack item with the place where it stood, for error messages. Integers beyond 2^53 are bigints. */
export type Item =
  | { kind: 'nil'; at: number }
  | { kind: 'bool'; value: boolean; at: number }
  | { kind: 'int'; value: number | bigint; at: number }
  | { kind: 'float'; value: number; at: number }
  | { kind: 'string'; value: string; at: number }
  | { kind: 'bin'; value: Uint8Array; at: number }
  | { kind: 'array'; value: Item[]; at: number }
  | { kind: 'map'; value: [Item, Item][]; at: number }

/** The upstream reader stops at 1024; nothing legal in a 64 KiB frame of ours needs more than this. */
const MAX_DEPTH = 128

/** Decodes one MessagePack item from `bytes[start, end)`. Bytes behind it are ignored. Never throws. */
export function decodeMessagePack(bytes: Uint8Array, start: number, end: number): Item | DecodeError {
  const reader = new MessagePackReader(bytes, start, end)
  const item = reader.item(0)
  return reader.failure ?? item
}

class MessagePackReader {
  failure: DecodeError | undefined
  private readonly bytes: Uint8Array
  private readonly view: DataView
  private readonly end: number
  private offset: number

  constructor(bytes: Uint8Array, start: number, end: number) {
    this.bytes = bytes
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.offset = start
    this.end = end
  }

  item(depth: number): Item {
    const at = this.offset
    if (depth > MAX_DEPTH) return this.fail(`MessagePack is nested deeper than ${MAX_DEPTH}`, at)
    const code = this.u8()
    if (this.failure !== undefined) return { kind: 'nil', at }
    if (code < 0x80) return { kind: 'int', value: code, at }
    if (code < 0x90) return this.map(code & 0x0f, depth, at)
    if (code < 0xa0) return this.array(code & 0x0f, depth, at)
    if (code < 0xc0) return this.string(code & 0x1f, at)
    if (code >= 0xe0) return { kind: 'int', value: code - 0x100, at }
    switch (code) {
      case 0xc0:
        return { kind: 'nil', at }
      case 0xc2:
      case 0xc3:
        return { kind: 'bool', value: code === 0xc3, at }
      case 0xc4:
        return this.bin(this.u8(), at)
      case 0xc5:
        return this.bin(this.u16(), at)
      case 0xc6:
        return this.bin(this.u32(), at)
      case 0xca:
        return { kind: 'float', value: this.number(4, (p) => this.view.getFloat32(p)), at }
      case 0xcb:
        return { kind: 'float', value: this.number(8, (p) => this.view.getFloat64(p)), at }
      case 0xcc:
        return { kind: 'int', value: this.u8(), at }
      case 0xcd:
        return { kind: 'int', value: this.u16(), at }
      case 0xce:
        return { kind: 'int', value: this.u32(), at }
      case 0xcf:
        return { kind: 'int', value: this.wide((p) => this.view.getBigUint64(p)), at }
      case 0xd0:
        return { kind: 'int', value: this.number(1, (p) => this.view.getInt8(p)), at }
      case 0xd1:
        return { kind: 'int', value: this.number(2, (p) => this.view.getInt16(p)), at }
      case 0xd2:
        return { kind: 'int', value: this.number(4, (p) => this.view.getInt32(p)), at }
      case 0xd3:
        return { kind: 'int', value: this.wide((p) => this.view.getBigInt64(p)), at }
      case 0xd9:
        return this.string(this.u8(), at)
      case 0xda:
        return this.string(this.u16(), at)
      case 0xdb:
        return this.string(this.u32(), at)
      case 0xdc:
        return this.array(this.u16(), depth, at)
      case 0xdd:
        return this.array(this.u32(), depth, at)
      case 0xde:
        return this.map(this.u16(), depth, at)
      case 0xdf:
        return this.map(this.u32(), depth, at)
      default:
        return this.fail(`MessagePack type 0x${code.toString(16)} has no place in a message`, at)
    }
  }

  private map(count: number, depth: number, at: number): Item {
    const value: [Item, Item][] = []
    for (let i = 0; i < count && this.failure === undefined; i++) {
      const key = this.item(depth + 1)
      value.push([key, this.item(depth + 1)])
    }
    return { kind: 'map', value, at }
  }

  private array(count: number, depth: number, at: number): Item {
    const value: Item[] = []
    for (let i = 0; i < count && this.failure === undefined; i++) value.push(this.item(depth + 1))
    return { kind: 'array', value, at }
  }

  private string(length: number, at: number): Item {
    const start = this.take(length)
    if (start < 0) return { kind: 'nil', at }
    if (!isValidUtf8(this.bytes, start, start + length)) return this.fail('string is not valid UTF-8', at)
    return { kind: 'string', value: decodeUtf8(this.bytes, start, start + length), at }
  }

  private bin(length: number, at: number): Item {
    const start = this.take(length)
    return start < 0 ? { kind: 'nil', at } : { kind: 'bin', value: this.bytes.slice(start, start + length), at }
  }

  private u8(): number {
    return this.number(1, (at) => this.view.getUint8(at))
  }

  private u16(): number {
    return this.number(2, (at) => this.view.getUint16(at))
  }

  private u32(): number {
    return this.number(4, (at) => this.view.getUint32(at))
  }

  private number(length: number, read: (at: number) => number): number {
    const at = this.take(length)
    return at < 0 ? 0 : read(at)
  }

  private wide(read: (at: number) => bigint): number | bigint {
    const at = this.take(8)
    if (at < 0) return 0
    const value = read(at)
    return Number.isSafeInteger(Number(value)) ? Number(value) : value
  }

  private take(length: number): number {
    if (this.failure !== undefined) return -1
    if (length > this.end - this.offset) {
      this.fail(`MessagePack needs ${length} bytes, ${this.end - this.offset} are left`, this.offset)
      return -1
    }
    const at = this.offset
    this.offset += length
    return at
  }

  private fail(reason: string, at: number): Item {
    this.failure ??= new DecodeError('message', reason, at)
    return { kind: 'nil', at }
  }
}
