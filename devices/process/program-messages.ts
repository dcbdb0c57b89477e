/**
 * How the router talks with the programs that it starts beside itself. Each message: length of the rest u16, type u8, body.
 * Little-endian; text: length u8, bytes. `c/framing.h` is the other side.
 */
const HEADER_BYTES = 2
const NOTHING = Buffer.alloc(0)

/** Types that all programs have. */
export const ToProgram = { beat: 0x01, quit: 0x0c } as const
export const FromProgram = { ready: 0x81, lost: 0x8c } as const

/** Builds one message. Texts must be shorter than 256 bytes. */
export class ProgramMessage {
  private readonly bytes: Buffer
  private at = HEADER_BYTES

  /** `room`: for the body, at most 8299. */
  constructor(type: number, room = 600) {
    this.bytes = Buffer.alloc(HEADER_BYTES + 1 + room)
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

  raw(bytes: Uint8Array): this {
    this.bytes.set(bytes, this.at)
    this.at += bytes.length
    return this
  }

  finish(): Buffer {
    this.bytes.writeUInt16LE(this.at - HEADER_BYTES, 0)
    return this.bytes.subarray(0, this.at)
  }
}

/** The body of one message, for as long as that is handled; reading past its end gives zeros. */
export class MessageReader {
  private bytes: Buffer = NOTHING
  private at = 0
  private end = 0

  begin(bytes: Buffer, at: number, end: number): void {
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

  /** All that is left, copied. */
  rest(): Uint8Array {
    const start = this.at
    this.at = this.end
    return Uint8Array.from(this.bytes.subarray(start, this.end))
  }

  text(): string {
    const length = this.u8()
    const start = this.at
    this.at = Math.min(this.end, start + length)
    return this.bytes.toString('utf8', start, this.at)
  }
}

/** Cuts a stream of bytes into messages. */
export class MessageDeframer {
  private bytes: Buffer = NOTHING
  private at = 0
  /** One for all messages: a fast input brings tens of thousands of them a second. */
  private readonly reader = new MessageReader()

  add(chunk: Buffer): void {
    this.bytes = this.at === this.bytes.length ? chunk : Buffer.concat([this.bytes.subarray(this.at), chunk])
    this.at = 0
  }

  /** Calls back for complete messages, at most so many; true when there may be more. */
  take(most: number, onMessage: (type: number, body: MessageReader) => void): boolean {
    const { bytes, reader } = this
    for (let count = 0; count < most; count++) {
      const { at } = this
      if (bytes.length - at < HEADER_BYTES) return false
      const end = at + HEADER_BYTES + bytes.readUInt16LE(at)
      if (end > bytes.length) return false
      this.at = end
      if (end === at + HEADER_BYTES) continue
      reader.begin(bytes, at + HEADER_BYTES + 1, end)
      onMessage(bytes[at + HEADER_BYTES], reader)
    }
    return true
  }
}
