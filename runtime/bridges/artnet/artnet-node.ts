import type { Timer } from '../../router/clock.ts'
import type { BridgeContext } from '../bridge.ts'
import type { InputUniverse } from '../lighting/input-universe.ts'
import { isInNetwork, type Place } from '../lighting/network-places.ts'
import type { ArtNetOptions } from './artnet-kind.ts'
import type { ArtPoll } from './artnet-packet.ts'
import { encodePollReply, ipProgReply } from './artnet-poll-reply.ts'
import type { ArtNetPort } from './artnet-port.ts'
import type { ArtNetRemote } from './artnet-remote.ts'

const MAX_DELAY_MS = 1000
/** Who asked to hear of changes, and when last. */
const MAX_LISTENERS = 16
const LISTENER_MS = 10_000
/** So many replies at once are answers, and changes told, to one address within this time; more follow as one at its end. */
const MAX_ANSWERS = 16
const ANSWERS_MS = 1000
const STYLE_NODE = 0
const STYLE_CONTROLLER = 1
const PORTLESS = {
  bindIndex: 1,
  nodePort: null,
  isActive: false,
  isMerging: false,
  isLtp: false,
  isDisabled: false,
  failSafe: null,
} as const

/** Who was told something lately. */
interface Told {
  count: number
  isOwed: boolean
  readonly timer: Timer
}

export interface ArtNetNodeParts {
  readonly context: BridgeContext<ArtNetOptions>
  /** Where we are now. */
  places(): readonly Place[]
  /** In the order of their bind indexes. */
  readonly ports: readonly ArtNetPort[]
  readonly inputs: ReadonlyMap<number, InputUniverse>
  readonly remote: ArtNetRemote
  send(bytes: Uint8Array, ip: string): void
}

/** How consoles see us: answers to ArtPoll and ArtIpProg. Source: bridges.md §6.3, §6.4. */
export class ArtNetNode {
  private readonly parts: ArtNetNodeParts
  private readonly listeners = new Map<string, number>()
  /** Pollers that wait for their answer; each has one timer. */
  private readonly awaited = new Map<string, Timer>()
  private readonly told = new Map<string, Told>()
  private replies = 0

  constructor(parts: ArtNetNodeParts) {
    this.parts = parts
  }

  /** Answers after a random while, so that not all nodes answer at once. */
  poll({ wantsChanges, bottom, top }: ArtPoll, ip: string): void {
    const { clock, random } = this.parts.context
    const isMeant = this.parts.ports.some(({ portAddress }) => portAddress >= bottom && portAddress <= top)
    if (!isMeant && (bottom > 0 || top < 0x7fff)) return
    if (wantsChanges && (this.listeners.has(ip) || this.listeners.size < MAX_LISTENERS)) {
      this.listeners.set(ip, clock.now())
    }
    if (this.awaited.has(ip) || this.awaited.size >= MAX_LISTENERS) return
    const answer = () => {
      this.awaited.delete(ip)
      this.reply(ip)
    }
    this.awaited.set(ip, clock.timer(random() * MAX_DELAY_MS, answer))
  }

  stop(): void {
    for (const timer of this.awaited.values()) timer.cancel()
    for (const { timer } of this.told.values()) timer.cancel()
  }

  /** Answers what is no poll. Addresses can be forged, and the replies of 200 ports have 400 times the bytes of a request. */
  answer(ip: string): void {
    if (this.told.has(ip) || this.told.size < 2 * MAX_LISTENERS) this.tell(ip)
  }

  /** Tells those who asked for it that a port has changed, or has begun or ended to carry something; all but `known`. */
  changed(known = ''): void {
    const now = this.parts.context.clock.now()
    for (const [ip, askedAt] of this.listeners) {
      if (ip === known) continue
      if (now - askedAt > LISTENER_MS) this.listeners.delete(ip)
      else this.tell(ip)
    }
  }

  private tell(ip: string): void {
    const told = this.told.get(ip)
    if (told !== undefined && told.count >= MAX_ANSWERS) {
      told.isOwed = true
      return
    }
    this.reply(ip)
    if (told !== undefined) {
      told.count++
      return
    }
    const timer = this.parts.context.clock.timer(ANSWERS_MS, () => {
      const { isOwed } = this.told.get(ip) as Told
      this.told.delete(ip)
      if (isOwed) this.tell(ip)
    })
    this.told.set(ip, { count: 1, isOwed: false, timer })
  }

  /** One reply for each port. */
  reply(ip: string): void {
    const { context, ports, inputs, remote, send } = this.parts
    const { options } = context
    const place = this.placeFor(ip)
    if (place === undefined) return
    this.replies = (this.replies + 1) % 10_000
    const common = {
      ip: place.address,
      mac: place.mac,
      port: options.port,
      version: 1,
      oem: options.oem,
      esta: options.esta,
      shortName: remote.shortName,
      longName: remote.longName,
      report: `#0001 [${String(this.replies).padStart(4, '0')}] OK`,
      style: options.role === 'controller' || inputs.size === 0 ? STYLE_CONTROLLER : STYLE_NODE,
      indicators: remote.indicators,
    }
    if (ports.length === 0) send(encodePollReply({ ...common, ...PORTLESS }), ip)
    // A reply has one byte for the index.
    for (const [at, port] of ports.slice(0, 255).entries()) {
      const input = port.direction === 'output' ? inputs.get(port.universe) : undefined
      const bytes = encodePollReply({
        ...common,
        bindIndex: at + 1,
        nodePort: port,
        isActive: input === undefined ? !port.isDisabled : input.hasSignal,
        isMerging: input !== undefined && input.universe.sourceCount > 1,
        isLtp: input?.universe.mergeMode === 'ltp',
        isDisabled: port.isDisabled,
        failSafe: input === undefined ? null : failSafeOf(input.onLoss),
      })
      send(bytes, ip)
    }
  }

  /** The address stays as it is: a program does not change that of its machine. */
  ipProg(ip: string): void {
    const place = this.placeFor(ip)
    if (place !== undefined) this.parts.send(ipProgReply(place.address, place.netmask), ip)
  }

  private placeFor(ip: string): Place | undefined {
    const places = this.parts.places()
    return places.find((one) => isInNetwork(ip, one)) ?? places.at(0)
  }
}

function failSafeOf(look: InputUniverse['onLoss']): 'hold' | 'zero' | 'full' | 'scene' {
  return look === 'hold' || look === 'zero' || look === 'full' ? look : 'scene'
}
