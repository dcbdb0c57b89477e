/**
 * What the router and clasp-io tell each other. Each message: length of the rest u16, type u8, body. Little-endian; text:
 * length u8, bytes. Handles: 0…255. The table of all messages is in `c/messages.h`.
 */
export const HOLDER_VERSION = 1
export const MAX_LINES = 256
const MAX_MESSAGE = 600
const HEADER_BYTES = 2

export const ToHolder = {
  beat: 0x01,
  list: 0x02,
  input: 0x03,
  output: 0x04,
  guard: 0x05,
  close: 0x06,
  set: 0x07,
  read: 0x08,
  strobe: 0x09,
  pulses: 0x0a,
  resume: 0x0b,
  quit: 0x0c,
} as const

export const FromHolder = {
  ready: 0x81,
  line: 0x82,
  listed: 0x83,
  opened: 0x84,
  failed: 0x85,
  edge: 0x86,
  level: 0x87,
  forced: 0x88,
  time: 0x89,
  closed: 0x8a,
  done: 0x8b,
  lost: 0x8c,
} as const

/** As in `c/gpio_uapi.h`, which has it from the kernel. */
export const LineFlag = {
  activeLow: 0x2,
  openDrain: 0x40,
  openSource: 0x80,
  pullUp: 0x100,
  pullDown: 0x200,
  biasDisabled: 0x400,
} as const

/** Builds one message. Texts must be shorter than 256 bytes. */
export class HolderMessage {
  private readonly bytes = Buffer.alloc(MAX_MESSAGE)
  private at = HEADER_BYTES

  constructor(type: number) {
    this.u8(type)
  }

  u8(value: number): this {
    this.at = this.bytes.writeUInt8(value, this.at)
    return this
  }

  u16(value: number): this {
    this.at = this.bytes.writeUInt16LE(value, this.at)
    return this
  }

  u32(value: number): this {
    this.at = this.bytes.writeUInt32LE(value, this.at)
    return this
  }

  text(value: string): this {
    this.u8(Buffer.byteLength(value))
    this.at += this.bytes.write(value, this.at)
    return this
  }

  finish(): Buffer {
    this.bytes.writeUInt16LE(this.at - HEADER_BYTES, 0)
    return this.bytes.subarray(0, this.at)
  }
}

/** The body of one message; reading past its end gives zeros. */
export class HolderReader {
  private readonly bytes: Buffer
  private at: number
  private readonly end: number

  constructor(bytes: Buffer, at: number, end: number) {
    this.bytes = bytes
    this.at = at
    this.end = end
  }

  u8(): number {
    return this.at < this.end ? this.bytes[this.at++] : 0
  }

  u16(): number {
    return this.u8() + this.u8() * 0x100
  }

  u32(): number {
    return this.u16() + this.u16() * 0x10000
  }

  /** Milliseconds of a u64 of nanoseconds: exact to a microsecond for a century of uptime. */
  ms(): number {
    const low = this.u32()
    return this.u32() * 4294.967296 + low / 1e6
  }

  text(): string {
    const length = this.u8()
    const start = this.at
    this.at = Math.min(this.end, start + length)
    return this.bytes.toString('utf8', start, this.at)
  }
}

/** Cuts a stream of bytes into messages. */
export class HolderDeframer {
  private rest: Buffer = Buffer.alloc(0)

  /** Calls back for every complete message. */
  push(chunk: Buffer, onMessage: (type: number, body: HolderReader) => void): void {
    const bytes = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk])
    let at = 0
    while (bytes.length - at >= HEADER_BYTES) {
      const end = at + HEADER_BYTES + bytes.readUInt16LE(at)
      if (end > bytes.length) break
      if (end > at + HEADER_BYTES) onMessage(bytes[at + HEADER_BYTES], new HolderReader(bytes, at + 3, end))
      at = end
    }
    this.rest = at === bytes.length ? Buffer.alloc(0) : bytes.subarray(at)
  }
}
