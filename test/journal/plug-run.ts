import type { TestContext } from 'node:test'
import { SeededRandom } from '../firmware-protocol/seeded-random.ts'
import { PluggedRouter, temporaryFolder } from './plug.ts'
import { type Replayed, replay } from './plug-client.ts'
import { Ledger } from './plug-ledger.ts'
import { Load } from './plug-load.ts'

/** Addresses that one session at a time writes to, so that the order of sending is that of the history. */
const RECORDED = [
  '/sync/first',
  '/sync/second',
  '/sync/locked',
  '/sync/lasting',
  '/sync/ring',
  '/sync/pair',
  '/sync/brief',
  '/events',
]

export interface PlugReport {
  seed: number
  problems: string[]
  counts: Ledger['counts']
  kills: number
  starts: number
  /** Ms from the start of the process until it served. */
  slowestStartMs: number
}

/** Pulls the plug of a router under load so many times, and compares what each start brings back with what was acknowledged. */
export function pullThePlug(t: TestContext, kills: number, seed: number): Promise<PlugReport> {
  return new PlugRun(t, seed).run(kills)
}

/**
 * Kills a router at random moments while it makes its database, each time in a new folder; the next start must find
 * nothing to repair. Returns what was wrong.
 */
export async function killAtBirth(t: TestContext, kills: number, seed: number): Promise<string[]> {
  const random = new SeededRandom(seed)
  const problems: string[] = []
  for (let kill = 0; kill < kills; kill++) {
    const folder = temporaryFolder(t)
    const afterMs = 100 + random.below(300)
    const unborn = new PluggedRouter(t, folder)
    await pause(afterMs)
    await unborn.pull()
    const router = await PluggedRouter.start(t, folder)
    const { facts } = await router.journal()
    if (facts.state !== 'durable') problems.push(`killed after ${afterMs} ms: ${facts.state}: ${facts.reason}`)
    await router.pull()
  }
  return problems
}

export function told({ seed, kills, starts, counts, slowestStartMs }: PlugReport): string {
  const figures = Object.entries(counts).map(([name, count]) => `${count} ${name}`)
  return `CLASP_PLUG_SEED=${seed}: ${kills} kills, ${starts} starts, the slowest took ${Math.round(slowestStartMs)} ms; ${figures.join(', ')}`
}

class PlugRun {
  private readonly t: TestContext
  private readonly seed: number
  private readonly random: SeededRandom
  private readonly folder: string
  private readonly ledger = new Ledger()
  /** When each life began to be written to, µs of the wall clock. */
  private readonly lives: number[] = []
  private ring: Load['ring'] = []
  private killedAt = 0
  private starts = 0
  private slowestStartMs = 0

  constructor(t: TestContext, seed: number) {
    this.t = t
    this.seed = seed
    this.random = new SeededRandom(seed)
    this.folder = temporaryFolder(t)
  }

  async run(kills: number): Promise<PlugReport> {
    const { random, ledger, seed } = this
    let kill = 0
    for (; kill < kills && ledger.problems.length === 0; kill++) {
      if (kill % 5 === 4) await this.killAtStart(random.below(400))
      // Some lives are long enough for what is stored within a second.
      else await this.live(kill % 7 === 2 ? 1700 + random.below(700) : random.below(500), 'pull')
    }
    if (ledger.problems.length === 0) {
      await this.live(random.below(600), 'stop')
      await this.compareAll()
    }
    const { starts, slowestStartMs } = this
    return { seed, problems: ledger.problems, counts: ledger.counts, kills: kill, starts, slowestStartMs }
  }

  private async killAtStart(afterMs: number): Promise<void> {
    const router = new PluggedRouter(this.t, this.folder)
    await pause(afterMs)
    await router.pull()
  }

  private async live(durationMs: number, end: 'pull' | 'stop'): Promise<void> {
    const router = await this.start()
    await this.compare(router, false)
    this.lives.push(Date.now() * 1000)
    const load = await Load.start(router, this.ledger, new SeededRandom(this.seed + this.lives.length))
    this.ring = load.ring
    await pause(durationMs)
    this.killedAt = performance.now()
    await router[end]()
    await load.ended()
  }

  private async start(): Promise<PluggedRouter> {
    const router = new PluggedRouter(this.t, this.folder)
    this.slowestStartMs = Math.max(this.slowestStartMs, await router.ready())
    this.starts++
    return router
  }

  /** What the stop in good order has left, and the history of all lives. */
  private async compareAll(): Promise<void> {
    const router = await this.start()
    await this.compare(router, true)
    const client = await router.connect('historian')
    for (const prefix of RECORDED) {
      const history = new Map<string, Replayed[]>()
      for (const [i, fromUs] of this.lives.entries()) {
        const toUs = (this.lives[i + 1] ?? Number.MAX_SAFE_INTEGER) - 1
        for (const entry of await replay(client, `${prefix}/**`, fromUs, toUs)) {
          const entries = history.get(entry.address)
          if (entries === undefined) history.set(entry.address, [entry])
          else entries.push(entry)
        }
      }
      for (const address of this.ledger.below(`${prefix}/`)) this.ledger.remembered(address, history.get(address) ?? [])
    }
    await router.stop()
  }

  private async compare(router: PluggedRouter, isClean: boolean): Promise<void> {
    const { ledger, killedAt } = this
    const client = await router.connect('auditor')
    const params = await client.snapshot('/**')
    const start = { killedAt, readAt: performance.now(), isClean }
    const stored = params.filter(({ address }) => !address.startsWith('/_clasp/'))
    ledger.restored(stored, start)
    ledger.comparePrefix(this.ring)
    const { facts } = await router.journal()
    if (facts.state !== 'durable') ledger.problem('journal', `${facts.state}: ${facts.reason}`)
    for (const prefix of RECORDED) {
      const entries = await replay(client, `${prefix}/**`, this.lives.at(-1) ?? 0)
      for (const address of ledger.below(`${prefix}/`)) {
        const own = entries.filter((entry) => entry.address === address)
        ledger.recorded(address, own, start)
      }
    }
  }
}

function pause(durationMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, durationMs))
}
