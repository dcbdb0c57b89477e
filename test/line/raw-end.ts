import { closeSync, constants, openSync, writeSync } from 'node:fs'
import type { TestContext } from 'node:test'
import { ReadStream } from 'node:tty'
import { until } from '../until.ts'

/** A terminal as a plain program has it open: no lock, no settings; what a device under test talks to. */
export class RawEnd {
  /** Set when the other end of the terminal is gone. */
  isGone = false
  private readonly fd: number
  private readonly stream: ReadStream
  private readonly chunks: Buffer[] = []
  private isClosed = false

  constructor(path: string, t: TestContext) {
    this.fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK | constants.O_NOCTTY)
    this.stream = new ReadStream(this.fd)
    this.stream.on('data', (chunk) => this.chunks.push(chunk))
    this.stream.on('error', () => {})
    this.stream.on('close', () => {
      this.isGone = !this.isClosed
    })
    t.after(() => this.close())
  }

  get received(): Buffer {
    return Buffer.concat(this.chunks)
  }

  /** Waits for the terminal to take all of it. */
  async write(bytes: Uint8Array | string): Promise<void> {
    const data = Buffer.from(bytes)
    for (let at = 0; at < data.length; ) {
      await until(() => {
        try {
          at += writeSync(this.fd, data, at)
          return true
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
          return false
        }
      }, 'room in the terminal')
    }
  }

  /** Leaves what comes in the terminal. */
  pause(): void {
    this.stream.pause()
  }

  resume(): void {
    this.stream.resume()
  }

  close(): void {
    if (this.isClosed) return
    this.isClosed = true
    this.stream.destroy()
    closeSync(this.fd)
  }
}
