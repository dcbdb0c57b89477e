import { hostname } from 'node:os'
import type { Clock, Timer } from '../router/clock.ts'
import type { Log } from '../router/log.ts'
import { type Conflict, findConflict } from './mdns-conflict.ts'
import { AdvertRecords, fullName, instanceName, type TxtFacts, txtStrings } from './mdns-records.ts'
import { type LocalNetwork, localNetworks, type MdnsSocket, openMdns } from './mdns-socket.ts'

const ANNOUNCE_AGAIN_MS = 1000
/** Addresses come and go with cables and leases. */
const LOOK_FOR_NETWORKS_MS = 10_000
const DEFEND_AGAIN_MS = 1000
const MDNS_PORT = 5353

export interface Advertisement {
  /** Says goodbye and lets go of the sockets. */
  stop(): Promise<void>
}

/**
 * Announces `_clasp._tcp` on every network and answers questions about it until `stop`. Trouble is logged and tried again
 * whenever the networks are looked at; it never rejects. Record set: transport reference §11.
 */
export function advertise(facts: TxtFacts, clock: Clock, log: Log, only?: readonly string[]): Advertisement {
  const advertiser = new Advertiser(facts, clock, log, only)
  advertiser.lookForNetworks()
  return advertiser
}

class Advertiser implements Advertisement {
  private readonly facts: TxtFacts
  private readonly clock: Clock
  private readonly log: Log
  private readonly only: readonly string[] | undefined
  private readonly sockets = new Map<string, { socket: MdnsSocket; records: AdvertRecords }>()
  private readonly timers = new Set<Timer>()
  private nameChoice = 1
  private isHostTaken = false
  private lastDefence = Number.NEGATIVE_INFINITY
  private isStopped = false
  private isTroubled = false
  private looking: Promise<void> = Promise.resolve()

  constructor(facts: TxtFacts, clock: Clock, log: Log, only: readonly string[] | undefined) {
    this.facts = facts
    this.clock = clock
    this.log = log
    this.only = only
  }

  lookForNetworks(): void {
    if (this.isStopped) return
    // The system does not tell its interfaces while a process has no file descriptor left.
    this.looking = this.updateSockets().catch((error: NodeJS.ErrnoException) => this.complain('all', error))
    this.after(LOOK_FOR_NETWORKS_MS, () => this.lookForNetworks())
  }

  async stop(): Promise<void> {
    if (this.isStopped) return
    this.isStopped = true
    for (const timer of this.timers) timer.cancel()
    await this.looking
    const closing = [...this.sockets.values()].map(async ({ socket, records }) => {
      await socket.respond(records.goodbye())
      await socket.close()
    })
    this.sockets.clear()
    await Promise.all(closing)
  }

  private get instance(): string {
    return instanceName(this.facts.name, this.nameChoice)
  }

  private get host(): string {
    const name = hostname().split('.')[0] || 'clasp-edge'
    // Both machines change their name at once; with the id in it they cannot meet again, and need not count up.
    return this.isHostTaken ? `${name}-${this.facts.id.slice(0, 4)}` : name
  }

  /** Opens networks that are new, closes those that are gone or have other addresses now. */
  private async updateSockets(): Promise<void> {
    const networks = new Map(localNetworks(this.only).map((network) => [keyOf(network), network]))
    for (const [key, { socket }] of this.sockets) {
      if (networks.has(key)) continue
      this.sockets.delete(key)
      await socket.close()
    }
    for (const [key, network] of networks) {
      if (this.sockets.has(key) || this.isStopped) continue
      try {
        const socket = await openMdns(network, (error) => this.lost(key, error))
        this.listen(key, socket)
        this.isTroubled = false
      } catch (error) {
        this.complain(network.interfaceName, error as NodeJS.ErrnoException)
      }
    }
  }

  private listen(key: string, socket: MdnsSocket): void {
    const entry = { socket, records: this.records(socket.network) }
    this.sockets.set(key, entry)
    socket.onQuery((packet, from) => {
      for (const question of packet.questions) {
        const answer = entry.records.answer(question, packet.answers)
        if (answer === undefined) continue
        // A simple resolver asks from a port of its own, and wants the answer there, with its id (RFC 6762 §6.7).
        if (from.port === MDNS_PORT) socket.respond(answer)
        else socket.respond({ id: packet.id, questions: [question], ...answer }, from)
      }
    })
    socket.onResponse((packet) => {
      const conflict = findConflict(packet, {
        fullName: fullName(this.instance),
        hostName: `${this.host}.local`,
        port: this.facts.ws,
        id: this.facts.id,
        addresses: [...this.sockets.values()].flatMap(({ socket: { network } }) => network.ipv4),
      })
      if (conflict !== undefined) this.resolve(conflict)
    })
    this.announce(entry)
  }

  private resolve({ over, rivalId }: Conflict): void {
    // Of two routers of this kind the one with the greater id gives way. It learns that its name is taken from us.
    if (rivalId !== undefined && rivalId > this.facts.id) {
      this.defend()
      return
    }
    if (over === 'service') {
      this.nameChoice++
    } else {
      if (this.isHostTaken) return
      this.isHostTaken = true
    }
    this.log.warn('the name is taken on this network, another is announced', { name: this.instance, host: this.host })
    this.announceAnew()
  }

  /** Not more often than once in a while: the other may be as stubborn. */
  private defend(): void {
    const now = this.clock.now()
    if (now - this.lastDefence < DEFEND_AGAIN_MS) return
    this.lastDefence = now
    for (const { socket, records } of this.sockets.values()) socket.respond(records.announcement())
  }

  private announceAnew(): void {
    for (const entry of this.sockets.values()) {
      entry.records = this.records(entry.socket.network)
      this.announce(entry)
    }
  }

  private announce(entry: { socket: MdnsSocket; records: AdvertRecords }): void {
    entry.socket.respond(entry.records.announcement())
    this.after(ANNOUNCE_AGAIN_MS, () => entry.socket.respond(entry.records.announcement()))
  }

  private records({ ipv4, ipv6 }: LocalNetwork): AdvertRecords {
    const txt = txtStrings({ ...this.facts, name: this.instance })
    return new AdvertRecords({ instance: this.instance, host: this.host, port: this.facts.ws, txt }, ipv4, ipv6)
  }

  private lost(key: string, error: Error): void {
    const entry = this.sockets.get(key)
    if (entry === undefined) return
    this.sockets.delete(key)
    entry.socket.close()
    this.complain(entry.socket.network.interfaceName, error)
  }

  /** Once, until it works again: the attempts go on every few seconds. */
  private complain(interfaceName: string, error: NodeJS.ErrnoException): void {
    if (this.isTroubled) return
    this.isTroubled = true
    const remedy =
      error.code === 'EADDRINUSE'
        ? 'another program holds UDP port 5353 for itself: let it share the port, or set discovery.mdns to false'
        : 'clients can still connect by address; set discovery.mdns to false to do without'
    this.log.warn('not announced by mDNS for now', { interface: interfaceName, reason: error.message, remedy })
  }

  private after(delayMs: number, callback: () => void): void {
    const timer = this.clock.timer(delayMs, () => {
      this.timers.delete(timer)
      if (!this.isStopped) callback()
    })
    this.timers.add(timer)
  }
}

function keyOf({ interfaceName, ipv4, ipv6 }: LocalNetwork): string {
  return [interfaceName, ...ipv4, ...ipv6].join(' ')
}
