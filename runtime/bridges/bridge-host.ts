import { isDeepStrictEqual } from 'node:util'
import type { SignalDefinition } from '../../firmware-protocol/wire/message.ts'
import type { Pattern } from '../../firmware-protocol/wire/pattern.ts'
import type { Client } from '../client/client.ts'
import type { Clock } from '../router/clock.ts'
import type { LocalSession, LocalSessionOptions } from '../router/local-session.ts'
import type { Log } from '../router/log.ts'
import { compileMapper } from '../routes/compile-mapper.ts'
import type { BridgeKind, BridgeProgram, WebSurface } from './bridge.ts'
import type { BridgeEntry } from './bridge-entry.ts'
import { bridgeKinds } from './bridge-kinds.ts'
import { BridgeRunner } from './bridge-runner.ts'
import type { BridgeReport } from './bridge-status.ts'
import { type FrameRouter, openLocalClient } from './local-client.ts'
import { MirrorGuard } from './mirror-guard.ts'

export interface BridgeParts {
  router: FrameRouter & {
    openLocal(options: LocalSessionOptions): LocalSession
    announced(pattern: Pattern): readonly SignalDefinition[]
  }
  clock: Clock
  log: Log
  /** For what bridges keep over a restart; undefined: nothing. */
  folder: string | undefined
  web: WebSurface
  findProgram?(name: BridgeProgram): Promise<string | null>
  random?: () => number
  /** Instead of those in the registry, in tests. */
  kinds?: readonly BridgeKind[]
}

/** All configured bridges while they run. */
export class BridgeHost {
  private readonly parts: BridgeParts
  private readonly mirrors: MirrorGuard
  private readonly runners = new Map<string, BridgeRunner>()
  private wanted: readonly BridgeEntry[] = []
  /** They are to be stopped, even where the same entry is wanted again meanwhile. */
  private readonly condemned = new Set<BridgeRunner>()
  private work: Promise<void> = Promise.resolve()
  private isStopped = false

  constructor(parts: BridgeParts) {
    this.parts = parts
    this.mirrors = new MirrorGuard(parts.clock)
  }

  get reports(): readonly BridgeReport[] {
    return [...this.runners.values()].map(({ report }) => report)
  }

  /**
   * From now on these are the bridges: new ones start, others stop, changed ones do both, the rest does not notice.
   * Resolves when each was tried once.
   */
  apply(entries: readonly BridgeEntry[]): Promise<void> {
    if (this.isStopped) return this.work
    this.wanted = entries
    // What is on its way and not wanted any more does not keep the others waiting.
    for (const runner of this.gone()) {
      this.condemned.add(runner)
      runner.giveUp()
    }
    const change = () => this.change()
    this.work = this.work.then(change, change)
    return this.work
  }

  /** Foreign sides have their safe states, and all is closed, when it resolves. */
  stop(): Promise<void> {
    const stopped = this.apply([])
    this.isStopped = true
    return stopped
  }

  private gone(): BridgeRunner[] {
    return [...this.runners.values()].filter(
      (runner) => this.condemned.has(runner) || !this.wanted.some((wanted) => isDeepStrictEqual(wanted, runner.entry)),
    )
  }

  /** Of several that wait for their turn each makes true what is wanted by then. */
  private async change(): Promise<void> {
    const gone = this.gone()
    // Ports and paths are free before others take them.
    await Promise.all(gone.map((runner) => runner.stop()))
    for (const runner of gone) {
      this.condemned.delete(runner)
      this.runners.delete(runner.entry.id)
    }
    const added = this.wanted.filter(({ id }) => !this.runners.has(id))
    await Promise.all(added.map((entry) => this.add(entry)))
  }

  private async add(entry: BridgeEntry): Promise<void> {
    const kind = (this.parts.kinds ?? bridgeKinds).find((one) => one.kind === entry.kind)
    // The configuration takes only kinds that there are.
    if (kind === undefined) return
    const { router, clock, log, folder, web, findProgram, random = Math.random } = this.parts
    const runner = new BridgeRunner(entry, kind, {
      openLocal: (options) => router.openLocal(options),
      openClient: (name): Promise<Client> => openLocalClient(router, name),
      announced: (pattern) => router.announced(pattern),
      program: async (name) => (await findProgram?.(name)) ?? null,
      mapper: (direction) => (entry.map.length === 0 ? null : compileMapper(entry.map, direction, { clock, log })),
      clock,
      log,
      folder,
      web,
      mirrors: this.mirrors,
      random,
    })
    this.runners.set(entry.id, runner)
    if (entry.enabled) await runner.start()
  }
}
