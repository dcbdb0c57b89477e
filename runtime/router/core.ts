/** Hot path: `beginTurn`, `intern`. */

import { addressProblem } from '../../firmware-protocol/wire/address.ts'
import { decodeUtf8, isValidUtf8 } from '../../firmware-protocol/wire/utf8.ts'
import { type AddressEntry, AddressTable } from './address-table.ts'
import { Arena } from './arena.ts'
import type { Clock } from './clock.ts'
import type { FederationPeers } from './federation-peers.ts'
import { HeldAnswers } from './held-answers.ts'
import { History } from './history.ts'
import type { Journal } from './journal.ts'
import type { Log } from './log.ts'
import type { RouterOptions } from './options.ts'
import { Pacing } from './pacing.ts'
import { Policies } from './policies.ts'
import { Routes } from './routes.ts'
import type { Session } from './session.ts'
import type { LiveStats } from './session-host.ts'
import type { SessionObserver } from './session-observer.ts'
import type { StateObserver } from './state-observer.ts'
import { Store } from './store.ts'
import { SubscriptionIndex } from './subscription-index.ts'

/** The state of a router and the bounds of its turns; what happens in a turn is in the parts that share it. */
export class Core {
  readonly options: RouterOptions
  readonly clock: Clock
  readonly log: Log
  readonly table: AddressTable
  readonly policies: Policies
  readonly store: Store
  readonly index = new SubscriptionIndex()
  readonly routes = new Routes(this.index)
  readonly pacing: Pacing
  readonly history: History
  /** After HELLO, by id. */
  readonly sessions = new Map<string, Session>()
  readonly stats: LiveStats = { deliveries: 0, drops: 0, undecodable: 0, errors: new Map() }
  readonly answers: HeldAnswers
  /** What state and history are written to. */
  journal: Journal | null = null
  /** What copies params elsewhere: the uplink. */
  observer: StateObserver | null = null
  readonly sessionObservers = new Set<SessionObserver>()
  /** What answers federation peers; null = this router is no hub. */
  peers: FederationPeers | null = null
  now: number
  wallUs: number
  /** Why `intern` returned null. */
  addressProblem = ''
  private isInTurn = false
  private readonly dirty: Session[] = []

  constructor(options: RouterOptions, clock: Clock, log: Log, seed: number) {
    this.options = options
    this.clock = clock
    this.log = log
    this.table = new AddressTable(new Arena(), seed)
    this.policies = new Policies(options.policies)
    this.store = new Store(this.table, this.policies, options)
    this.pacing = new Pacing(clock)
    this.history = new History(options.historyBytes)
    this.answers = new HeldAnswers(() => options.queue.maxMessages)
    this.store.onRemoved = (param) => {
      this.journal?.onRemoved(param.entry, param)
      this.observer?.onRemoved(param.entry, param)
    }
    this.now = clock.now()
    this.wallUs = clock.wallUs()
  }

  beginTurn(): void {
    if (this.isInTurn) return
    this.isInTurn = true
    this.now = this.clock.now()
    this.wallUs = this.clock.wallUs()
    this.clock.afterTurn(this.endTurn)
  }

  markDirty(session: Session): void {
    session.isDirty = true
    this.dirty.push(session)
    this.beginTurn()
  }

  refuse(session: Session, code: number, message: string, address?: string): void {
    this.stats.errors.set(code, (this.stats.errors.get(code) ?? 0) + 1)
    // Texts may quote what the peer sent, which may be as long as a frame.
    session.reply({ type: 'ERROR', code, message: message.slice(0, 500), address: address?.slice(0, 1024) })
  }

  /** Drops a message above the session's rate; each is counted, and the session is told once a second. */
  refuseRate(session: Session): void {
    if (session.rate?.shouldTell(this.now)) {
      this.refuse(session, 429, `Rate limit exceeded: ${this.options.maxMessagesPerSecond} messages/second`)
    } else {
      this.stats.errors.set(429, (this.stats.errors.get(429) ?? 0) + 1)
    }
  }

  /** The entry of the address `bytes[start, end)`; null, with `addressProblem`, when nothing can be sent there. */
  intern(bytes: Uint8Array, start: number, end: number): AddressEntry | null {
    const hash = this.table.hash(bytes, start, end)
    const known = this.table.find(bytes, start, end, hash)
    if (known !== null) return known
    if (!isValidUtf8(bytes, start, end)) {
      this.addressProblem = 'the address is not valid UTF-8'
      return null
    }
    const problem = addressProblem(decodeUtf8(bytes, start, end))
    if (problem !== undefined) {
      this.addressProblem = problem
      return null
    }
    return this.table.add(bytes, start, end, hash)
  }

  /** The entry of an address that is known already, for reads. */
  lookup(address: string): AddressEntry | null {
    const bytes = this.encoder.encode(address)
    return this.table.find(bytes, 0, bytes.length, this.table.hash(bytes, 0, bytes.length))
  }

  private readonly encoder = new TextEncoder()

  private readonly endTurn = (): void => {
    this.isInTurn = false
    const { dirty } = this
    // Flushing can make further sessions dirty (a peer that is too slow is told so): they join the end of the list.
    for (let i = 0; i < dirty.length; i++) {
      const session = dirty[i]
      session.isDirty = false
      if (session.collecting !== null) session.collecting.flush()
      session.flushOutput()
    }
    dirty.length = 0
  }
}
