import type { SignalDefinition } from '../../firmware-protocol/wire/message.ts'
import type { Pattern } from '../../firmware-protocol/wire/pattern.ts'
import { BackOff } from '../client/back-off.ts'
import type { Client } from '../client/client.ts'
import type { Clock, Timer } from '../router/clock.ts'
import type { LocalSession, LocalSessionOptions } from '../router/local-session.ts'
import type { Log } from '../router/log.ts'
import type { Mapper } from '../routes/mapper.ts'
import type { BridgeContext, BridgeKind, BridgeProgram, RunningBridge, WebSurface } from './bridge.ts'
import type { BridgeEntry } from './bridge-entry.ts'
import { RouterSession } from './bridge-session.ts'
import { type BridgeReport, BridgeStatus } from './bridge-status.ts'
import type { MirrorGuard } from './mirror-guard.ts'

const FIRST_RETRY_MS = 1000
const LAST_RETRY_MS = 30_000
/** A connection that held for so long starts the delays anew. */
const STABLE_MS = 30_000
/** Bridges.md §2.7. */
const STOP_DEADLINE_MS = 2000

export interface RunnerParts {
  openLocal(options: LocalSessionOptions): LocalSession
  openClient(name: string): Promise<Client>
  announced(pattern: Pattern): readonly SignalDefinition[]
  program(name: BridgeProgram): Promise<string | null>
  /** Of the entry's rules, for each direction; made anew for each start. */
  mapper(direction: 'in' | 'out'): Mapper | null
  clock: Clock
  log: Log
  folder: string | undefined
  web: WebSurface
  mirrors: MirrorGuard
  random: () => number
}

/** One configured bridge: opened, and again after it failed; never a reason for others to stop. */
export class BridgeRunner {
  readonly entry: BridgeEntry
  private readonly kind: BridgeKind
  private readonly parts: RunnerParts
  private readonly status: BridgeStatus
  private readonly backOff: BackOff
  private bridge: RunningBridge | null = null
  private session: RouterSession | null = null
  private aborter = new AbortController()
  private work: Promise<void> = Promise.resolve()
  private retry: Timer | null = null
  /** When it was opened; null: it failed since then. */
  private openedAt: number | null = null
  private isWanted = false
  private isOver = false
  /** While it is being opened: it is to be over soon. */
  private giveUpOpening: (() => void) | null = null

  constructor(entry: BridgeEntry, kind: BridgeKind, parts: RunnerParts) {
    this.entry = entry
    this.kind = kind
    this.parts = parts
    this.backOff = new BackOff({ baseMs: FIRST_RETRY_MS, capMs: LAST_RETRY_MS, random: parts.random })
    this.status = new BridgeStatus(entry, {
      openLocal: (options) => parts.openLocal(options),
      clock: parts.clock,
      log: parts.log,
      onEnabled: (isWanted) => this.onEnabled(isWanted),
    })
  }

  get report(): BridgeReport {
    return this.status.report
  }

  /** Resolves when it was tried for the first time. */
  start(): Promise<void> {
    // First, for what it tells comes back to it.
    this.isWanted = true
    this.status.tellEnabled()
    return this.resume()
  }

  /** For good: whoever enables it now comes too late. A foreign side that does not answer is waited for no longer. */
  giveUp(): void {
    this.isOver = true
    this.halt()
  }

  private resume(): Promise<void> {
    this.isWanted = true
    return this.afterwards(() => this.open())
  }

  /** All that it opened is closed when it resolves. The entry stays, and its status can be seen. */
  private pause(): Promise<void> {
    this.halt()
    return this.afterwards(async () => {
      this.status.enter('stopping', '')
      await this.close()
      this.status.enter('stopped', '')
    })
  }

  private halt(): void {
    this.isWanted = false
    this.retry?.cancel()
    this.giveUpOpening?.()
  }

  async stop(): Promise<void> {
    this.isOver = true
    await this.pause()
    this.status.close()
  }

  private afterwards(step: () => Promise<void>): Promise<void> {
    this.work = this.work.then(step).catch((error) => this.fail(error))
    return this.work
  }

  private async open(): Promise<void> {
    if (!this.isWanted || this.bridge !== null) return
    this.retry?.cancel()
    const { parts, entry } = this
    this.status.enter('starting', '')
    const aborter = new AbortController()
    this.aborter = aborter
    const session = new RouterSession({
      openLocal: (options) => parts.openLocal(options),
      name: `bridge ${entry.id}`,
      clock: parts.clock,
      counters: this.status.traffic,
      mapIn: parts.mapper('in'),
      mapOut: parts.mapper('out'),
      onLoop: (address) =>
        this.status.problem(
          'loop',
          `values go round in circles at ${address}: it rests for 5 s; is there a second bridge?`,
        ),
    })
    this.session = session
    try {
      const open = await this.kind.load()
      this.bridge = await this.openedInTime(open(this.context(aborter, session)), aborter)
    } catch (error) {
      aborter.abort()
      await this.close()
      this.fail(error as Error)
      return
    }
    this.openedAt = parts.clock.now()
    // It may have said meanwhile that it works in part, or that it is lost.
    if (this.status.state === 'starting' && !aborter.signal.aborted) this.status.enter('running', '')
  }

  /** Rejects when it is given up and the bridge does not end what it does in time; if it opens later, it is stopped then. */
  private async openedInTime(opening: Promise<RunningBridge>, aborter: AbortController): Promise<RunningBridge> {
    let deadline: Timer | undefined
    const late = new Promise<never>((_, reject) => {
      this.giveUpOpening = () => {
        this.giveUpOpening = null
        aborter.abort()
        deadline = this.parts.clock.timer(STOP_DEADLINE_MS, () => reject(new Error('it was stopped while it opened')))
      }
    })
    try {
      return await Promise.race([opening, late])
    } catch (error) {
      opening.then((bridge) => bridge.stop()).catch(() => {})
      throw error
    } finally {
      this.giveUpOpening = null
      deadline?.cancel()
    }
  }

  private context(aborter: AbortController, session: RouterSession): BridgeContext {
    const { parts, entry } = this
    const isCurrent = () => aborter === this.aborter && !aborter.signal.aborted
    return {
      id: entry.id,
      namespace: entry.namespace,
      options: entry.options,
      clock: parts.clock,
      log: parts.log,
      signal: aborter.signal,
      router: session,
      counters: this.status.traffic,
      mirrors: parts.mirrors,
      folder: parts.folder,
      random: parts.random,
      openClient: (name) => parts.openClient(name),
      announced: (pattern) => parts.announced(pattern),
      program: (name) => parts.program(name),
      web: parts.web,
      tell: (state, reason = '') => {
        if (isCurrent()) this.status.enter(state, reason)
      },
      setPeers: (count) => this.status.setPeers(count),
      problem: (code, message) => this.status.problem(code, message),
      lost: (error) => {
        if (!isCurrent()) return
        aborter.abort()
        void this.afterwards(async () => {
          await this.close()
          this.fail(error)
        })
      },
    }
  }

  private fail(error: Error): void {
    if (!this.isWanted) return
    this.status.fail(error.message)
    if (this.openedAt !== null && this.parts.clock.now() - this.openedAt >= STABLE_MS) this.backOff.reset()
    // Tries that fail after that count again.
    this.openedAt = null
    this.retry?.cancel()
    this.retry = this.parts.clock.timer(this.backOff.next(), () => void this.afterwards(() => this.open()))
  }

  private async close(): Promise<void> {
    const { bridge, session } = this
    this.bridge = null
    this.session = null
    if (bridge !== null) await this.stopInTime(bridge)
    this.aborter.abort()
    session?.close()
    this.status.setPeers(0)
  }

  private async stopInTime(bridge: RunningBridge): Promise<void> {
    let deadline: Timer | undefined
    const late = new Promise<void>((resolve) => {
      deadline = this.parts.clock.timer(STOP_DEADLINE_MS, () => {
        this.status.problem('stop', 'it did not stop in time')
        resolve()
      })
    })
    try {
      await Promise.race([bridge.stop(), late])
    } catch (error) {
      this.status.problem('stop', (error as Error).message)
    }
    deadline?.cancel()
  }

  private onEnabled(isWanted: boolean): void {
    if (isWanted === this.isWanted || this.isOver) return
    void (isWanted ? this.resume() : this.pause())
  }
}
