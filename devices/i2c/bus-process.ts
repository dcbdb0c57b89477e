import { type MessageReader, ProgramMessage } from '../process/program-messages.ts'
import { WatchedProcess, type WatchOptions } from '../process/watched-process.ts'
import { FromBus, I2C_VERSION, ToBus } from './bus-messages.ts'

/** What clasp-i2c answered: a number of the kernel, 0 = it worked, and what was read. */
export interface Answer {
  errno: number
  bytes: Uint8Array
}

export interface BusProcessOwner {
  /** A guard has stepped in; `errno`: its writes did not arrive. */
  onForced(address: number, errno: number): void
  /** A transaction did not return: the kernel hangs. The process does nothing any more. */
  onHung(): void
  /** It ended by itself. Those who wait have been rejected. */
  onEnded(reason: string): void
}

interface Question {
  message: ProgramMessage
  limitMs: number
  resolve(answer: Answer): void
  reject(error: Error): void
}

/** The program gives up before: four times 50 ms and 1 ms a byte, see `c/transfer.h`. */
const BYTE_LIMIT_MS = 4
const LIMIT_MS = 1500

/** clasp-i2c on one bus. Transactions follow one another in the order in which they came. */
export class BusProcess {
  /** A number of the kernel, 0: the bus is open. */
  readonly opened: Promise<number>
  /** It was ended because of it. */
  isHung = false
  private readonly clock: WatchOptions['clock']
  private readonly owner: BusProcessOwner
  private readonly process: WatchedProcess
  private readonly waiting: Question[] = []
  private current: Question | null = null
  private limit: { cancel(): void } | null = null
  private tellOpened!: (errno: number) => void
  private failOpening!: (error: Error) => void
  private endReason: string | null = null

  constructor(program: string, path: string, options: WatchOptions, owner: BusProcessOwner) {
    this.clock = options.clock
    this.owner = owner
    this.opened = new Promise((resolve, reject) => {
      this.tellOpened = resolve
      this.failOpening = reject
    })
    this.opened.catch(() => {
      // Whoever opens the bus hears of it.
    })
    this.process = new WatchedProcess(
      program,
      { ...options, args: [path], version: I2C_VERSION },
      {
        onMessage: (type, body) => this.receive(type, body),
        onEnded: (reason) => this.ended(reason),
      },
    )
  }

  get pid(): number | undefined {
    return this.process.pid
  }

  transfer(address: number, bytes: Uint8Array, readBytes: number): Promise<Answer> {
    const message = new ProgramMessage(ToBus.transfer, 3 + bytes.length)
    return this.ask(message.u8(address).u16(readBytes).raw(bytes), bytes.length + readBytes)
  }

  probe(address: number): Promise<Answer> {
    return this.ask(new ProgramMessage(ToBus.probe).u8(address), 1)
  }

  guard(address: number, writes: readonly Uint8Array[]): Promise<Answer> {
    const size = writes.reduce((sum, { length }) => sum + 2 + length, 1)
    const message = new ProgramMessage(ToBus.guard, size).u8(address)
    for (const bytes of writes) message.u16(bytes.length).raw(bytes)
    return this.ask(message, 0)
  }

  unguard(address: number): Promise<Answer> {
    return this.ask(new ProgramMessage(ToBus.unguard).u8(address), 0)
  }

  /** It is known here that guards have stepped in. */
  resume(): void {
    this.process.send(new ProgramMessage(ToBus.resume))
  }

  /** What is still guarded is written; rejects those who wait. */
  async stop(): Promise<void> {
    this.reject('the devices are being stopped')
    await this.process.stop()
  }

  /** Resolves when it is gone; one that hangs in the kernel does not go. */
  async kill(): Promise<void> {
    this.reject('it was ended')
    await this.process.kill()
  }

  private ask(message: ProgramMessage, bytes: number): Promise<Answer> {
    if (this.endReason !== null) return Promise.reject(new Error(this.endReason))
    return new Promise((resolve, reject) => {
      this.waiting.push({ message, limitMs: LIMIT_MS + BYTE_LIMIT_MS * bytes, resolve, reject })
      if (this.current === null) this.next()
    })
  }

  private next(): void {
    this.limit?.cancel()
    this.current = this.waiting.shift() ?? null
    if (this.current === null) return
    this.process.send(this.current.message)
    this.limit = this.clock.timer(this.current.limitMs, () => this.owner.onHung())
  }

  private receive(type: number, body: MessageReader): void {
    if (this.endReason !== null) return
    if (type === FromBus.opened) {
      this.tellOpened(body.u32())
    } else if (type === FromBus.forced) {
      const address = body.u8()
      this.owner.onForced(address, body.u32())
    } else if (type === FromBus.done || type === FromBus.guarded) {
      const { current } = this
      this.next()
      current?.resolve({ errno: body.u32(), bytes: body.rest() })
    }
  }

  private ended(reason: string): void {
    if (this.endReason !== null) return
    this.reject(reason)
    this.owner.onEnded(reason)
  }

  private reject(reason: string): void {
    if (this.endReason !== null) return
    this.endReason = reason
    this.limit?.cancel()
    const error = new Error(reason)
    this.failOpening(error)
    this.current?.reject(error)
    for (const { reject } of this.waiting.splice(0)) reject(error)
    this.current = null
  }
}
