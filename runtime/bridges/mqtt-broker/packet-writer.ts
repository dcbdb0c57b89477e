/** Hot path. */
import type { Duplex } from 'node:stream'

/** Unsent bytes from which on messages wait in the session. */
const CONGESTED_BYTES = 262_144
/** A client that asks and does not read is of no use. */
const MAX_UNSENT_BYTES = 4 * 1024 * 1024
/** Written at once, even within a turn. */
const FLUSH_BYTES = 65_536

/** Packets of one turn go out in one write: of 100 subscribers, that is most of the work. */
export class PacketWriter {
  private readonly stream: Duplex
  private readonly flushSoon: () => void
  private packets: Buffer[] = []
  private bytes = 0

  constructor(stream: Duplex, flushSoon: () => void) {
    this.stream = stream
    this.flushSoon = flushSoon
  }

  get isCongested(): boolean {
    return this.stream.writableLength + this.bytes > CONGESTED_BYTES
  }

  write(packet: Buffer): void {
    this.packets.push(packet)
    this.bytes += packet.length
    if (this.bytes >= FLUSH_BYTES) this.flush()
    else if (this.packets.length === 1) this.flushSoon()
  }

  flush(): void {
    if (this.bytes === 0) return
    const { packets, bytes } = this
    this.packets = []
    this.bytes = 0
    if (this.stream.writableLength > MAX_UNSENT_BYTES) this.stream.destroy()
    else this.stream.write(packets.length === 1 ? packets[0] : Buffer.concat(packets, bytes))
  }
}
