import type { WebSocket } from 'ws'

/** Unsent bytes from which on only the last value of each address is kept. */
const HIGH_WATER_BYTES = 65_536
const MAX_EVENTS = 1024
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
    if (key === undefined) {
      if (this.waiting.size >= MAX_EVENTS) {
        this.onDropped()
        this.stop()
        this.socket.close(1013, 'too slow: messages were lost')
        return
      }
      this.waiting.set(`#${this.events++}`, message)
    } else {
      if (this.waiting.delete(key)) this.onDropped()
      this.waiting.set(key, message)
    }
    this.check ??= this.clock.timer(DRAIN_CHECK_MS, () => this.drain())
  }

  stop(): void {
    this.check?.cancel()
    this.check = null
    this.waiting.clear()
  }

  private drain(): void {
    this.check = null
    for (const [key, message] of this.waiting) {
      if (this.socket.bufferedAmount >= HIGH_WATER_BYTES) break
      this.waiting.delete(key)
      this.socket.send(message)
    }
    if (this.waiting.size > 0) this.check = this.clock.timer(DRAIN_CHECK_MS, () => this.drain())
  }
}
