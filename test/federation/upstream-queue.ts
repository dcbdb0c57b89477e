import type { UpstreamLine } from './upstream-line.ts'

/** Messages per connection (federation.md §5.9). */
const CAPACITY = 1000
/** What may wait in the socket beyond the buffers of the kernel. */
const WAITING_BYTES = 65_536

/** What leaves a connection: broadcasts are refused when it is full, direct answers hold up the input of the connection. */
export class UpstreamQueue {
  /** Messages; a test may make it smaller. */
  capacity = CAPACITY
  private isHeld = false
  private frames: Uint8Array[] = []
  private readonly line: UpstreamLine
  private readonly onRoom: () => void

  constructor(line: UpstreamLine, onRoom: () => void) {
    this.line = line
    this.onRoom = onRoom
  }

  get isFull(): boolean {
    return this.frames.length >= this.capacity
  }

  push(frame: Uint8Array): void {
    this.frames.push(frame)
    this.pump()
  }

  /** Sends nothing until it is released. */
  hold(): void {
    this.isHeld = true
  }

  release(): void {
    this.isHeld = false
    this.pump()
  }

  private pump(): void {
    if (this.isHeld) return
    let sent = 0
    while (sent < this.frames.length && this.line.waitingBytes < WAITING_BYTES) {
      this.line.send(this.frames[sent++], () => this.pump())
    }
    if (sent === 0) return
    const wasFull = this.isFull
    this.frames.splice(0, sent)
    if (wasFull && !this.isFull) this.onRoom()
  }
}
