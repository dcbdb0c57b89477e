import { type ChildProcess, spawn } from 'node:child_process'
import type { DeviceClock } from '../device.ts'
import { explainInputEnd } from './input-failure.ts'

/** One record of clasp-input; the layout is in c/clasp-input.c. */
export interface InputRecord {
  readonly type: number
  readonly code: number
  readonly value: number
  /** Microseconds since the Unix epoch; 0: not known. */
  readonly us: number
}

/** `axisMin` and `axisMax` tell the range of an axis, before its first value. */
export const RecordType = { ready: 0, key: 1, axis: 3, axisMin: 0x13, axisMax: 0x23 } as const

const RECORD_BYTES = 16
const VERSION = 1
const STOP_MS = 1000

export interface InputReaderOptions {
  /** Path of clasp-input. */
  readonly program: string
  readonly paths: readonly string[]
  /** Nobody else gets the keys. */
  readonly isGrabbed: boolean
  readonly clock: DeviceClock
  onRecord(record: InputRecord): void
  /** It ended by itself: mostly the device was unplugged. Not after `close`. */
  onEnded(error: Error): void
}

/** clasp-input while it reads one device. */
export class InputReader {
  private readonly options: InputReaderOptions
  private readonly child: ChildProcess
  private readonly gone: Promise<void>
  private rest: Uint8Array = new Uint8Array(0)
  private isClosed = false
  private onReady = () => {}

  private constructor(options: InputReaderOptions) {
    this.options = options
    const { program, paths, isGrabbed } = options
    const args = isGrabbed ? ['--grab', ...paths] : [...paths]
    this.child = spawn(program, args, { stdio: ['pipe', 'pipe', 'ignore'] })
    this.child.stdin?.on('error', () => {
      // It is gone: its exit tells.
    })
    this.gone = new Promise((resolve) => {
      this.child.once('error', () => resolve())
      this.child.once('close', () => resolve())
    })
    this.child.stdout?.on('data', (chunk: Buffer) => this.receive(chunk))
  }

  /** Resolves when the devices are open; rejects with an error that says what to do. */
  static async open(options: InputReaderOptions): Promise<InputReader> {
    const reader = new InputReader(options)
    const isReady = new Promise<boolean>((resolve) => {
      reader.onReady = () => resolve(true)
      void reader.gone.then(() => resolve(false))
    })
    if (!(await isReady)) throw await reader.reason()
    void reader.gone.then(async () => {
      if (!reader.isClosed) options.onEnded(await reader.reason())
    })
    return reader
  }

  async close(): Promise<void> {
    this.isClosed = true
    this.child.stdin?.end()
    const timer = this.options.clock.timer(STOP_MS, () => this.child.kill('SIGKILL'))
    await this.gone
    timer.cancel()
  }

  private reason(): Promise<Error> {
    const { paths, program } = this.options
    return explainInputEnd(this.child.exitCode ?? this.child.signalCode ?? 'no start', paths, program)
  }

  private receive(chunk: Buffer): void {
    const bytes = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk])
    let at = 0
    for (; at + RECORD_BYTES <= bytes.length; at += RECORD_BYTES) {
      const type = bytes.readUInt16LE(at + 8)
      const code = bytes.readUInt16LE(at + 10)
      const record = { type, code, value: bytes.readInt32LE(at + 12), us: Number(bytes.readBigUInt64LE(at)) }
      if (type === RecordType.ready && code !== VERSION) this.child.kill('SIGKILL')
      else if (!this.isClosed) this.options.onRecord(record)
      if (type === RecordType.ready && code === VERSION) this.onReady()
    }
    this.rest = bytes.subarray(at)
  }
}
