import type { BridgeContext } from '../bridge.ts'
import type { InputUniverse } from '../lighting/input-universe.ts'
import { isInNetwork, type Place } from '../lighting/network-places.ts'
import type { ArtNetOptions } from './artnet-kind.ts'
import type { ArtAddress, ArtPoll } from './artnet-packet.ts'
import { encodePollReply, ipProgReply, type NodePort } from './artnet-poll-reply.ts'

const MAX_DELAY_MS = 1000
/** Who asked to hear of changes, and when last. */
const MAX_LISTENERS = 16
const LISTENER_MS = 10_000
const STYLE_NODE = 0
const STYLE_CONTROLLER = 1

/** Indicators as Status1 shows them, by the command of ArtAddress. */
const INDICATORS: Readonly<Record<number, number>> = { 2: 0b11, 3: 0b10, 4: 0b01 }
const CANCEL_MERGE = 0x01
const MERGE_LTP = 0x10
const MERGE_HTP = 0x50

export interface ArtNetNodeParts {
  readonly context: BridgeContext<ArtNetOptions>
  readonly places: readonly Place[]
  readonly inputs: readonly InputUniverse[]
  send(bytes: Uint8Array, ip: string): void
  /** The next frame ends the merging of a universe. */
  cancelMerge(universe: number): void
}

/** How consoles see us: answers to ArtPoll, ArtAddress and ArtIpProg. Source: bridges.md §6.3, §6.4. */
export class ArtNetNode {
  private readonly parts: ArtNetNodeParts
  private readonly ports: readonly NodePort[]
  private readonly listeners = new Map<string, number>()
  /** Pollers that wait for their answer; each has one timer. */
  private readonly awaited = new Set<string>()
  private shortName: string
  private longName: string
  private indicators = 0b11
  private replies = 0

  constructor(parts: ArtNetNodeParts) {
    this.parts = parts
    const { options } = parts.context
    this.shortName = options.shortName
    this.longName = options.longName
    this.ports = [
      // What comes to us by Art-Net is an output of the node that consoles see.
      ...options.inputs.map(({ universe }) => ({ portAddress: universe, direction: 'output' as const })),
      ...options.outputs.map(({ universe }) => ({ portAddress: universe, direction: 'input' as const })),
    ]
  }

  /** Answers after a random while, so that not all nodes answer at once. */
  poll({ wantsChanges, bottom, top }: ArtPoll, ip: string): void {
    const { clock, random } = this.parts.context
    const isMeant = this.ports.some(({ portAddress }) => portAddress >= bottom && portAddress <= top)
    if (!isMeant && (bottom > 0 || top < 0x7fff)) return
    if (wantsChanges && (this.listeners.has(ip) || this.listeners.size < MAX_LISTENERS)) {
      this.listeners.set(ip, clock.now())
    }
    if (this.awaited.has(ip) || this.awaited.size >= MAX_LISTENERS) return
    this.awaited.add(ip)
    const timer = clock.timer(random() * MAX_DELAY_MS, () => {
      this.parts.context.signal.removeEventListener('abort', cancel)
      this.awaited.delete(ip)
      this.reply(ip)
    })
    const cancel = () => timer.cancel()
    this.parts.context.signal.addEventListener('abort', cancel, { once: true })
  }

  /** Tells those who asked for it that a port has begun or ended to carry something. */
  changed(): void {
    const now = this.parts.context.clock.now()
    for (const [ip, askedAt] of this.listeners) {
      if (now - askedAt > LISTENER_MS) this.listeners.delete(ip)
      else this.reply(ip)
    }
  }

  /** Remote settings, as far as they are allowed; they last until the next start. */
  address({ bindIndex, shortName, longName, command }: ArtAddress, ip: string): void {
    if (this.parts.context.options.allowRemoteConfig) {
      this.shortName = shortName ?? this.shortName
      this.longName = longName ?? this.longName
      this.indicators = INDICATORS[command] ?? this.indicators
      const input = this.parts.inputs.at(bindIndex - 1)
      if (input !== undefined) this.command(command, input)
    }
    this.reply(ip)
  }

  /** One reply for each port. */
  reply(ip: string): void {
    const { context, places, inputs, send } = this.parts
    const { options } = context
    const place = places.find((one) => isInNetwork(ip, one)) ?? places.at(0)
    if (place === undefined) return
    this.replies = (this.replies + 1) % 10_000
    const common = {
      ip: place.address,
      mac: place.mac,
      port: options.port,
      version: 1,
      oem: options.oem,
      esta: options.esta,
      shortName: this.shortName,
      longName: this.longName,
      report: `#0001 [${String(this.replies).padStart(4, '0')}] OK`,
      style: options.role === 'controller' || inputs.length === 0 ? STYLE_CONTROLLER : STYLE_NODE,
      indicators: this.indicators,
    }
    if (this.ports.length === 0) {
      send(
        encodePollReply({ ...common, bindIndex: 1, nodePort: null, isActive: false, isMerging: false, isLtp: false }),
        ip,
      )
    }
    // A reply has one byte for the index.
    for (const [at, nodePort] of this.ports.slice(0, 255).entries()) {
      const input = inputs.at(at)
      const isActive = input === undefined || input.hasSignal
      const isMerging = input !== undefined && input.universe.sourceCount > 1
      const isLtp = input?.universe.mergeMode === 'ltp'
      send(encodePollReply({ ...common, bindIndex: at + 1, nodePort, isActive, isMerging, isLtp }), ip)
    }
  }

  /** The address stays as it is: a program does not change that of its machine. */
  ipProg(ip: string): void {
    const { places, send } = this.parts
    const place = places.find((one) => isInNetwork(ip, one)) ?? places.at(0)
    if (place !== undefined) send(ipProgReply(place.address, place.netmask), ip)
  }

  private command(command: number, input: InputUniverse): void {
    if (command === CANCEL_MERGE) this.parts.cancelMerge(input.settings.universe)
    else if ((command & 0xfc) === MERGE_LTP) input.universe.mergeMode = 'ltp'
    else if ((command & 0xfc) === MERGE_HTP) input.universe.mergeMode = 'htp'
  }
}
