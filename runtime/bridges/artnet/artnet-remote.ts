import type { InputUniverse } from '../lighting/input-universe.ts'
import type { ArtAddress, ArtInput, ArtSwitch } from './artnet-packet.ts'
import type { ArtNetPort } from './artnet-port.ts'
import type { RemoteLook, RemotePort, RemoteStore } from './artnet-remote-store.ts'

const SLOTS = 512
/** Indicators as Status1 shows them, by the command of ArtAddress. */
const INDICATORS: Readonly<Record<number, number>> = { 2: 0b11, 3: 0b10, 4: 0b01 }
const FAIL_SAFES: Readonly<Record<number, RemoteLook>> = { 8: 'hold', 9: 'zero', 10: 'full', 11: 'recorded' }
const CANCEL_MERGE = 0x01
const RECORD = 0x0c
/** Those of single ports have the port in their lowest bits; behind a bind index there is one. */
const MERGE_LTP = 0x10
const MERGE_HTP = 0x50
const CLEAR = 0x90

export interface ArtNetRemoteParts {
  readonly ports: readonly ArtNetPort[]
  readonly inputs: ReadonlyMap<number, InputUniverse>
  readonly store: RemoteStore
  readonly shortName: string
  readonly longName: string
  /** The next frame ends the merging of a universe. */
  cancelMerge(universe: number): void
  /** Ports carry other Port-Addresses. */
  onPatched(): void
}

/** What consoles may set at this node: ArtAddress and ArtInput. Source: bridges.md §6.4, Art-Net 4 specification. */
export class ArtNetRemote {
  /** 0b11 normal, 0b10 mute, 0b01 locate. */
  indicators = 0b11
  private readonly parts: ArtNetRemoteParts

  /** Makes ports what they were set to earlier. */
  constructor(parts: ArtNetRemoteParts) {
    this.parts = parts
    for (const port of parts.ports) {
      const { portAddress, isDisabled, merge, onLoss, recorded } = this.kept(port)
      port.portAddress = portAddress ?? port.universe
      port.isDisabled = isDisabled ?? false
      const input = this.inputOf(port)
      if (input === undefined) continue
      if (merge !== undefined) input.universe.mergeMode = merge
      if (onLoss !== undefined) input.onLoss = onLoss
      if (recorded !== undefined) input.recorded = levelsOf(recorded)
    }
  }

  get shortName(): string {
    return this.parts.store.settings.shortName ?? this.parts.shortName
  }

  get longName(): string {
    return this.parts.store.settings.longName ?? this.parts.longName
  }

  address(packet: ArtAddress): void {
    const { ports, store } = this.parts
    const { settings } = store
    const { bindIndex, shortName, longName, command } = packet
    settings.shortName = shortName ?? settings.shortName
    settings.longName = longName ?? settings.longName
    this.indicators = INDICATORS[command] ?? this.indicators
    const port = ports.at(bindIndex - 1)
    if (port !== undefined) {
      this.patch(port, packet)
      const input = this.inputOf(port)
      if (input !== undefined) this.command(command, input, this.kept(port))
    }
    store.save()
  }

  /** Inputs of a node are what it puts onto Art-Net: our outputs. */
  input({ bindIndex, isDisabled }: ArtInput): void {
    const port = this.parts.ports.at(bindIndex - 1)
    if (port?.direction !== 'input') return
    port.isDisabled = isDisabled
    this.kept(port).isDisabled = isDisabled
    this.parts.store.save()
  }

  private patch(port: ArtNetPort, { net, sub, input, output }: ArtAddress): void {
    const { universe, portAddress, direction } = port
    const part = (wanted: ArtSwitch, shift: number, mask: number) => {
      const stays = wanted === 'configured' ? universe >> shift : portAddress >> shift
      return (typeof wanted === 'number' ? wanted : stays & mask) << shift
    }
    const wanted = part(net, 8, 0x7f) | part(sub, 4, 15) | part(direction === 'output' ? output : input, 0, 15)
    if (wanted === portAddress) return
    port.portAddress = wanted
    this.kept(port).portAddress = wanted
    this.parts.onPatched()
  }

  private command(command: number, input: InputUniverse, kept: RemotePort): void {
    if (command === CANCEL_MERGE) this.parts.cancelMerge(input.settings.universe)
    else if (command in FAIL_SAFES) input.onLoss = kept.onLoss = FAIL_SAFES[command]
    else if (command === RECORD) {
      input.recorded = input.universe.levels.slice()
      kept.recorded = Buffer.from(input.recorded).toString('base64')
    } else if ((command & 0xfc) === MERGE_LTP) input.universe.mergeMode = kept.merge = 'ltp'
    else if ((command & 0xfc) === MERGE_HTP) input.universe.mergeMode = kept.merge = 'htp'
    else if ((command & 0xfc) === CLEAR) input.clear()
  }

  private inputOf({ universe, direction }: ArtNetPort): InputUniverse | undefined {
    return direction === 'output' ? this.parts.inputs.get(universe) : undefined
  }

  private kept({ direction, universe }: ArtNetPort): RemotePort {
    const { ports } = this.parts.store.settings
    ports[`${direction}/${universe}`] ??= {}
    return ports[`${direction}/${universe}`]
  }
}

function levelsOf(base64: string): Uint8Array {
  const levels = new Uint8Array(SLOTS)
  levels.set(Buffer.from(base64, 'base64').subarray(0, SLOTS))
  return levels
}
