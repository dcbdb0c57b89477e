import type { AddressEntry } from '../router/address-table.ts'
import type { Clock, Timer } from '../router/clock.ts'
import type { Journal, ReplayQuery, ReplaySink } from '../router/journal.ts'
import type { Log } from '../router/log.ts'
import type { Param, Writer } from '../router/param.ts'
import type { PublishView } from '../router/publish-view.ts'
import { Committer, WEAR_META } from './committer.ts'
import { DatabaseThread } from './database-thread.ts'
import { DurabilityRules } from './durability.ts'
import { HistoryQueue } from './history-queue.ts'
import { HistoryReader } from './history-reader.ts'
import type { JournalOptions } from './journal-options.ts'
import type { JournaledRouter } from './journaled-router.ts'
import { type FromWorker, type JournalStats, NO_STATS, type OpenSummary, type StoreProblem } from './messages.ts'
import { RecordIds } from './record-ids.ts'
import { defaultRecordRules, RecordRules } from './record-rules.ts'
import { Recorder } from './recorder.ts'
import { Restorer } from './restorer.ts'
import { Slots } from './slots.ts'
import { StateWriter } from './state-writer.ts'
import type { JournalState, JournalStatistics } from './statistics.ts'
import { StoredUplink } from './stored-uplink.ts'
import { WearBudget } from './wear.ts'

/** A database that cannot be used is tried again after so long, then ever later. */
const FIRST_RETRY_MS = 5000
const LAST_RETRY_MS = 30_000
/** A thread that has ended is most likely back at once. */
const RESTART_MS = 1000
/** A start goes on in memory when the database takes longer: it may be repairing itself. */
const OPEN_LIMIT_MS = 60_000
/** A stop gives up when the medium has taken nothing for so long, or after so long altogether. */
const STOP_SILENCE_MS = 5000
const STOP_LIMIT_MS = 30_000
const STATS_AGE_MS = 10_000
const STOPPING = 'the router is stopping'
const DAY_US = 86_400_000_000

export interface JournalParts {
  router: JournaledRouter
  clock: Clock
  log: Log
  /** The bundle of `journal-worker.ts`. */
  program: string
}

/**
 * Starts the journal: when it resolves, the router holds what was stored. Never rejects: without a database the journal
 * runs in memory, says so, and tries again. The caller then sets `router.journal`.
 */
export async function startJournal(options: JournalOptions, parts: JournalParts): Promise<RunningJournal> {
  const journal = new RunningJournal(options, parts)
  await journal.start()
  return journal
}

/** The journal of a running router. */
export class RunningJournal implements Journal {
  /** The uplink's memory. */
  readonly uplink: StoredUplink
  private readonly parts: JournalParts
  private readonly wear: WearBudget
  private readonly history: HistoryQueue
  private readonly writer: StateWriter
  private readonly committer: Committer
  private readonly recorder: Recorder
  private readonly restorer: Restorer
  private readonly reader: HistoryReader
  private readonly thread: DatabaseThread
  private problem: StoreProblem | null = { kind: 'io', words: 'the database is being opened' }
  private isOpen = false
  private sawNothingYet = true
  private isStopped = false
  private retryTimer: Timer | null = null
  private retryMs = FIRST_RETRY_MS
  private movedTo = ''
  private state: JournalState = 'memory'
  private sinceUs: number
  private bytesWritten = 0
  private bytesToday = 0
  private day = 0
  private stats: JournalStats | null = null
  private statsAt = Number.NEGATIVE_INFINITY
  private onSettled: () => void = () => {}
  private onClosed: () => void = () => {}

  constructor(options: JournalOptions, parts: JournalParts) {
    const { router, clock } = parts
    const { folder, retention, checkpointMs } = options
    this.parts = parts
    this.sinceUs = clock.wallUs()
    const ids = new RecordIds()
    const records = options.record.length > 0 ? options.record : defaultRecordRules
    const slots = new Slots(new DurabilityRules(options.durability), new RecordRules(records))
    this.wear = new WearBudget(options.budgetBytesPerDay, clock.now())
    this.history = new HistoryQueue(options.maxQueueBytes)
    this.uplink = new StoredUplink(
      (entry) => this.recorder.onMark(entry),
      () => this.committer.nudge(),
      () => this.isOpen,
      // Ids that are stored were counted up from 1.
      clock.wallUs(),
    )
    const { history, wear, uplink } = this
    const writing = { router, clock, slots, ids, history, wear, uplink, checkpointMs }
    this.writer = new StateWriter(writing)
    this.committer = new Committer({
      ...writing,
      writer: this.writer,
      send: (id, batch) => this.thread.send({ type: 'commit', id, batch }),
      onDurable: (ticket) => router.releaseAnswers(ticket),
      onNotStored: (ticket) => router.refuseAnswers(ticket, 503, `applied, but not stored: ${this.problem?.words}`),
    })
    this.recorder = new Recorder(router, slots, history, this.committer, wear)
    this.restorer = new Restorer({ router, slots, ids, committer: this.committer, writer: this.writer, uplink })
    this.reader = new HistoryReader((message) => this.thread.send(message))
    this.thread = new DatabaseThread(parts.program, { folder, retention }, clock, {
      onMessage: (message) => this.onMessage(message),
      onGone: (problem) => this.degrade(problem, this.isOpen),
    })
  }

  /** Resolves when the database is open, or is known not to be. */
  async start(): Promise<void> {
    const settled = new Promise<void>((resolve) => {
      this.onSettled = resolve
    })
    const limit = this.parts.clock.timer(OPEN_LIMIT_MS, () => {
      this.parts.log.warn('journal: opening takes long, the router starts without what is stored')
      this.onSettled()
    })
    this.open()
    await settled
    limit.cancel()
  }

  onSet(entry: AddressEntry, param: Param): number {
    return this.recorder.onSet(entry, param)
  }

  onPublish(entry: AddressEntry, view: PublishView, author: Writer): void {
    this.recorder.onPublish(entry, view, author)
  }

  onRemoved(entry: AddressEntry, param: Param): void {
    this.recorder.onRemoved(entry, param)
  }

  /** What waits to be recorded is stored first, so that the answer holds all that happened before the question. */
  replay(query: ReplayQuery, sink: ReplaySink): void {
    this.committer.whenRecorded((isStored) => {
      if (sink.isCancelled) return
      if (isStored) this.reader.start(query, sink)
      else sink.end(this.problem?.words)
    })
  }

  get statistics(): JournalStatistics {
    this.refreshStats()
    this.updateState()
    const { wear, history, writer, committer, recorder, restorer, problem, stats } = this
    return {
      state: this.state,
      sinceUs: this.sinceUs,
      reason: this.reason(),
      durableWithinMs: problem === null ? Math.max(1000, Math.round(wear.intervalMs(this.parts.clock.now()))) : null,
      params: stats?.params ?? 0,
      tombstones: stats?.tombstones ?? 0,
      entries: stats?.entries ?? 0,
      fileBytes: stats?.fileBytes ?? 0,
      restored: restorer.restored,
      pendingParams: committer.pending,
      pendingEntries: history.added - history.stored,
      queueBytes: history.bytes,
      commits: committer.stored,
      isCommitting: committer.isCommitting,
      lastCommitMs: Math.round(committer.lastCommitMs * 10) / 10,
      bytesWritten: this.bytesWritten,
      bytesToday: this.bytesToday,
      unchanged: writer.unchanged,
      thinned: recorder.thinned + writer.spared,
      lost: history.lost,
      movedTo: this.movedTo,
    }
  }

  /**
   * Stores what is not stored and closes the database; gives up when the medium takes nothing for five seconds, after
   * half a minute, or when the signal says so.
   */
  async stop(signal?: AbortSignal): Promise<void> {
    if (this.isStopped) return
    this.isStopped = true
    this.retryTimer?.cancel()
    this.retryTimer = null
    if (!signal?.aborted) await this.finish(signal)
    const { pending } = this.committer
    if (pending > 0) this.parts.log.warn('journal: stopped before everything was stored', { params: pending })
    this.isOpen = false
    this.problem ??= { kind: 'gone', words: STOPPING }
    this.committer.close()
    this.reader.abandon(STOPPING)
    await this.thread.terminate()
  }

  private async finish(signal?: AbortSignal): Promise<void> {
    let giveUp = (): void => {}
    const limit = new Promise<void>((resolve) => {
      giveUp = resolve
    })
    const { clock } = this.parts
    const giveUpAt = clock.now() + STOP_LIMIT_MS
    const watch = (stored: number): Timer =>
      clock.timer(STOP_SILENCE_MS, () => {
        if (this.committer.stored === stored || clock.now() >= giveUpAt) giveUp()
        else timer = watch(this.committer.stored)
      })
    let timer = watch(this.committer.stored)
    signal?.addEventListener('abort', giveUp, { once: true })
    const finished = new Promise<void>((resolve) => this.committer.finish(resolve)).then(() => this.closed())
    await Promise.race([finished, limit])
    timer.cancel()
    signal?.removeEventListener('abort', giveUp)
  }

  private closed(): Promise<void> {
    if (!this.thread.isAlive) return Promise.resolve()
    return new Promise((resolve) => {
      this.onClosed = resolve
      this.thread.send({ type: 'close' })
    })
  }

  private open(): void {
    this.retryTimer = null
    this.restorer.begin()
    this.thread.send({ type: 'open' })
  }

  private onMessage(message: FromWorker): void {
    switch (message.type) {
      case 'stored':
        this.restorer.take(message.batch)
        return
      case 'opened':
        this.onOpened(message.summary)
        return
      case 'unavailable':
      case 'failed':
        this.degrade(message.problem)
        return
      case 'committed':
        this.count(message.bytes)
        this.committer.committed(message.id, message.bytes)
        this.updateState()
        return
      case 'page':
        this.reader.onPage(message)
        return
      case 'stats':
        this.stats = message.stats
        return
      case 'closed':
        this.onClosed()
    }
  }

  private onOpened(summary: OpenSummary): void {
    const { log, clock } = this.parts
    const isFirst = this.sawNothingYet
    this.sawNothingYet = false
    this.restorer.finish(summary)
    if (isFirst) this.resumeWear()
    this.count(summary.bytes)
    this.wear.spend(summary.bytes, clock.now())
    if (summary.movedTo !== undefined) {
      this.movedTo = summary.movedTo
      const { params = 0, entries = 0, lost = '' } = summary.recovered ?? {}
      log.warn('journal: the database was damaged and has been moved aside', {
        movedTo: summary.movedTo,
        params,
        entries,
        lost,
      })
    }
    const { params, tombstones, entries, lastSeq, wasCrash } = summary
    this.stats = { ...NO_STATS, params, tombstones, entries, lastSeq }
    if (isFirst) {
      log.info('journal: state restored', { params: this.restorer.restored, entries, lastSeq, afterCrash: wasCrash })
    }
    if (summary.problem !== undefined) {
      this.degrade(summary.problem)
      return
    }
    if (!isFirst && !this.isOpen) log.info('journal: stores again', { waiting: this.committer.pending })
    this.problem = null
    this.isOpen = true
    this.retryMs = FIRST_RETRY_MS
    this.committer.open()
    this.updateState()
    this.onSettled()
  }

  /** From now on nothing is stored; the database is asked for again. */
  private degrade(problem: StoreProblem, isSoonBack = false): void {
    const isNews = this.isOpen || this.problem?.words !== problem.words
    this.isOpen = false
    this.problem = problem
    this.committer.close()
    this.reader.abandon(problem.words)
    this.updateState()
    if (isNews) this.parts.log.error('journal: nothing is stored for now', { reason: problem.words })
    this.onSettled()
    // The database that has just gone down with its thread needs no goodbye.
    if (!this.thread.isAlive) this.onClosed()
    if (this.isStopped || this.retryTimer !== null) return
    this.retryTimer = this.parts.clock.timer(isSoonBack ? RESTART_MS : this.retryMs, () => this.open())
    if (!isSoonBack) this.retryMs = Math.min(LAST_RETRY_MS, this.retryMs * 2)
  }

  private resumeWear(): void {
    const [credit, atUs] = (this.restorer.text(WEAR_META) ?? '').split(' ').map(Number)
    if (atUs > 0) this.wear.resume(credit, (this.parts.clock.wallUs() - atUs) / 1000)
  }

  private count(bytes: number): void {
    const day = Math.floor(this.parts.clock.wallUs() / DAY_US)
    if (day !== this.day) this.bytesToday = 0
    this.day = day
    this.bytesToday += bytes
    this.bytesWritten += bytes
  }

  private updateState(): void {
    const { problem, wear, movedTo } = this
    const state = problem !== null ? 'memory' : wear.spares ? 'sparing' : movedTo !== '' ? 'repaired' : 'durable'
    if (state === this.state) return
    this.state = state
    this.sinceUs = this.parts.clock.wallUs()
  }

  private reason(): string {
    if (this.problem !== null) return this.problem.words
    if (this.state === 'sparing')
      return 'the write budget is used up: values are written less often, see journal.writeBudget'
    if (this.state === 'repaired')
      return `the database was damaged; what could be read came back, the rest is in ${this.movedTo}`
    return ''
  }

  /** The database thread is asked now and then, not by every reader. */
  private refreshStats(): void {
    const now = this.parts.clock.now()
    if (!this.isOpen || now - this.statsAt < STATS_AGE_MS) return
    this.statsAt = now
    this.thread.send({ type: 'stats', id: 0 })
  }
}
