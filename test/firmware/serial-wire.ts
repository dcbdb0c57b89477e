import { closeSync, constants, openSync, writeSync } from 'node:fs'
import type { TestContext } from 'node:test'
import { ReadStream } from 'node:tty'
import { putSerialFrame, SerialReceiver, serialBytes } from '../../firmware-protocol/link/serial-frame.ts'
import { until } from '../until.ts'

const RETRY_MS = 1

/** The device's end of a serial line: frames both ways, and bytes as they are. What the line does not take waits. */
export class SerialWire {
  readonly mru = 256
  onFrame: (frame: Buffer) => void = () => {}
  /** Bytes from the router, framed or not. */
  bytesIn = 0
  received = Buffer.alloc(0)
  readonly receiver: SerialReceiver
  private readonly fd: number
  private readonly stream: ReadStream
  private waiting: Buffer[] = []
  private retry: NodeJS.Timeout | null = null
  private session = 0
  private isClosed = false

  constructor(path: string, t: TestContext) {
    this.fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK | constants.O_NOCTTY)
    this.receiver = new SerialReceiver(1024, {
      onFrame: (bytes, start, end) => this.onFrame(Buffer.from(bytes.subarray(start, end))),
      onText() {},
    })
    this.stream = new ReadStream(this.fd)
    this.stream.on('data', (bytes: Buffer) => {
      this.bytesIn += bytes.length
      if (this.received.length < 65_536) this.received = Buffer.concat([this.received, bytes])
      this.receiver.receive(bytes)
    })
    this.stream.on('error', () => {})
    t.after(() => this.close())
  }

  send(frame: Uint8Array): void {
    this.write(this.encode(frame))
  }

  /** A frame as it goes on the line, with the delimiter in front. */
  encode(frame: Uint8Array, session = this.session): Buffer {
    const wire = Buffer.alloc(serialBytes(frame.length))
    return wire.subarray(0, putSerialFrame(wire, 0, frame, frame.length, session, true))
  }

  setSession(session: number): void {
    this.session = session
    this.receiver.session = session
  }

  /** Bytes as they are. */
  write(bytes: Uint8Array | string): void {
    this.waiting.push(Buffer.from(bytes))
    this.pump()
  }

  /** Resolves when the line has taken everything. */
  async drained(): Promise<void> {
    await until(() => this.waiting.length === 0 || this.isClosed, 'room on the line', 60_000)
  }

  /** Leaves what comes on the line. */
  pause(): void {
    this.stream.pause()
  }

  resume(): void {
    this.stream.resume()
  }

  close(): void {
    if (this.isClosed) return
    this.isClosed = true
    if (this.retry !== null) clearTimeout(this.retry)
    this.stream.destroy()
    closeSync(this.fd)
  }

  private readonly pump = (): void => {
    if (this.retry !== null) clearTimeout(this.retry)
    this.retry = null
    while (this.waiting.length > 0 && !this.isClosed) {
      const [next] = this.waiting
      try {
        const written = writeSync(this.fd, next)
        if (written === next.length) this.waiting.shift()
        else this.waiting[0] = next.subarray(written)
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException
        if (code === 'EIO') this.waiting = []
        else if (code !== 'EAGAIN') throw error
        else {
          this.retry = setTimeout(this.pump, RETRY_MS)
          return
        }
      }
    }
  }
}
