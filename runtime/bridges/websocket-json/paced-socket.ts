import type { WebSocket } from 'ws'

/** Unsent bytes from which on only the last value of each address is kept. */
const HIGH_WATER_BYTES = 65_536
const MAX_EVENTS = 1024
/** All that waits: some thousand large params, which a peer that subscribes to everything gets at once. */
const MAX_WAITING_BYTES = 16_777_216
const DRAIN_CHECK_MS = 20

interface Timers {
  timer(delayMs: number, callback: () => void): { cancel(): void }
}

/**
 * A WebSocket toward a peer that may be slow: what does not fit waits, params and streams by their last value, events in
 * order up to a limit, after which the peer is closed (1013). Source: bridges.md §11.3, slow client.
 */
export class PacedSocket {
  private readonly socket: WebSocket
  private readonly clock: Timers
  private readonly onDropped: () => void
  private readonly waiting = new Map<string, string | Uint8Array>()
  private waitingBytes = 0
  /** Who waits for room. */
  private readonly patient = new Set<() => void>()
  private events = 0
  private check: { cancel(): void } | null = null

  constructor(socket: WebSocket, clock: Timers, onDropped: () => void) {
    this.socket = socket
    this.clock = clock
    this.onDropped = onDropped
  }

  /** `key`: a newer message with the same one takes its place while it waits; undefined: all are sent. */
  send(message: string | Uint8Array, key?: string): void {
    if (this.waiting.size === 0 && this.socket.bufferedAmount < HIGH_WATER_BYTES) {
      this.socket.send(message)
      return
    }
    if (key !== undefined && this.waiting.has(key)) {
      this.take(key)
      this.onDropped()
    }
    const isFull = key === undefined && this.waiting.size >= MAX_EVENTS
    if (isFull || this.waitingBytes + message.length > MAX_WAITING_BYTES) {
      this.onDropped()
      this.stop()
      this.socket.close(1013, 'too slow: messages were lost')
      return
    }
    this.waiting.set(key ?? `#${this.events++}`, message)
    this.waitingBytes += message.length
    this.watch()
  }

  /** Resolves when the next message would not have to wait, or none is sent any more. */
  async room(): Promise<void> {
    if (this.hasRoom()) return
    this.watch()
    await new Promise<void>((resolve) => this.patient.add(resolve))
  }

  stop(): void {
    this.check?.cancel()
    this.check = null
    this.waiting.clear()
    this.waitingBytes = 0
    this.letGo()
  }

  private hasRoom(): boolean {
    const isOpen = this.socket.readyState === this.socket.OPEN
    return !isOpen || (this.waiting.size === 0 && this.socket.bufferedAmount < HIGH_WATER_BYTES)
  }

  private watch(): void {
    this.check ??= this.clock.timer(DRAIN_CHECK_MS, () => this.drain())
  }

  private take(key: string): string | Uint8Array {
    const message = this.waiting.get(key) ?? ''
    this.waiting.delete(key)
    this.waitingBytes -= message.length
    return message
  }

  private drain(): void {
    this.check = null
    for (const key of this.waiting.keys()) {
      if (this.socket.bufferedAmount >= HIGH_WATER_BYTES) break
      this.socket.send(this.take(key))
    }
    if (this.hasRoom()) this.letGo()
    if (this.waiting.size > 0 || this.patient.size > 0) this.watch()
  }

  private letGo(): void {
    for (const resolve of this.patient) resolve()
    this.patient.clear()
  }
}
