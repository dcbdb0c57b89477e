import type { MessageReader, ProgramMessage } from '../process/program-messages.ts'
import { WatchedProcess, type WatchOptions } from '../process/watched-process.ts'
import { HOLDER_VERSION } from './holder-messages.ts'
import { LineError } from './lines.ts'

export interface HolderProcessOptions extends WatchOptions {
  /** Path of clasp-io; null: it is not installed. */
  program: string | null
}

export interface HolderProcessOwner {
  onStarted(): void
  onMessage(type: number, body: MessageReader): void
  /** It ended by itself. */
  onEnded(error: LineError): void
}

/** clasp-io: started when it is needed, and again after it ended. */
export class HolderProcess {
  private readonly options: HolderProcessOptions
  private readonly owner: HolderProcessOwner
  private process: WatchedProcess | null = null
  private isStopped = false

  constructor(options: HolderProcessOptions, owner: HolderProcessOwner) {
    this.options = options
    this.owner = owner
  }

  /** Process number; undefined: it does not run. */
  get pid(): number | undefined {
    return this.process?.pid
  }

  /** Starts it unless it runs. Throws a LineError when it cannot. */
  run(): void {
    if (this.process !== null) return
    if (this.isStopped) throw new LineError('lost', 'the devices are being stopped')
    const { program } = this.options
    if (program === null) {
      throw new LineError('missing', 'clasp-io, which holds GPIO lines, is not installed: install gcc and build again')
    }
    this.process = new WatchedProcess(
      program,
      { ...this.options, args: [], version: HOLDER_VERSION },
      {
        onMessage: (type, body) => this.owner.onMessage(type, body),
        onEnded: (reason) => {
          this.process = null
          const message = `the program that holds the lines (${program}) is gone: ${reason}`
          this.owner.onEnded(new LineError('lost', message))
        },
      },
    )
    this.owner.onStarted()
  }

  send(message: ProgramMessage): void {
    this.process?.send(message)
  }

  /** It does not answer: its lines go back to the kernel. */
  kill(): void {
    void this.process?.kill()
  }

  /** It makes all outputs safe, lets go of all lines and ends. */
  async stop(): Promise<void> {
    this.isStopped = true
    await this.process?.stop()
  }
}
