/** Hot path: `put` runs once per frame, `flush` once per callback that writes. */

import { writeSync } from 'node:fs'

/** Memory that a burst took beyond this is given back. */
const KEPT_BYTES = 65_536

interface Waiter {
  /** Position in everything that was ever put. */
  at: number
  resolve: () => void
  reject: (error: Error) => void
}

/** What waits to be written to a terminal that does not block. */
export class SerialWriter {
  /** The driver has no room: flush again when it has. */
  isStuck = false
  private bytes = new Uint8Array(4096)
  private start = 0
  private end = 0
  /** Bytes that the driver has taken since the beginning. */
  private takenBytes = 0
  /** Nothing beyond this position is written. */
  private holdAt = Number.POSITIVE_INFINITY
  private waiters: Waiter[] = []

  get backlogBytes(): number {
    return this.end - this.start
  }

  get isHolding(): boolean {
    return this.holdAt !== Number.POSITIVE_INFINITY
  }

  /** Copies. */
  put(bytes: Uint8Array): void {
    if (this.end + bytes.length > this.bytes.length) this.makeRoom(bytes.length)
    this.bytes.set(bytes, this.end)
    this.end += bytes.length
  }

  /** Offers the driver everything in one call. Throws what the system reports, other than that there is no room. */
  flush(fd: number): void {
    const length = Math.min(this.end - this.start, this.holdAt - this.takenBytes)
    this.isStuck = false
    if (length > 0) {
      const taken = writeSome(fd, this.bytes, this.start, length)
      this.start += taken
      this.takenBytes += taken
      this.isStuck = taken < length
      if (this.start === this.end) {
        this.start = this.end = 0
        if (this.bytes.length > KEPT_BYTES) this.bytes = new Uint8Array(4096)
      }
    }
    if (this.waiters.length > 0) this.settle()
  }

  /** What is put from now on stays here until `release`. */
  hold(): void {
    this.holdAt = this.takenBytes + this.backlogBytes
  }

  release(): void {
    this.holdAt = Number.POSITIVE_INFINITY
  }

  /** Resolves when the driver has taken what was put so far; rejects with the error of `fail`. */
  taken(): Promise<void> {
    const at = this.takenBytes + this.backlogBytes
    if (at === this.takenBytes) return Promise.resolve()
    return new Promise((resolve, reject) => this.waiters.push({ at, resolve, reject }))
  }

  /** Throws everything away. */
  fail(error: Error): void {
    this.start = this.end = 0
    for (const waiter of this.waiters.splice(0)) waiter.reject(error)
  }

  private settle(): void {
    const isDone = (waiter: Waiter) => waiter.at <= this.takenBytes
    const done = this.waiters.filter(isDone)
    this.waiters = this.waiters.filter((waiter) => !isDone(waiter))
    for (const waiter of done) waiter.resolve()
  }

  private makeRoom(length: number): void {
    const waiting = this.backlogBytes
    let capacity = this.bytes.length
    while (capacity < waiting + length) capacity *= 2
    const grown = capacity === this.bytes.length ? this.bytes : new Uint8Array(capacity)
    grown.set(this.bytes.subarray(this.start, this.end))
    this.bytes = grown
    this.start = 0
    this.end = waiting
  }
}

function writeSome(fd: number, bytes: Uint8Array, start: number, length: number): number {
  try {
    return writeSync(fd, bytes, start, length)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EAGAIN' || code === 'EINTR') return 0
    throw error
  }
}
