import { type ChildProcess, spawn } from 'node:child_process'
import type { DeviceClock } from '../device.ts'
import {
  FromHolder,
  HOLDER_VERSION,
  HolderDeframer,
  HolderMessage,
  type HolderReader,
  ToHolder,
} from './holder-messages.ts'
import { LineError } from './lines.ts'

export interface HolderProcessOptions {
  /** Path of clasp-io; null: it is not installed. */
  program: string | null
  clock: DeviceClock
  /** Outputs become safe when this process says nothing for so long. */
  watchdogMs: number
  /** How long safe outputs are held when this process has ended without a goodbye. */
  lingerMs: number
}

export interface HolderProcessOwner {
  onStarted(): void
  onMessage(type: number, body: HolderReader): void
  /** It ended by itself. */
  onEnded(error: LineError): void
}

/** Four beats must get lost in a row. */
const BEATS_PER_WATCHDOG = 4
const STOP_MS = 1000

/** clasp-io while it runs: messages to and from it, and the beat that tells it that this process is well. */
export class HolderProcess {
  private readonly options: HolderProcessOptions
  private readonly owner: HolderProcessOwner
  private child: ChildProcess | null = null
  private beat: { cancel(): void } | null = null
  private isStopped = false

  constructor(options: HolderProcessOptions, owner: HolderProcessOwner) {
    this.options = options
    this.owner = owner
  }

  /** Process number; undefined: it does not run. */
  get pid(): number | undefined {
    return this.child?.pid
  }

  /** Starts it unless it runs. Throws a LineError when it cannot. */
  run(): void {
    if (this.child !== null) return
    if (this.isStopped) throw new LineError('lost', 'the devices are being stopped')
    const { program, watchdogMs, lingerMs } = this.options
    if (program === null) {
      throw new LineError('missing', 'clasp-io, which holds GPIO lines, is not installed: install gcc and build again')
    }
    const args = ['--watchdog', String(watchdogMs), '--linger', String(lingerMs)]
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'ignore'] })
    this.child = child
    this.owner.onStarted()
    child.on('error', (error) => this.ended(child, error.message))
    child.on('exit', (code, signal) => this.ended(child, `it ended with ${code ?? signal}`))
    child.stdin?.on('error', () => {
      // It is gone: its exit tells.
    })
    const deframer = new HolderDeframer()
    child.stdout?.on('data', (chunk: Buffer) => deframer.push(chunk, (type, body) => this.receive(child, type, body)))
    this.startBeat()
  }

  send(message: HolderMessage): void {
    this.child?.stdin?.write(message.finish())
  }

  /** It makes all outputs safe, lets go of all lines and ends. */
  async stop(): Promise<void> {
    this.isStopped = true
    const { child } = this
    if (child === null) return
    const gone = new Promise<void>((resolve) => child.once('close', () => resolve()))
    this.send(new HolderMessage(ToHolder.quit))
    child.stdin?.end()
    const timer = this.options.clock.timer(STOP_MS, () => child.kill('SIGKILL'))
    await gone
    timer.cancel()
  }

  private receive(child: ChildProcess, type: number, body: HolderReader): void {
    if (child !== this.child) return
    if (type !== FromHolder.ready) this.owner.onMessage(type, body)
    else if (body.u8() !== HOLDER_VERSION) child.kill('SIGKILL')
  }

  private startBeat(): void {
    this.beat = this.options.clock.timer(this.options.watchdogMs / BEATS_PER_WATCHDOG, () => {
      this.send(new HolderMessage(ToHolder.beat))
      this.startBeat()
    })
  }

  private ended(child: ChildProcess, reason: string): void {
    if (child !== this.child) return
    this.beat?.cancel()
    this.child = null
    const { program } = this.options
    this.owner.onEnded(new LineError('lost', `the program that holds the lines (${program}) is gone: ${reason}`))
  }
}
