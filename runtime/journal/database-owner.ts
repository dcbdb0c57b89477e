import type { Clock, Timer } from '../router/clock.ts'
import { DatabaseFiles } from './database-files.ts'
import { DatabaseLock } from './database-lock.ts'
import {
  type FromWorker,
  type JournalFile,
  NO_STATS,
  type OpenSummary,
  type StoreProblem,
  type ToWorker,
} from './messages.ts'
import { OpenDatabase } from './open-database.ts'
import { loadWithoutWriting } from './read-only-state.ts'
import { salvage } from './salvage.ts'
import { SCHEMA_VERSION } from './schema.ts'
import { collectGarbage, type Sqlite, type SqliteConnection, SqliteFailure } from './sqlite.ts'
import { type LoadedState, loadState } from './state-loader.ts'
import { isUnreadable, problemOf } from './store-problem.ts'
import { WriteMeter } from './write-meter.ts'

const RETENTION_INTERVAL_MS = 60_000
const PRESENCE_INTERVAL_MS = 5_000
/** After a crash the structure of a database up to this size is checked; it takes some 1.5 ms for each MiB on a PC. */
const MAX_CHECKED_BYTES = 67_108_864
/** A state from which on loading it leaves much garbage. */
const MANY_PARAMS = 5000

type Repaired = Pick<OpenSummary, 'movedTo' | 'recovered'>
type Send = (message: FromWorker, transfer?: ArrayBuffer[]) => void

const NOT_A_DATABASE = 'all: it is not a database'
const NOT_OPEN: StoreProblem = { kind: 'io', words: 'the database is not open' }

/** Owns the database of a folder: opens it in whatever state it is, and does what the router's thread asks for. */
export class DatabaseOwner {
  private readonly sqlite: Sqlite
  private readonly file: JournalFile
  private readonly files: DatabaseFiles
  private readonly clock: Clock
  private readonly send: Send
  private readonly sendState: (batch: ArrayBuffer) => void
  private lock: DatabaseLock | null = null
  private database: OpenDatabase | null = null
  private problem: StoreProblem = NOT_OPEN
  /** The state has reached the router once: from then on a database that cannot be written to is of no use. */
  private isHandedOut = false
  /** Of this process; -1 = not known yet. */
  private era = -1
  /** What this opening has handed out. */
  private loaded: LoadedState | null = null
  private isRetaining = false
  private retention: Timer | null = null
  private presence: Timer | null = null

  constructor(sqlite: Sqlite, file: JournalFile, clock: Clock, send: Send) {
    this.sqlite = sqlite
    this.file = file
    this.files = new DatabaseFiles(file.folder)
    this.clock = clock
    this.send = send
    this.sendState = (batch) => send({ type: 'stored', batch }, [batch])
  }

  handle(message: ToWorker): void {
    if (message.type === 'open') this.open()
    else if (message.type === 'commit') this.commit(message.id, message.batch)
    else if (message.type === 'replay') this.replay(message)
    else if (message.type === 'stats') this.stats(message.id)
    else if (message.type === 'retain') this.retain()
    else this.close()
  }

  private open(): void {
    this.drop()
    try {
      const summary = this.openSomehow()
      this.isHandedOut = true
      if (summary.problem === undefined) this.problem = NOT_OPEN
      this.send({ type: 'opened', summary })
      // The rows of a large state have left as batches; nothing else would clear them away for hours.
      if (summary.params > MANY_PARAMS) setImmediate(collectGarbage)
    } catch (error) {
      this.problem = problemOf(error, this.file.folder)
      this.send({ type: 'unavailable', problem: this.problem })
    }
  }

  private openSomehow(): OpenSummary {
    const meter = new WriteMeter(this.files.path)
    this.loaded = null
    try {
      this.files.prepare()
      this.own()
      if (!this.files.exists()) this.create(meter)
      return this.openForWriting(meter)
    } catch (error) {
      const problem = problemOf(error, this.file.folder)
      this.drop()
      // On a medium that is read-only now the lock is none once it can be written to.
      this.disown()
      if (this.isHandedOut || problem.kind === 'busy' || !this.files.exists()) throw error
      // The state must come back even from a card that takes nothing any more.
      return this.readOnly(problem)
    }
  }

  private own(): void {
    if (this.lock?.isHeld) return
    this.disown()
    this.lock = new DatabaseLock(this.sqlite, this.file.folder)
  }

  private disown(): void {
    const { lock } = this
    // Whatever comes of it: a lock that cannot be released is of no use.
    this.lock = null
    lock?.release()
  }

  private create(meter: WriteMeter): void {
    this.files.create(this.sqlite)
    meter.addFile(this.files.size())
  }

  private openForWriting(meter: WriteMeter): OpenSummary {
    const whole = this.connect()
    const connection = whole === NOT_A_DATABASE ? (this.connectedToRest() ?? whole) : whole
    const wasEmpty = typeof connection !== 'string' && isEmpty(connection)
    const loaded = typeof connection === 'string' ? null : this.load(connection)
    const isCrash = !wasEmpty && loaded?.wasClean !== true
    const isFit =
      connection === whole && loaded?.isDamaged === false && (!isCrash || this.isSound(connection as SqliteConnection))
    let database = isFit ? this.attach(connection as SqliteConnection, meter) : null
    let repaired: Repaired = {}
    if (database === null) {
      repaired = this.repair(connection, meter)
      database = this.attach(this.connected(), meter)
    }
    if (database === null) throw new SqliteFailure('SQLITE_CORRUPT', 'also after its repair')
    this.database = database
    database.removeOrphans(loaded?.named ?? 0)
    for (const tombstone of loaded?.tombstones ?? []) database.retainer.onParam(tombstone)
    const summary = this.summary(loaded, isCrash, repaired)
    // Also the proof that the medium takes something.
    database.setMeta({ era: String(summary.era), clean: '0' })
    this.startTimers()
    return {
      ...summary,
      // What could not be read of a damaged one may have been the end of its names.
      nextAddress: Math.max(summary.nextAddress, database.nextId('addresses')),
      nextAuthor: Math.max(summary.nextAuthor, database.nextId('authors')),
      entries: database.entries,
      lastSeq: database.lastSeq,
      bytes: meter.take(),
    }
  }

  /** Null = damaged. */
  private attach(connection: SqliteConnection, meter: WriteMeter): OpenDatabase | null {
    try {
      return new OpenDatabase(connection, this.files, this.file.retention, this.clock, meter)
    } catch (error) {
      if (isUnreadable(error)) return null
      connection.close()
      throw error
    }
  }

  /** A connection to a database of this version, or why it is of no use. */
  private connect(): SqliteConnection | string {
    // SQLite would take it for a new one, and delete the log.
    if (this.files.isZeroLength()) return 'all: it is empty'
    let connection: SqliteConnection | null = null
    let reason = NOT_A_DATABASE
    try {
      connection = this.connected()
      const version = connection.prepare('PRAGMA user_version').all([])[0][0] as number
      if (version === SCHEMA_VERSION) return connection
      reason = version > SCHEMA_VERSION ? `all: a newer version wrote it (schema ${version})` : 'all: it is no journal'
    } catch (error) {
      if (problemOf(error, this.file.folder).kind !== 'corrupt') {
        connection?.close()
        throw error
      }
    }
    connection?.close()
    return reason
  }

  /** A connection to what is left of a file that is shorter than its first page says; SQLite refuses it otherwise. */
  private connectedToRest(): SqliteConnection | null {
    const connection = this.sqlite.open(this.files.path)
    try {
      connection.exec('PRAGMA writable_schema = ON')
      connection.prepare('SELECT count(*) FROM sqlite_master').all([])
      return connection
    } catch (error) {
      connection.close()
      if (isUnreadable(error)) return null
      throw error
    }
  }

  private connected(): SqliteConnection {
    const connection = this.sqlite.open(this.files.path)
    try {
      OpenDatabase.configure(connection)
    } catch (error) {
      connection.close()
      throw error
    }
    return connection
  }

  private load(connection: SqliteConnection): LoadedState {
    this.loaded = loadState(connection, this.sendState)
    return this.loaded
  }

  private isSound(connection: SqliteConnection): boolean {
    // Found while it was in use.
    if (this.problem.kind === 'corrupt') return false
    if (this.files.size() > MAX_CHECKED_BYTES) return true
    try {
      return connection.prepare('PRAGMA quick_check(1)').all([])[0]?.[0] === 'ok'
    } catch (error) {
      if (isUnreadable(error)) return false
      throw error
    }
  }

  private repair(damaged: SqliteConnection | string, meter: WriteMeter): Repaired {
    try {
      let recovered: OpenSummary['recovered']
      const movedTo = this.files.replace(this.sqlite, new Date(this.clock.wallUs() / 1000), (target) => {
        recovered = salvage(damaged, target)
      })
      meter.addFile(this.files.size())
      return { movedTo, recovered }
    } finally {
      if (typeof damaged !== 'string') damaged.close()
    }
  }

  private summary(loaded: LoadedState | null, isCrash: boolean, repaired: Repaired): OpenSummary {
    const isRepaired = repaired.movedTo !== undefined
    const wasCrash = isRepaired || (isCrash && this.era < 0)
    this.era = Math.max(this.era, (loaded?.era ?? 0) + (wasCrash ? 1 : 0))
    // What counted the crashes is lost: the hours go on counting for it, faster than any router crashes.
    if (isRepaired && loaded?.isEraKnown !== true) this.era = Math.max(this.era, hoursSince2020(this.clock.wallUs()))
    return {
      params: loaded?.params ?? 0,
      tombstones: loaded?.tombstones.length ?? 0,
      entries: 0,
      lastSeq: 0,
      nextAddress: loaded?.nextAddress || 1,
      nextAuthor: loaded?.nextAuthor || 1,
      nextEvent: loaded?.nextEvent ?? 1,
      wasCrash,
      era: this.era,
      bytes: 0,
      ...repaired,
    }
  }

  /** Hands out what is stored; nothing else can be done. */
  private readOnly(problem: StoreProblem): OpenSummary {
    this.problem = problem
    const loaded = this.loaded ?? loadWithoutWriting(this.sqlite, this.files, this.sendState)
    if (loaded === null) throw new SqliteFailure('SQLITE_CANTOPEN', problem.words)
    return { ...this.summary(loaded, !loaded.wasClean, {}), problem }
  }

  private commit(id: number, batch: ArrayBuffer): void {
    const { database } = this
    if (database === null) {
      this.send({ type: 'failed', id, problem: this.problem })
      return
    }
    try {
      database.commit(batch)
      if (database.isGone) throw gone()
    } catch (error) {
      this.give(error)
      this.send({ type: 'failed', id, problem: this.problem })
      return
    }
    this.send({ type: 'committed', id, bytes: database.meter.take() })
    this.attempt(() => database.checkpointIfDue())
  }

  private replay({ id, query, afterSeq, maxEntries }: ToWorker & { type: 'replay' }): void {
    try {
      if (this.database === null) throw new SqliteFailure('CLOSED', this.problem.words)
      const { batch, seqs, ...rest } = this.database.page(query, afterSeq, maxEntries)
      const numbers = Float64Array.from(seqs)
      this.send({ type: 'page', id, batch, seqs: numbers, ...rest }, [batch, numbers.buffer])
    } catch (error) {
      const wasOpen = this.database !== null
      if (wasOpen) this.give(error)
      const batch = new ArrayBuffer(0)
      const problem = this.problem.words
      this.send({ type: 'page', id, batch, seqs: new Float64Array(0), lastSeq: afterSeq, isLast: true, problem })
      if (wasOpen) this.send({ type: 'unavailable', problem: this.problem })
    }
  }

  private stats(id: number): void {
    const { database } = this
    let stats = NO_STATS
    if (database !== null)
      this.attempt(() => {
        stats = database.stats()
      })
    this.send({ type: 'stats', id, stats })
  }

  /** Slices follow each other with the messages that have arrived in between. */
  private retain(): void {
    if (this.isRetaining) return
    this.isRetaining = true
    this.clock.afterTurn(() => {
      this.isRetaining = false
      const { database } = this
      if (database === null) return
      this.attempt(() => {
        const isMore = database.retain()
        database.checkpointIfDue()
        if (isMore) this.retain()
      })
    })
  }

  private close(): void {
    const { database } = this
    if (database !== null) this.attempt(() => database.finish())
    this.drop()
    this.disown()
    this.send({ type: 'closed' })
  }

  /** What nobody waits for: a failure is told unasked. */
  private attempt(work: () => void): void {
    try {
      work()
    } catch (error) {
      this.give(error)
      this.send({ type: 'unavailable', problem: this.problem })
    }
  }

  /** The database is of no use after this error. */
  private give(error: unknown): void {
    this.problem = problemOf(error, this.file.folder)
    this.drop()
  }

  private drop(): void {
    this.retention?.cancel()
    this.presence?.cancel()
    this.database?.close()
    this.database = null
  }

  private startTimers(): void {
    const retain = () => {
      this.retention = this.clock.timer(RETENTION_INTERVAL_MS, retain)
      this.retain()
    }
    const look = () => {
      this.presence = this.clock.timer(PRESENCE_INTERVAL_MS, look)
      this.attempt(() => {
        if (this.database?.isGone) throw gone()
      })
    }
    this.retention = this.clock.timer(RETENTION_INTERVAL_MS, retain)
    this.presence = this.clock.timer(PRESENCE_INTERVAL_MS, look)
  }
}

function gone(): SqliteFailure {
  return new SqliteFailure('GONE', 'deleted')
}

/** Made a moment ago, not left by a crash. */
function isEmpty(connection: SqliteConnection): boolean {
  try {
    return connection.prepare('SELECT count(*) FROM meta').all([])[0][0] === 0
  } catch (error) {
    if (isUnreadable(error)) return false
    throw error
  }
}

/** 0 where the clock is not set. Two million eras have room in a revision: 228 years. */
function hoursSince2020(wallUs: number): number {
  return Math.max(0, Math.floor((wallUs / 1e6 - 1_577_836_800) / 3600))
}
