import { utf8Length } from '../../../firmware-protocol/wire/utf8.ts'
import type { Clock, Timer } from '../../router/clock.ts'
import type { HubSession, Refusal } from './hub-session.ts'
import type { Inbound } from './inbound.ts'
import type { Mirror } from './mirror.ts'
import type { MirrorRecord } from './mirror-record.ts'

const PAGE_PARAMS = 200
/** Of the answer as it is expected to be: the hub loses an answer above 64 KiB without a word. */
const PAGE_BYTES = 32 * 1024
/** What a param takes in a SNAPSHOT besides address and value. */
const PARAM_BYTES = 66
const SUBSCRIPTION = 1000

export interface VerifyParts {
  clock: Clock
  session: HubSession
  mirror: Mirror
  inbound: Inbound
  namespaces: readonly string[]
  /** An address that the hub certainly has: what comes back with it is complete. */
  canary: string
  /** False: the hub has no federation requests. */
  isPeer: boolean
}

/**
 * Compares all owned addresses with the hub: REQUEST_SYNC for what the hub has, and for what did not come with it pages
 * of addresses, because an upstream hub loses large answers without a word. Every page asks for an address that is known
 * to be there as well: when that one comes back the rest is really absent, otherwise the page is halved.
 * Source: federation.md §13.9, §12.6.
 */
export class Verify {
  pages = 0
  /** Addresses that REQUEST_SYNC did not bring although the hub has them. */
  recovered = 0
  private readonly parts: VerifyParts
  private pass = 0
  private isCanarySeen = false
  private isStopped = false
  private resume: () => void = () => {}

  constructor(parts: VerifyParts) {
    this.parts = parts
  }

  stop(): void {
    this.isStopped = true
    this.resume()
  }

  /** The hub has sent the param of an own address. */
  onParam(record: MirrorRecord): void {
    record.seen = this.pass
  }

  /** The hub has sent the param that is known to be there. */
  onCanary(): void {
    this.isCanarySeen = true
  }

  /** `pauseMs` between pages. Resolves with `lost` when the hub did not answer, with a refusal when it will not. */
  async run(pauseMs: number): Promise<'done' | 'lost' | Refusal> {
    const { session, mirror, namespaces, isPeer } = this.parts
    const pass = ++mirror.comparisons
    this.pass = pass
    for (const [i, namespace] of namespaces.entries()) {
      if (isPeer) {
        const answer = await session.requestSync(namespace)
        if (answer.kind === 'refused') return answer.refusal
        if (answer.kind !== 'done') return 'lost'
      } else {
        session.unsubscribe(SUBSCRIPTION + i)
        session.subscribe(SUBSCRIPTION + i, namespace)
        if ((await session.barrier()).kind !== 'done') return 'lost'
      }
    }
    const unseen = [...mirror.records.values()].filter(
      (record) => record.kind === 'owned' && record.seen !== pass && record.inFlight === null,
    )
    // A hub like ours makes its answers as large as a frame can be, and no larger.
    if (session.isFederatingHub && isPeer) {
      for (const record of unseen) if (record.seen !== pass) this.parts.inbound.compareAbsent(record)
      return 'done'
    }
    for (const page of this.pagesOf(unseen)) {
      if (!(await this.ask(page, pass))) return 'lost'
      if (pauseMs > 0) await this.pause(pauseMs)
      if (this.isStopped) return 'lost'
    }
    return 'done'
  }

  private async ask(page: MirrorRecord[], pass: number): Promise<boolean> {
    const { session, canary, isPeer, inbound } = this.parts
    this.pages++
    this.isCanarySeen = false
    if (isPeer) {
      const answer = await session.revisionVector([
        [canary, 0],
        ...page.map(({ address }): [string, number] => [address, 0]),
      ])
      if (answer.kind !== 'done') return false
    } else {
      session.get(canary)
      for (const { address } of page) session.get(address)
      if ((await session.barrier()).kind !== 'done') return false
    }
    const missing = page.filter((record) => record.seen !== pass)
    this.recovered += page.length - missing.length
    if (missing.length === 0) return true
    if (this.isCanarySeen || page.length === 1) {
      for (const record of missing) inbound.compareAbsent(record)
      return true
    }
    const half = Math.ceil(missing.length / 2)
    return (
      (await this.ask(missing.slice(0, half), pass)) && (half === missing.length || this.ask(missing.slice(half), pass))
    )
  }

  private *pagesOf(records: MirrorRecord[]): Iterable<MirrorRecord[]> {
    let page: MirrorRecord[] = []
    let bytes = 0
    for (const record of records) {
      const size = PARAM_BYTES + utf8Length(record.address) + (this.parts.mirror.paramOf(record)?.valueBytes ?? 0)
      if (page.length >= PAGE_PARAMS || (page.length > 0 && bytes + size > PAGE_BYTES)) {
        yield page
        page = []
        bytes = 0
      }
      page.push(record)
      bytes += size
    }
    if (page.length > 0) yield page
  }

  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer: Timer = this.parts.clock.timer(ms, resolve)
      this.resume = () => {
        timer.cancel()
        resolve()
      }
    })
  }
}
