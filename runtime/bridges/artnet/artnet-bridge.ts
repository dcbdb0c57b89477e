import type { RemoteInfo } from 'node:dgram'
import type { Timer } from '../../router/clock.ts'
import type { BridgeContext, OpenBridge, RunningBridge, Update } from '../bridge.ts'
import { FrameClock } from '../lighting/frame-clock.ts'
import { InputUniverse } from '../lighting/input-universe.ts'
import { LightingOutputs } from '../lighting/lighting-outputs.ts'
import { inputSettings, outputSettings } from '../lighting/lighting-settings.ts'
import { networkPlaces, type Place, watchPlaces } from '../lighting/network-places.ts'
import { UdpPort } from '../lighting/udp-port.ts'
import { universeSignals } from '../lighting/universe-signals.ts'
import type { ArtNetOptions } from './artnet-kind.ts'
import { ArtNetNode } from './artnet-node.ts'
import { ArtNetNodes } from './artnet-nodes.ts'
import { ANY_OEM, decodeArtNet, pollPacket } from './artnet-packet.ts'
import { decodePollReply } from './artnet-poll-reply.ts'
import { ArtNetReceiver } from './artnet-receiver.ts'
import { ArtNetSender } from './artnet-sender.ts'
import { timeCodeOf, timeCodeValue, triggerOf, triggerValue } from './artnet-signals.ts'

const LAST_PORT_ADDRESS = 32_767
const MAX_SOURCES = 2
const POLL_EVERY_MS = 2750
const ANYWHERE = '0.0.0.0'

/** Art-Net as node and controller on one port. Source: bridges.md §6. */
export const openArtNet: OpenBridge<ArtNetOptions> = async (context) => {
  const bridge = new ArtNetBridge(context)
  await bridge.open()
  return bridge
}

class ArtNetBridge implements RunningBridge {
  private readonly context: BridgeContext<ArtNetOptions>
  /** Name or address of the interface; undefined: all. */
  private readonly network: string | undefined
  private readonly places: readonly Place[]
  private readonly ownAddresses: ReadonlySet<string>
  private readonly broadcasts: readonly string[]
  private readonly inputFrames: FrameClock
  private readonly inputs: InputUniverse[]
  private readonly receiver: ArtNetReceiver
  private readonly nodes: ArtNetNodes
  private readonly node: ArtNetNode
  private readonly sender: ArtNetSender
  private readonly poll = pollPacket()
  private readonly sent = (error: Error | null) => this.onSent(error)
  private outputs: LightingOutputs | null = null
  private port: UdpPort | null = null
  /** A socket at one address does not hear broadcasts. */
  private broadcastPort: UdpPort | null = null
  private pollTimer: Timer | null = null
  private endWatch = () => {}
  /** It is about to be opened again. */
  private isBreak = false

  constructor(context: BridgeContext<ArtNetOptions>) {
    this.context = context
    const { options, clock, router, namespace } = context
    this.network = options.interface ?? (options.bind === ANYWHERE ? undefined : options.bind)
    this.places = networkPlaces(this.network)
    this.ownAddresses = new Set(options.bind === ANYWHERE ? this.places.map(({ address }) => address) : [options.bind])
    this.broadcasts = [...new Set(this.places.map(({ broadcast }) => broadcast))]
    this.inputFrames = new FrameClock(clock)
    this.receiver = new ArtNetReceiver({
      clock,
      leaveMs: options.leave,
      onExceeded: (universe, ip) =>
        context.problem('sources_exceeded', `universe ${universe}: ${ip} is a third source and is not merged`),
    })
    this.inputs = options.inputs.map((entry) => this.input(entry))
    this.nodes = new ArtNetNodes(router, namespace, clock)
    const send = (bytes: Uint8Array, ip: string) => this.send(bytes, ip)
    this.sender = new ArtNetSender({ options, broadcasts: this.broadcasts, nodes: this.nodes, send })
    this.node = new ArtNetNode({
      context,
      places: this.places,
      inputs: this.inputs,
      send,
      cancelMerge: (universe) => this.receiver.cancelMerge(universe),
    })
  }

  async open(): Promise<void> {
    const { options, context } = this
    if (this.places.length === 0) {
      throw new Error(
        `there is no network at ${options.interface ?? options.bind}: see "ip address"; is the cable plugged in?`,
      )
    }
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
        await this.port.close()
        throw error
      }
    }
    this.openOutputs()
    this.announce()
    // Consoles need not wait for their next poll: Art-Net 3, ArtPollReply.
    if (options.role !== 'controller') for (const ip of this.broadcasts) this.node.reply(ip)
    if (options.role !== 'node') this.pollAgain()
    this.endWatch = watchPlaces(context.clock, this.network, this.places, () =>
      this.lost('the addresses of this machine have changed: opened again with the new ones'),
    )
  }

  async stop(): Promise<void> {
    this.pollTimer?.cancel()
    this.endWatch()
    this.inputFrames.stop()
    this.receiver.stop()
    this.outputs?.stop(this.isBreak)
    await Promise.all([this.port?.close(), this.broadcastPort?.close()])
  }

  private get options(): ArtNetOptions {
    return this.context.options
  }

  /** What is lit stays lit until it is open again: that takes less than receivers wait. */
  private lost(reason: string): void {
    this.isBreak = true
    this.context.lost(new Error(reason))
  }

  private input(entry: ArtNetOptions['inputs'][number]): InputUniverse {
    const { options, router, namespace, clock } = this.context
    const input = new InputUniverse({
      settings: inputSettings(entry.universe, entry),
      scenes: options.scenes,
      periodMs: 1000 / options.inRate,
      lossMs: options.loss,
      maxSources: MAX_SOURCES,
      isNormalized: options.normalize,
      namespace,
      router,
      time: clock,
      frames: this.inputFrames,
      onSources: () => this.onSources(input),
      onLevels: (levels) => this.relay(entry.universe, levels, entry.priority),
    })
    this.receiver.add(input, entry.priority)
    return input
  }

  private openOutputs(): void {
    const { context, options, sender } = this
    this.outputs = new LightingOutputs({
      context,
      form: { first: 0, last: LAST_PORT_ADDRESS, isSplit: true },
      scale: options.scale,
      scenes: options.scenes,
      pace: { periodMs: 1000 / options.rate, keepAliveMs: options.keepAlive, repeats: 0 },
      outputs: options.outputs.map((entry) => outputSettings(entry.universe, entry)),
      send: (universe, levels) => sender.frame(universe, levels),
      onRound: () => sender.endRound(),
      onKnown: (universe, channel) =>
        this.inputs.find(({ settings }) => settings.universe === universe)?.known(channel),
      onOther: (rest, update) => this.onOther(rest, update),
    })
  }

  private announce(): void {
    const { namespace, router } = this.context
    const outputs = new Set(this.options.outputs.map(({ universe }) => universe))
    const inputs = this.options.inputs.map(({ universe }) => universe).filter((universe) => !outputs.has(universe))
    router.announce(namespace, [
      ...[...outputs].flatMap((universe) => universeSignals(`${namespace}/${universe}`, true, false)),
      ...inputs.flatMap((universe) => universeSignals(`${namespace}/${universe}`, false, this.options.normalize)),
    ])
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
        if (isNode) this.node.address(packet, address)
        return
      case 'input':
        if (isNode) this.node.reply(address)
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

  private onReply(bytes: Buffer, address: string): void {
    if (this.options.role === 'node') return
    const reply = decodePollReply(bytes, address)
    if (reply === undefined) this.drop('malformed', `${bytes.length} bytes from ${address}: ArtPollReply is too short`)
    else if (!this.nodes.heard(reply)) this.drop('nodes_exceeded', `${address} is one node too many`)
    this.context.setPeers(this.nodes.count)
  }

  private onSources(input: InputUniverse): void {
    if (!input.hasSignal) {
      const { onLoss } = input.settings
      this.context.problem('source_lost', `universe ${input.settings.universe} has no source any more: ${onLoss}`)
    }
    this.node.changed()
  }

  private relay(universe: number, levels: Uint8Array | null, priority: number): void {
    for (const { universe: target, relay } of this.options.outputs) {
      if (relay === universe) this.outputs?.find(target)?.relay(levels, priority)
    }
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
