/** Packets in a stream of bytes, for OSC over TCP. */

export type OscFraming = 'len32' | 'slip'

const END = 0xc0
const ESCAPE = 0xdb
const ESCAPED_END = 0xdc
const ESCAPED_ESCAPE = 0xdd
const LENGTH_BYTES = 4

/** The packet in `bytes[start, end)` is the reader's only until it returns. */
export type OnPacket = (bytes: Buffer, start: number, end: number) => void

export interface PacketReader {
  /** False: the stream is not to be trusted any more, for a packet would be longer than allowed. */
  receive(chunk: Buffer): boolean
}

export function packetReader(framing: OscFraming, maxPacketBytes: number, onPacket: OnPacket): PacketReader {
  return framing === 'slip' ? new SlipReader(maxPacketBytes, onPacket) : new LengthReader(maxPacketBytes, onPacket)
}

/** OSC 1.0: an i32 size in front of each packet. Holds at most one packet. */
class LengthReader implements PacketReader {
  private readonly maxPacketBytes: number
  private readonly onPacket: OnPacket
  private rest: Buffer = Buffer.alloc(0)

  constructor(maxPacketBytes: number, onPacket: OnPacket) {
    this.maxPacketBytes = maxPacketBytes
    this.onPacket = onPacket
  }

  receive(chunk: Buffer): boolean {
    const bytes = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk])
    let at = 0
    while (bytes.length - at >= LENGTH_BYTES) {
      const size = bytes.readUInt32BE(at)
      if (size > this.maxPacketBytes) return false
      const start = at + LENGTH_BYTES
      if (bytes.length - start < size) break
      // A size of 0 is what some programs send to keep the connection alive.
      if (size > 0) this.onPacket(bytes, start, start + size)
      at = start + size
    }
    // A copy: the chunk may be a large piece of memory of which little is left.
    this.rest = Buffer.from(bytes.subarray(at))
    return true
  }
}

/** OSC 1.1: SLIP (RFC 1055) with END at both ends. Holds at most one packet. */
class SlipReader implements PacketReader {
  private readonly onPacket: OnPacket
  private readonly maxPacketBytes: number
  private packet: Buffer = Buffer.alloc(256)
  private length = 0
  private isEscaped = false

  constructor(maxPacketBytes: number, onPacket: OnPacket) {
    this.maxPacketBytes = maxPacketBytes
    this.onPacket = onPacket
  }

  receive(chunk: Buffer): boolean {
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i]
      if (byte === END) {
        if (this.length > 0) this.onPacket(this.packet, 0, this.length)
        this.length = 0
        this.isEscaped = false
      } else if (this.isEscaped) {
        this.isEscaped = false
        // RFC 1055 lets what must not follow an ESC stand for itself.
        this.put(byte === ESCAPED_END ? END : byte === ESCAPED_ESCAPE ? ESCAPE : byte)
      } else if (byte === ESCAPE) this.isEscaped = true
      else this.put(byte)
      if (this.length > this.maxPacketBytes) return false
    }
    return true
  }

  private put(byte: number): void {
    if (this.length === this.packet.length) this.packet = Buffer.concat([this.packet, Buffer.alloc(this.length)])
    this.packet[this.length++] = byte
  }
}

/** The packet `bytes[start, end)` as it goes onto the stream. */
export function framed(framing: OscFraming, bytes: Buffer, start: number, end: number): Buffer {
  if (framing === 'len32') {
    const out = Buffer.allocUnsafe(LENGTH_BYTES + end - start)
    bytes.copy(out, out.writeUInt32BE(end - start), start, end)
    return out
  }
  const out = Buffer.allocUnsafe(2 * (end - start) + 2)
  let at = 0
  out[at++] = END
  for (let i = start; i < end; i++) {
    const byte = bytes[i]
    if (byte === END || byte === ESCAPE) {
      out[at++] = ESCAPE
      out[at++] = byte === END ? ESCAPED_END : ESCAPED_ESCAPE
    } else out[at++] = byte
  }
  out[at++] = END
  return out.subarray(0, at)
}
