import { closeSync, constants, openSync, writeSync } from 'node:fs'
import type { TestContext } from 'node:test'
import { ReadStream } from 'node:tty'
import { Control, FrameClass } from '../../firmware-protocol/link/constants.ts'
import { crc32 } from '../../firmware-protocol/link/crc.ts'
import { putSerialFrame, SerialReceiver, serialBytes } from '../../firmware-protocol/link/serial-frame.ts'

export const UID = 'a1b2c3d4e5f60718'
const MRU = 256
const TICK_MS = 100
/** DECL temp (f32, param, published, unit), led (bool, param, published and writable), button (event); INFO firmware. */
const DESCRIPTOR = Buffer.concat([
  Buffer.from([0x86, 0, 0x48, 4]),
  Buffer.from('temp'),
  Buffer.from([3]),
  Buffer.from('°C'),
  Buffer.from([0x81, 1, 0x18, 3]),
  Buffer.from('led'),
  Buffer.from([0x80, 2, 0x09, 6]),
  Buffer.from('button'),
  Buffer.from([0xd0, 1, 5]),
  Buffer.from('1.2.3'),
])

/** A microcontroller with the least of the link, at one end of a line: it declares three signals and sends `temp`. */
export class LinkDevice {
  /** Says nothing any more while it is set. */
  isMute = false
  temperatureC = 21.5
  private readonly fd: number
  private readonly stream: ReadStream
  private readonly receiver: SerialReceiver
  private readonly timer: NodeJS.Timeout
  private session = 0
  private isRunning = false
  private nextReliable = 0
  private nextLossy = 0
  private expected = 0
  private isClosed = false

  constructor(path: string, t: TestContext) {
    this.fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK | constants.O_NOCTTY)
    this.receiver = new SerialReceiver(MRU, {
      onFrame: (bytes, start, end) => this.onFrame(Buffer.from(bytes.subarray(start, end))),
      onText() {},
    })
    this.stream = new ReadStream(this.fd)
    this.stream.on('data', (bytes) => this.receiver.receive(bytes))
    this.stream.on('error', () => {})
    this.timer = setInterval(() => this.tick(), TICK_MS)
    t.after(() => this.close())
  }

  /** A press of the button, which must arrive. */
  press(): void {
    this.reliable(Buffer.from([0x20, 2]))
  }

  /** Bytes as they are, such as what firmware prints. */
  write(bytes: Uint8Array | string): void {
    if (this.isMute || this.isClosed) return
    try {
      writeSync(this.fd, Buffer.from(bytes))
    } catch (error) {
      // Nobody has the other end open: as on a cable, the bytes are lost.
      if ((error as NodeJS.ErrnoException).code !== 'EIO') throw error
    }
  }

  close(): void {
    if (this.isClosed) return
    this.isClosed = true
    clearInterval(this.timer)
    this.stream.destroy()
    closeSync(this.fd)
  }

  private tick(): void {
    if (!this.isRunning) {
      this.announce()
      return
    }
    const record = Buffer.from([0x06, 0, 0, 0, 0, 0])
    record.writeFloatBE(this.temperatureC, 2)
    this.send(FrameClass.unreliable, this.nextLossy, record)
    this.nextLossy = (this.nextLossy + 1) & 15
  }

  private onFrame(frame: Buffer): void {
    const kind = frame[0] & FrameClass.mask
    if (kind === FrameClass.reliable && frame[1] >>> 4 === this.expected) this.expected = (this.expected + 1) & 15
    if (kind !== FrameClass.control) return
    const body = frame.subarray(2)
    const subtype = frame[0] & 0x0f
    if (subtype === Control.probe) this.announce()
    else if (subtype === Control.welcome) this.welcome(body)
    else if (subtype === Control.ping) this.send(FrameClass.control | Control.pong, 0, body)
    else if (subtype === Control.bye) this.isRunning = false
  }

  /** Layout: `decodeAnnounce`. */
  private announce(): void {
    const body = Buffer.alloc(30)
    body[0] = 1
    body.writeUInt16BE(64, 2)
    body[4] = 2
    body.write(UID, 5, 'hex')
    body.writeUInt32BE(0x5eed0001, 13)
    body.writeUInt32BE(crc32(DESCRIPTOR, 0, DESCRIPTOR.length), 17)
    body[25] = 4
    body.write('demo', 26)
    this.send(FrameClass.control | Control.announce, 0, body)
  }

  private welcome(body: Buffer): void {
    this.session = body.readUInt16BE(2)
    this.receiver.session = this.session
    this.expected = 0
    this.nextReliable = 0
    this.nextLossy = 0
    this.isRunning = true
    if ((body[1] & 1) !== 0) return
    const complete = Buffer.alloc(5, 0x90)
    complete.writeUInt32BE(crc32(DESCRIPTOR, 0, DESCRIPTOR.length), 1)
    this.reliable(Buffer.concat([DESCRIPTOR, complete]))
  }

  private reliable(records: Buffer): void {
    this.send(FrameClass.reliable, this.nextReliable, records)
    this.nextReliable = (this.nextReliable + 1) & 15
  }

  private send(ctrl: number, number: number, body: Uint8Array): void {
    const frame = Buffer.concat([Buffer.from([ctrl, (number << 4) | this.expected]), body])
    const wire = new Uint8Array(serialBytes(frame.length))
    this.write(wire.subarray(0, putSerialFrame(wire, 0, frame, frame.length, this.session, true)))
  }
}
