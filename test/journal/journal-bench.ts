import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type RunningJournal, startJournal } from '../../runtime/journal/journal.ts'
import { defaultJournalOptions, type JournalOptions } from '../../runtime/journal/journal-options.ts'
import { type Clock, systemClock } from '../../runtime/router/clock.ts'
import { type Log, silentLog } from '../../runtime/router/log.ts'
import type { RouterOptions } from '../../runtime/router/options.ts'
import { Bench, type Peer } from '../router/fixture.ts'

export const realProgram = join(process.cwd(), 'dist', 'journal-worker.cjs')

export interface JournalSetup {
  folder?: string
  /** Default: the real database thread. */
  program?: string
  journal?: Partial<JournalOptions>
  router?: Partial<RouterOptions>
  clock?: Clock
  log?: Log
}

/** A router behind a real port with a journal on a temporary folder. `stop` is clean; `crash` stores nothing more. */
export class JournalBench {
  readonly folder: string
  readonly journal: RunningJournal
  private readonly bench: Bench
  private readonly isOwnFolder: boolean

  private constructor(bench: Bench, journal: RunningJournal, folder: string, isOwnFolder: boolean) {
    this.bench = bench
    this.journal = journal
    this.folder = folder
    this.isOwnFolder = isOwnFolder
  }

  static async start(setup: JournalSetup = {}): Promise<JournalBench> {
    const { clock = systemClock, log = silentLog, program = realProgram } = setup
    const folder = setup.folder ?? mkdtempSync(join(tmpdir(), 'clasp-journal-'))
    const bench = await Bench.start({ options: setup.router, clock, log })
    const { router } = bench
    const journal = await startJournal(
      { ...defaultJournalOptions, folder, ...setup.journal },
      { router, clock, log, program },
    )
    router.journal = journal
    return new JournalBench(bench, journal, folder, setup.folder === undefined)
  }

  get router() {
    return this.bench.router
  }

  join(name?: string): Promise<Peer> {
    return this.bench.join(name)
  }

  /** Ends as a power cut would: what no commit has taken along is lost. */
  async crash(): Promise<void> {
    await this.journal.stop(AbortSignal.abort())
    await this.bench.stop()
  }

  async stop(): Promise<void> {
    await this.journal.stop()
    await this.bench.stop()
  }

  /** Stops, if that has not been done, and removes the folder if it was made for this. */
  async end(): Promise<void> {
    await this.stop()
    if (this.isOwnFolder) rmSync(this.folder, { recursive: true, force: true })
  }
}
