/** Hot path. */

/** Type and flags, and a length of up to four bytes. */
const MAX_HEADER_BYTES = 5
const MAX_PIECES = 64

export type StreamProblem = 'malformed' | 'too large'

/**
 * Cuts a byte stream into packets. Fixed header: type and flags u8, remaining length of one to four bytes, seven bits each,
 * the lowest first. At most one unfinished packet is kept. Source: MQTT 5.0 §2.1.
 */
export class PacketStream {
  private readonly maxBytes: number
  private readonly onPacket: (bytes: Buffer, bodyAt: number) => void
  private kept: Buffer[] = []
  private keptBytes = 0
  /** Bytes that the first packet of `kept` needs at least. */
  private needed = 0

  /** `maxBytes` counts the header too. `onPacket` gets a view of one whole packet, and where its header ends. */
  constructor(maxBytes: number, onPacket: (bytes: Buffer, bodyAt: number) => void) {
    this.maxBytes = maxBytes
    this.onPacket = onPacket
  }

  /** After a problem the connection is of no use any more. */
  push(chunk: Buffer): StreamProblem | undefined {
    let bytes = chunk
    if (this.keptBytes > 0) {
      this.kept.push(chunk)
      this.keptBytes += chunk.length
      if (this.keptBytes < this.needed) {
        // Of a packet that drips in.
        if (this.kept.length > MAX_PIECES) this.kept = [Buffer.concat(this.kept, this.keptBytes)]
        return undefined
      }
      bytes = Buffer.concat(this.kept, this.keptBytes)
      this.kept = []
      this.keptBytes = 0
    }
    let at = 0
    while (at < bytes.length) {
      let length = 0
      let shift = 0
      let bodyAt = at + 1
      let isComplete = false
      while (bodyAt < bytes.length && bodyAt - at < MAX_HEADER_BYTES) {
        const byte = bytes[bodyAt++]
        length += (byte & 0x7f) << shift
        shift += 7
        if (byte < 0x80) {
          isComplete = true
          break
        }
      }
      if (!isComplete) {
        if (bodyAt - at >= MAX_HEADER_BYTES) return 'malformed'
        this.keep(bytes, at, bodyAt - at + 1)
        return undefined
      }
      const end = bodyAt + length
      if (end - at > this.maxBytes) return 'too large'
      if (end > bytes.length) {
        this.keep(bytes, at, end - at)
        return undefined
      }
      this.onPacket(bytes.subarray(at, end), bodyAt - at)
      at = end
    }
    return undefined
  }

  private keep(bytes: Buffer, at: number, needed: number): void {
    this.kept = [bytes.subarray(at)]
    this.keptBytes = bytes.length - at
    this.needed = needed
  }
}
