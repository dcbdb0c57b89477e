import { Worker } from 'node:worker_threads'
import type { Clock, Timer } from '../router/clock.ts'
import type { FromWorker, JournalFile, StoreProblem, ToWorker } from './messages.ts'

/** A commit that takes longer is given up for now: a medium can hang for minutes before it fails. */
const SILENCE_MS = 30_000

export interface DatabaseHandler {
  onMessage(message: FromWorker): void
  /** The thread has ended by itself, or has not answered a commit for long. What it was given is not stored. */
  onGone(problem: StoreProblem): void
}

/**
 * The thread that owns the database, as the router's thread sees it: starts it on the first `open`, and anew when it has
 * ended. Messages to a thread that has ended are lost; its end has been told.
 */
export class DatabaseThread {
  private readonly program: string
  private readonly file: JournalFile
  private readonly clock: Clock
  private readonly handler: DatabaseHandler
  private worker: Worker | null = null
  private silence: Timer | null = null

  /** `program` is the path of the worker's bundle. */
  constructor(program: string, file: JournalFile, clock: Clock, handler: DatabaseHandler) {
    this.program = program
    this.file = file
    this.clock = clock
    this.handler = handler
  }

  get isAlive(): boolean {
    return this.worker !== null
  }

  send(message: ToWorker): void {
    if (message.type === 'open') this.worker ??= this.start()
    if (message.type !== 'commit') {
      this.worker?.postMessage(message)
      return
    }
    this.worker?.postMessage(message, [message.batch])
    this.silence?.cancel()
    this.silence = this.clock.timer(SILENCE_MS, () => {
      this.silence = null
      this.abandon(`the database thread has not answered for ${SILENCE_MS / 1000} s: the medium may be failing`)
    })
  }

  /** Ends the thread, whatever it is doing, and hears nothing of it any more. */
  async terminate(): Promise<void> {
    const { worker } = this
    this.forget()
    await worker?.terminate()
  }

  private start(): Worker {
    const worker = new Worker(this.program, { workerData: this.file })
    let reason = ''
    worker.on('message', (message: FromWorker) => {
      if (worker !== this.worker) return
      if (message.type === 'committed' || message.type === 'failed') {
        this.silence?.cancel()
        this.silence = null
      }
      this.handler.onMessage(message)
    })
    worker.on('error', (error) => {
      reason = error.message
    })
    worker.on('exit', (code) => {
      if (worker === this.worker) this.abandon(reason === '' ? `the database thread ended with code ${code}` : reason)
    })
    return worker
  }

  private abandon(words: string): void {
    const { worker } = this
    this.forget()
    // A thread in the middle of a system call ends when that returns, and lets go of the file then.
    void worker?.terminate()
    this.handler.onGone({ kind: 'io', words: `${words}; it is started again` })
  }

  private forget(): void {
    this.worker = null
    this.silence?.cancel()
    this.silence = null
  }
}
