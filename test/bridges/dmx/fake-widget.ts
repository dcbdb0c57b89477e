import { closeSync, constants, openSync, writeSync } from 'node:fs'
import type { TestContext } from 'node:test'
import { ReadStream } from 'node:tty'

export interface FakeWidgetOptions {
  /** Labels that it answers. Default: all that a widget answers. */
  answers?: readonly number[]
  /** Answer to label 3. */
  parameters?: readonly number[]
}

const NAME = 'DMX USB PRO'
const USUAL = [0x2c, 0x01, 9, 1, 40]

/** An ENTTEC DMX USB Pro at the far end of a line: what it was told, and what it tells. The codec is one of its own. */
export class FakeWidget {
  /** Every message, in order. */
  readonly told: { label: number; data: Buffer }[] = []
  /** Of label 6: start code and slots. */
  readonly frames: Buffer[] = []
  private readonly fd: number
  private readonly stream: ReadStream
  private readonly answers: ReadonlyMap<number, readonly number[]>
  private pending = Buffer.alloc(0)

  constructor(path: string, t: TestContext, { answers, parameters = USUAL }: FakeWidgetOptions = {}) {
    this.answers = new Map<number, readonly number[]>(
      [
        [3, parameters] as const,
        [10, [0x78, 0x56, 0x34, 0x12]] as const,
        [77, [0x4e, 0x45, ...Buffer.from('ENTTEC')]] as const,
        [78, [1, 0, ...Buffer.from(NAME)]] as const,
      ].filter(([label]) => answers === undefined || answers.includes(label)),
    )
    this.fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK | constants.O_NOCTTY)
    this.stream = new ReadStream(this.fd)
    this.stream.on('data', (chunk) => this.receive(chunk))
    this.stream.on('error', () => {})
    t.after(() => this.close())
  }

  raw(bytes: readonly number[]): void {
    writeSync(this.fd, Uint8Array.from(bytes))
  }

  say(label: number, data: readonly number[]): void {
    this.raw([0x7e, label, data.length & 0xff, data.length >> 8, ...data, 0xe7])
  }

  /** A received frame: label 5, no error. */
  receiveDmx(startCode: number, slots: readonly number[], status = 0): void {
    this.say(5, [status, startCode, ...slots])
  }

  labels(label: number): Buffer[] {
    return this.told.filter((one) => one.label === label).map(({ data }) => data)
  }

  /** Takes nothing until `resume`. */
  pause(): void {
    this.stream.pause()
  }

  resume(): void {
    this.stream.resume()
  }

  close(): void {
    if (this.stream.destroyed) return
    this.stream.destroy()
    closeSync(this.fd)
  }

  private receive(chunk: Buffer): void {
    this.pending = Buffer.concat([this.pending, chunk])
    while (this.pending.length >= 5) {
      const size = this.pending.readUInt16LE(2)
      if (this.pending[0] !== 0x7e) throw new Error(`no message: ${this.pending.toString('hex')}`)
      if (this.pending.length < size + 5) return
      if (this.pending[size + 4] !== 0xe7) throw new Error(`no end: ${this.pending.toString('hex')}`)
      const [label, data] = [this.pending[1], this.pending.subarray(4, size + 4)]
      this.pending = this.pending.subarray(size + 5)
      const answer = this.answers.get(label)
      if (answer !== undefined) this.say(label, answer)
      if (label === 6) this.frames.push(data)
      this.told.push({ label, data })
    }
  }
}
