import type { RemoteInfo } from 'node:dgram'
import type { Timer } from '../../router/clock.ts'
import type { BridgeContext, OpenBridge, Update } from '../bridge.ts'
import { type NetworkBridgeCore, openOnNetwork } from '../lighting/network-bridge.ts'
import { networkPlaces, type Place } from '../lighting/network-places.ts'
import { NetworkUniverses } from '../lighting/network-universes.ts'
import { UdpPort } from '../lighting/udp-port.ts'
import type { ArtNetOptions } from './artnet-kind.ts'
import { ArtNetNode } from './artnet-node.ts'
import { ArtNetNodes } from './artnet-nodes.ts'
import { ANY_OEM, type ArtAddress, type ArtInput, decodeArtNet, pollPacket } from './artnet-packet.ts'
import { decodePollReply } from './artnet-poll-reply.ts'
import type { ArtNetPort } from './artnet-port.ts'
import { ArtNetReceiver } from './artnet-receiver.ts'
import { ArtNetRemote } from './artnet-remote.ts'
import { RemoteStore } from './artnet-remote-store.ts'
import { ArtNetSender } from './artnet-sender.ts'
import { timeCodeOf, timeCodeValue, triggerOf, triggerValue } from './artnet-signals.ts'

const LAST_PORT_ADDRESS = 32_767
const MAX_SOURCES = 2
const POLL_EVERY_MS = 2750
const ANYWHERE = '0.0.0.0'

/** Art-Net as node and controller on one port. Source: bridges.md §6. */
export const openArtNet: OpenBridge<ArtNetOptions> = async (context) => {
  const { options } = context
  const { folder, id, problem, clock } = context
  const store = await RemoteStore.load({ folder: options.allowRemoteConfig ? folder : undefined, id, problem, clock })
  return openOnNetwork({
    context,
    core: new ArtNetCore(context, store),
    places: () => networkPlaces(options.interface ?? (options.bind === ANYWHERE ? undefined : options.bind)),
    missing: `there is no network at ${options.interface ?? options.bind}: see "ip address"; is the cable plugged in?`,
  })
}

class ArtNetCore implements NetworkBridgeCore<Place> {
  private readonly context: BridgeContext<ArtNetOptions>
  private places: readonly Place[] = []
  private ownAddresses: ReadonlySet<string> = new Set()
  private broadcasts: readonly string[] = []
  private readonly store: RemoteStore
  private readonly universes: NetworkUniverses
  private readonly receiver: ArtNetReceiver
  private readonly nodes: ArtNetNodes
  private readonly remote: ArtNetRemote
  private readonly node: ArtNetNode
  private readonly sender: ArtNetSender
  private readonly poll = pollPacket()
  private readonly sent = (error: Error | null) => this.onSent(error)
  private port: UdpPort | null = null
  /** A socket at one address does not hear broadcasts. */
  private broadcastPort: UdpPort | null = null
  private pollTimer: Timer | null = null
  /** The bridge is about to be opened again. */
  private isBreak = false

  constructor(context: BridgeContext<ArtNetOptions>, store: RemoteStore) {
    this.context = context
    this.store = store
    const { options, clock, router, namespace } = context
    this.receiver = new ArtNetReceiver({
      clock,
      leaveMs: options.leave,
      onExceeded: (universe, ip) =>
        context.problem('sources_exceeded', `universe ${universe}: ${ip} is a third source and is not merged`),
    })
    this.universes = new NetworkUniverses({
      context,
      form: { first: 0, last: LAST_PORT_ADDRESS, isSplit: true },
      maxSources: MAX_SOURCES,
      lossMs: options.loss,
      repeats: 0,
      onSources: () => this.node.changed(),
      send: (universe, levels) => this.sender.frame(universe, levels),
      onRound: () => this.sender.endRound(),
      onOther: (rest, update) => this.onOther(rest, update),
    })
    const ports = [
      // What comes to us by Art-Net is an output of the node that consoles see.
      ...options.inputs.map(({ universe }) => portOf(universe, 'output')),
      ...options.outputs.map(({ universe }) => portOf(universe, 'input')),
    ]
    const { inputs } = this.universes
    const { shortName, longName } = options
    this.remote = new ArtNetRemote({
      ports,
      inputs,
      store,
      shortName,
      longName,
      cancelMerge: (universe) => this.receiver.cancelMerge(universe),
      onPatched: () => this.receiver.patch(),
    })
    for (const [at, { universe, priority }] of options.inputs.entries()) {
      const input = inputs.get(universe)
      if (input !== undefined) this.receiver.add(input, priority, ports[at])
    }
    this.nodes = new ArtNetNodes(router, namespace, clock)
    const send = (bytes: Uint8Array, ip: string) => this.send(bytes, ip)
    this.sender = new ArtNetSender({
      options,
      broadcasts: () => this.broadcasts,
      nodes: this.nodes,
      ports: new Map(ports.slice(options.inputs.length).map((port) => [port.universe, port])),
      send,
    })
    this.node = new ArtNetNode({ context, places: () => this.places, ports, inputs, remote: this.remote, send })
  }

  async attach(places: readonly Place[]): Promise<void> {
    const { options } = this
    this.places = places
    this.ownAddresses = new Set(options.bind === ANYWHERE ? places.map(({ address }) => address) : [options.bind])
    this.broadcasts = [...new Set(places.map(({ broadcast }) => broadcast))]
    const common = {
      port: options.port,
      onMessage: (bytes: Buffer, from: RemoteInfo) => this.receive(bytes, from),
      onError: (error: Error) => this.lost(`UDP port ${options.port} failed: ${error.message}`),
    }
    this.port = await UdpPort.open({ ...common, address: options.bind })
    if (options.bind !== ANYWHERE) {
      try {
        this.broadcastPort = await UdpPort.open({ ...common, address: this.broadcasts[0] })
      } catch (error) {
        await this.detach()
        throw error
      }
    }
    this.universes.open()
    // Consoles need not wait for their next poll: Art-Net 3, ArtPollReply.
    if (options.role !== 'controller') for (const ip of this.broadcasts) this.node.reply(ip)
    if (options.role !== 'node') this.pollAgain()
  }

  async detach(): Promise<void> {
    this.pollTimer?.cancel()
    const ports = [this.port, this.broadcastPort]
    this.port = null
    this.broadcastPort = null
    await Promise.all(ports.map((port) => port?.close()))
  }

  async stop(): Promise<void> {
    this.node.stop()
    this.nodes.stop()
    this.receiver.stop()
    this.universes.stop(this.isBreak)
    await Promise.all([this.detach(), this.store.saved()])
  }

  private get options(): ArtNetOptions {
    return this.context.options
  }

  private lost(reason: string): void {
    this.isBreak = true
    this.context.lost(new Error(reason))
  }

  private receive(bytes: Buffer, { address, port }: RemoteInfo): void {
    if (port === this.options.port && this.ownAddresses.has(address)) return
    const packet = decodeArtNet(bytes)
    if (typeof packet === 'string') {
      this.drop('malformed', `${bytes.length} bytes from ${address}: ${packet}`)
      return
    }
    const isNode = this.options.role !== 'controller'
    switch (packet.type) {
      case 'dmx':
        // Other universes are others' business, late ones are not worth a word.
        if (!this.receiver.dmx(packet, address)) this.context.counters.inDropped++
        return
      case 'sync':
        this.receiver.sync(address)
        return
      case 'poll':
        if (isNode) this.node.poll(packet, address)
        return
      case 'pollReply':
        this.onReply(bytes, address)
        return
      case 'address':
      case 'input':
        if (isNode) this.onRemote(packet, address)
        return
      case 'ipProg':
        if (isNode) this.node.ipProg(address)
        return
      case 'timeCode':
        this.context.router.publish(`${this.context.namespace}/timecode`, 'stream', timeCodeValue(packet))
        return
      case 'trigger':
        if (packet.oem !== ANY_OEM && packet.oem !== this.options.oem) return
        this.context.router.publish(`${this.context.namespace}/trigger`, 'event', triggerValue(packet))
        return
      case 'other':
    }
  }

  private onRemote(packet: ArtAddress | ArtInput, from: string): void {
    if (this.options.allowRemoteConfig) {
      if (packet.type === 'address') this.remote.address(packet)
      else this.remote.input(packet)
      this.node.changed(from)
    }
    this.node.answer(from)
  }

  private onReply(bytes: Buffer, address: string): void {
    if (this.options.role === 'node') return
    const reply = decodePollReply(bytes, address)
    if (reply === undefined) this.drop('malformed', `${bytes.length} bytes from ${address}: ArtPollReply is too short`)
    else if (!this.nodes.heard(reply)) this.drop('nodes_exceeded', `${address} is one node too many`)
    this.context.setPeers(this.nodes.count)
  }

  private pollAgain(): void {
    const named = this.options.outputs.flatMap(({ targets }) => targets).filter((target) => /^\d/.test(target))
    for (const ip of new Set([...this.broadcasts, ...named])) this.send(this.poll, ip)
    this.nodes.refresh()
    this.context.setPeers(this.nodes.count)
    this.pollTimer = this.context.clock.timer(POLL_EVERY_MS, () => this.pollAgain())
  }

  private onOther(rest: string, { signal, value, address, isInitial }: Update): boolean {
    if (isInitial || (rest !== 'timecode' && rest !== 'trigger') || signal === 'param') return false
    const bytes = rest === 'timecode' ? timeCodeOf(value) : triggerOf(value)
    if (bytes === undefined) {
      this.context.counters.outDropped++
      this.context.problem('value', `${address}: the value is no ${rest}`)
    } else {
      for (const ip of this.broadcasts) this.send(bytes, ip)
    }
    return true
  }

  private send(bytes: Uint8Array, ip: string): void {
    if (this.port?.send(bytes, this.options.port, ip, this.sent) === false) this.context.counters.outDropped++
  }

  private onSent(error: Error | null): void {
    if (error === null) return
    this.context.counters.outDropped++
    this.context.problem('send', `${error.message}: is the network up?`)
  }

  private drop(code: string, message: string): void {
    this.context.counters.inDropped++
    this.context.problem(code, message)
  }
}

function portOf(universe: number, direction: ArtNetPort['direction']): ArtNetPort {
  return { universe, direction, portAddress: universe, isDisabled: false }
}
