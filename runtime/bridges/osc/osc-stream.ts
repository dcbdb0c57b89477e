import type { Socket } from 'node:net'
import type { Clock } from '../../router/clock.ts'
import type { OscBytes } from './osc-encoder.ts'
import { framed, type OnPacket, type OscFraming, packetReader } from './osc-framing.ts'
import type { OscLink } from './osc-peer.ts'

/** Longer packets end a connection. */
const MAX_PACKET_BYTES = 65_536
/** Unsent bytes from which on values wait where newer ones replace them. */
const HIGH_WATER_BYTES = 65_536
const CLOSE_WITHIN_MS = 500

export interface OscStreamParts {
  readonly framing: OscFraming
  readonly clock: Clock
  readonly onPacket: OnPacket
  /** It takes more again. */
  onDrained(): void
  /** A packet is longer than 64 KiB: either side has the wrong framing. */
  onBroken(): void
  /** Called once. */
  onClosed(error: Error | undefined): void
}

/** OSC over an open TCP connection. What is sent in one turn leaves in one piece. */
export class OscStream implements OscLink {
  private readonly socket: Socket
  private readonly parts: OscStreamParts
  private batch: Buffer[] = []
  private batchBytes = 0
  private isOpen = true
  private error: Error | undefined

  constructor(socket: Socket, parts: OscStreamParts) {
    this.socket = socket
    this.parts = parts
    socket.setNoDelay(true)
    const reader = packetReader(parts.framing, MAX_PACKET_BYTES, (bytes, start, end) => {
      if (this.isOpen) parts.onPacket(bytes, start, end)
    })
    socket.on('data', (chunk: Buffer) => {
      if (!this.isOpen || reader.receive(chunk)) return
      parts.onBroken()
      socket.destroy()
    })
    socket.on('drain', () => parts.onDrained())
    socket.on('error', (error) => {
      this.error = error
    })
    socket.on('end', () => socket.end())
    socket.on('close', () => {
      this.isOpen = false
      parts.onClosed(this.error)
    })
  }

  get isFull(): boolean {
    return !this.isOpen || this.batchBytes + this.socket.writableLength >= HIGH_WATER_BYTES
  }

  send({ bytes, start, end }: OscBytes): void {
    if (!this.isOpen) return
    const packet = framed(this.parts.framing, bytes, start, end)
    if (this.batch.length === 0) this.parts.clock.afterTurn(this.flush)
    this.batch.push(packet)
    this.batchBytes += packet.length
  }

  /** Says goodbye; a peer that does not answer is cut off. */
  close(): Promise<void> {
    const { socket } = this
    if (socket.closed) return Promise.resolve()
    this.flush()
    this.isOpen = false
    return new Promise((resolve) => {
      const timer = this.parts.clock.timer(CLOSE_WITHIN_MS, () => socket.destroy())
      socket.once('close', () => {
        timer.cancel()
        resolve()
      })
      socket.end()
    })
  }

  private readonly flush = (): void => {
    if (this.batch.length === 0 || !this.isOpen) return
    const bytes = this.batch.length === 1 ? this.batch[0] : Buffer.concat(this.batch, this.batchBytes)
    this.batch = []
    this.batchBytes = 0
    // Below its own mark the socket tells nobody that it is empty again.
    if (this.socket.write(bytes) || this.socket.writableLength < HIGH_WATER_BYTES) this.parts.onDrained()
  }
}
