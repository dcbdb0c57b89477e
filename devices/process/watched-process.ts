import { type ChildProcess, spawn } from 'node:child_process'
import type { DeviceClock } from '../device.ts'
import { FromProgram, MessageDeframer, type MessageReader, ProgramMessage, ToProgram } from './program-messages.ts'

export interface WatchOptions {
  clock: DeviceClock
  /** Outputs become safe when this process says nothing for so long. */
  watchdogMs: number
  /** How long the program stays for its outputs when this process has ended without a goodbye. */
  lingerMs: number
}

export interface WatchedProcessOptions extends WatchOptions {
  /** Before those of the watchdog. */
  args: readonly string[]
  /** Of its messages. */
  version: number
}

export interface WatchedProcessOwner {
  onMessage(type: number, body: MessageReader): void
  /** It ended by itself, or was killed. */
  onEnded(reason: string): void
}

/** What a program that reads nothing is not sent more of. */
const MOST_UNREAD_BYTES = 65_536
/** Four beats must get lost in a row. */
const BEATS_PER_WATCHDOG = 4
const STOP_MS = 1000
/**
 * What waits in the pipe may be thousands of edges; others get their turn in between. 128 take 0.2 ms on a desktop, about
 * ten times as long on the smallest board.
 */
const MESSAGES_PER_TURN = 128

/**
 * A program beside this process that looks after outputs: messages to and from it, and the beat that tells it that this
 * process is well. It runs from the beginning.
 */
export class WatchedProcess {
  private readonly options: WatchedProcessOptions
  private readonly owner: WatchedProcessOwner
  private readonly child: ChildProcess
  private readonly closed: Promise<void>
  private readonly deframer = new MessageDeframer()
  private beat: { cancel(): void } | null = null
  private isRunning = true

  constructor(program: string, options: WatchedProcessOptions, owner: WatchedProcessOwner) {
    this.options = options
    this.owner = owner
    const { args, watchdogMs, lingerMs } = options
    const child: ChildProcess = spawn(
      program,
      [...args, '--watchdog', String(watchdogMs), '--linger', String(lingerMs)],
      {
        stdio: ['pipe', 'pipe', 'ignore'],
      },
    )
    this.child = child
    this.closed = new Promise((resolve) => child.once('close', () => resolve()))
    child.on('error', (error) => this.ended(error.message))
    // Not at its exit: what it told last may still be on the way.
    child.on('close', (code, signal) => this.ended(`it ended with ${code ?? signal}`))
    child.stdin?.on('error', () => {
      // It is gone: its exit tells.
    })
    child.stdout?.on('data', (chunk: Buffer) => {
      this.deframer.add(chunk)
      this.handle()
    })
    this.startBeat()
  }

  get pid(): number | undefined {
    return this.child.pid
  }

  send(message: ProgramMessage): void {
    this.child.stdin?.write(message.finish())
  }

  /** It makes all outputs safe and ends. Does not wait longer than 2 s for one that hangs in the kernel. */
  async stop(): Promise<void> {
    if (!this.isRunning) return
    this.send(new ProgramMessage(ToProgram.quit))
    this.child.stdin?.end()
    const { clock } = this.options
    const timers = [clock.timer(STOP_MS, () => this.kill())]
    const tooLong = new Promise<void>((resolve) => timers.push(clock.timer(2 * STOP_MS, resolve)))
    await Promise.race([this.closed, tooLong])
    for (const timer of timers) timer.cancel()
  }

  /** Outputs stay as they are. Resolves when it is gone; one that hangs in the kernel does not go. */
  async kill(): Promise<void> {
    if (!this.isRunning) return
    this.child.kill('SIGKILL')
    await this.closed
  }

  private readonly handle = (): void => {
    const isMore = this.deframer.take(MESSAGES_PER_TURN, this.onMessage)
    if (!isMore) {
      this.child.stdout?.resume()
      return
    }
    this.child.stdout?.pause()
    setImmediate(this.handle)
  }

  private readonly onMessage = (type: number, body: MessageReader): void => this.receive(type, body)

  private receive(type: number, body: MessageReader): void {
    if (!this.isRunning) return
    if (type !== FromProgram.ready) this.owner.onMessage(type, body)
    else if (body.u8() !== this.options.version) this.kill()
  }

  private startBeat(): void {
    this.beat = this.options.clock.timer(this.options.watchdogMs / BEATS_PER_WATCHDOG, () => {
      const { stdin } = this.child
      if (stdin !== null && stdin.writableLength < MOST_UNREAD_BYTES) this.send(new ProgramMessage(ToProgram.beat, 0))
      this.startBeat()
    })
  }

  private ended(reason: string): void {
    if (!this.isRunning) return
    this.isRunning = false
    this.beat?.cancel()
    this.owner.onEnded(reason)
  }
}
