import type { Value } from '../../../firmware-protocol/wire/value.ts'
import type { Clock, Timer } from '../../router/clock.ts'
import type { BridgeSession } from '../bridge.ts'
import type { PollReply } from './artnet-poll-reply.ts'

const MAX_NODES = 512
/** Of all nodes together. */
const MAX_REPLIES = 4096
/** A node that has not answered for so long is no longer shown, ms: two polls unanswered. */
const SILENT_MS = 6000
/** And no longer sent to. */
const FORGET_MS = 31_000
const TTL_S = 10
/** A node has a reply for each port, and they come together. */
const GATHER_MS = 50

interface KnownNode {
  readonly ip: string
  readonly binds: Map<number, PollReply>
  seenAt: number
}

/** Nodes that answered ArtPoll, as params `{ns}/nodes/{ip}`. Source: bridges.md §6.3, §6.4. */
export class ArtNetNodes {
  private readonly router: BridgeSession
  private readonly namespace: string
  private readonly clock: Clock
  private readonly nodes = new Map<string, KnownNode>()
  /** IP addresses by the Port-Address that they put out; rebuilt after somebody has come, gone or changed. */
  private readonly subscribers = new Map<number, string[]>()
  private isStale = false
  private replies = 0
  private readonly changed = new Set<KnownNode>()
  private gathering: Timer | null = null

  constructor(router: BridgeSession, namespace: string, clock: Clock) {
    this.router = router
    this.namespace = namespace
    this.clock = clock
  }

  get count(): number {
    return this.nodes.size
  }

  subscribersOf(portAddress: number): readonly string[] {
    if (this.isStale) this.rebuild()
    return this.subscribers.get(portAddress) ?? NOBODY
  }

  /** False: there are too many. */
  heard(reply: PollReply): boolean {
    const known = this.nodes.get(reply.ip)
    if (known === undefined && this.nodes.size >= MAX_NODES) return false
    const before = known?.binds.get(reply.bindIndex)
    if (before === undefined && this.replies >= MAX_REPLIES) return false
    if (before === undefined) this.replies++
    const node = known ?? { ip: reply.ip, binds: new Map<number, PollReply>(), seenAt: 0 }
    node.seenAt = this.clock.now()
    node.binds.set(reply.bindIndex, reply)
    this.nodes.set(reply.ip, node)
    if (before !== undefined && isSame(before, reply)) return true
    this.isStale = true
    this.changed.add(node)
    this.gathering ??= this.clock.timer(GATHER_MS, () => {
      this.gathering = null
      for (const one of this.changed) this.tell(one)
      this.changed.clear()
    })
    return true
  }

  stop(): void {
    this.gathering?.cancel()
  }

  /** With each poll: what is there is told again before it expires, who is gone is forgotten. */
  refresh(): void {
    const now = this.clock.now()
    for (const node of this.nodes.values()) {
      if (now - node.seenAt >= FORGET_MS) {
        this.nodes.delete(node.ip)
        this.replies -= node.binds.size
        this.isStale = true
      } else if (now - node.seenAt < SILENT_MS) {
        this.tell(node)
      }
    }
  }

  private rebuild(): void {
    this.isStale = false
    this.subscribers.clear()
    for (const { ip, binds } of this.nodes.values()) {
      for (const { ports } of binds.values()) {
        for (const { portAddress, direction } of ports) {
          if (direction !== 'output') continue
          const list = this.subscribers.get(portAddress)
          if (list === undefined) this.subscribers.set(portAddress, [ip])
          else if (!list.includes(ip)) list.push(ip)
        }
      }
    }
  }

  private tell({ ip, binds }: KnownNode): void {
    const replies = [...binds.values()]
    const ports = (wanted: 'output' | 'input'): Value => ({
      type: 'array',
      value: replies.flatMap(({ ports }) =>
        ports
          .filter(({ direction }) => direction === wanted)
          .map(({ portAddress }) => ({ type: 'i64', value: portAddress }) as const),
      ),
    })
    const value: Value = {
      type: 'map',
      value: [
        ['name', { type: 'string', value: replies[0].shortName }],
        ['longName', { type: 'string', value: replies[0].longName }],
        ['style', { type: 'i64', value: replies[0].style }],
        ['outputs', ports('output')],
        ['inputs', ports('input')],
      ],
    }
    this.router.set(`${this.namespace}/nodes/${ip}`, value, { mode: 'sliding', seconds: TTL_S })
  }
}

const NOBODY: readonly string[] = []

function isSame(a: PollReply, b: PollReply): boolean {
  return (
    a.shortName === b.shortName &&
    a.longName === b.longName &&
    a.style === b.style &&
    a.ports.length === b.ports.length &&
    a.ports.every(
      ({ portAddress, direction }, at) =>
        portAddress === b.ports[at].portAddress && direction === b.ports[at].direction,
    )
  )
}
