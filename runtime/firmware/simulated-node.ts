import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Clock, Timer } from '../router/clock.ts'
import type { Log } from '../router/log.ts'

const FIRST_RETRY_MS = 500
const LAST_RETRY_MS = 30_000

/**
 * A microcontroller that exists only as a process: the firmware library on a pseudo-terminal, which is served like any
 * serial port. It is started again when it ends.
 */
export class SimulatedNode {
  /** The serial port to open. */
  readonly port: string
  private readonly program: string
  private readonly folder: string
  private readonly clock: Clock
  private readonly log: Log
  private child: ChildProcess | null = null
  private timer: Timer | null = null
  private failures = 0
  private isStopped = false

  private constructor(program: string, folder: string, clock: Clock, log: Log) {
    this.program = program
    this.folder = folder
    this.port = join(folder, 'port')
    this.clock = clock
    this.log = log
  }

  static async start(program: string, clock: Clock, log: Log): Promise<SimulatedNode> {
    const node = new SimulatedNode(program, await mkdtemp(join(tmpdir(), 'clasp-edge-sim-')), clock, log)
    node.run()
    return node
  }

  async stop(): Promise<void> {
    this.isStopped = true
    this.timer?.cancel()
    const { child } = this
    if (child !== null && child.exitCode === null && child.signalCode === null) {
      const gone = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGTERM')
      await gone
    }
    await rm(this.folder, { recursive: true, force: true })
  }

  private run(): void {
    const startedAt = this.clock.now()
    // It ends by itself when its standard input does, that is, with this process, however that ends.
    const child = spawn(this.program, ['--pty', this.port, '--name', 'sim', '--stdin', '--quiet'], {
      stdio: ['pipe', 'ignore', 'ignore'],
    })
    this.child = child
    child.on('error', (error) => this.ended(startedAt, error.message))
    child.on('exit', (code, signal) => this.ended(startedAt, `exit ${code ?? signal}`))
    child.stdin?.on('error', () => {
      // It is gone: its exit tells.
    })
  }

  private ended(startedAt: number, reason: string): void {
    this.child = null
    if (this.isStopped || this.timer !== null) return
    this.failures = this.clock.now() - startedAt > LAST_RETRY_MS ? 0 : this.failures + 1
    const delayMs = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** this.failures)
    this.log.warn('the simulated microcontroller ended', { reason, again: `in ${delayMs} ms` })
    this.timer = this.clock.timer(delayMs, () => {
      this.timer = null
      this.run()
    })
  }
}
