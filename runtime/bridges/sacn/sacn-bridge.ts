import type { RemoteInfo } from 'node:dgram'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import type { Timer } from '../../router/clock.ts'
import type { BridgeContext, OpenBridge, RunningBridge } from '../bridge.ts'
import { FrameClock } from '../lighting/frame-clock.ts'
import { InputUniverse } from '../lighting/input-universe.ts'
import { LightingOutputs } from '../lighting/lighting-outputs.ts'
import { inputSettings, outputSettings } from '../lighting/lighting-settings.ts'
import { networkPlaces, watchPlaces } from '../lighting/network-places.ts'
import { universeSignals } from '../lighting/universe-signals.ts'
import { loadCid } from './sacn-identity.ts'
import type { SacnOptions } from './sacn-kind.ts'
import { SacnNetwork } from './sacn-network.ts'
import { cidFromText, cidText, DISCOVERY_UNIVERSE, decodeSacn, MAX_UNIVERSE, sourceName } from './sacn-packet.ts'
import { SacnReceiver } from './sacn-receiver.ts'
import { SacnSender } from './sacn-sender.ts'
import { SacnSources } from './sacn-sources.ts'

const MAX_SOURCES = 8
const DISCOVERY_EVERY_MS = 10_000
/** Unchanged frames after a change: E1.31 §6.6.1. */
const REPEATS = 3

/** SACN as source and receiver. Source: bridges.md §7. */
export const openSacn: OpenBridge<SacnOptions> = async (context) => {
  const { options, id } = context
  const onProblem = (message: string) => context.problem('identity', message)
  const cid = options.cid?.toLowerCase() ?? (await loadCid(context.folder, id, onProblem))
  const bridge = new SacnBridge(context, cidFromText(cid))
  await bridge.open()
  return bridge
}

class SacnBridge implements RunningBridge {
  private readonly context: BridgeContext<SacnOptions>
  private readonly cid: string
  private readonly inputFrames: FrameClock
  private readonly receiver: SacnReceiver
  private readonly sources: SacnSources
  private readonly inputs = new Map<number, InputUniverse>()
  private readonly groups = new Set<number>()
  private network: SacnNetwork | null = null
  private sender: SacnSender | null = null
  private outputs: LightingOutputs | null = null
  private timer: Timer | null = null
  private endWatch = () => {}
  private isStopped = false
  /** It is about to be opened again. */
  private isBreak = false

  constructor(context: BridgeContext<SacnOptions>, cid: string) {
    this.context = context
    this.cid = cid
    const { clock, options, router, namespace } = context
    this.inputFrames = new FrameClock(clock)
    this.sources = new SacnSources(router, namespace, clock)
    this.receiver = new SacnReceiver({
      clock,
      lossMs: options.loss,
      onSyncAddress: (universe) => void this.join(universe),
      onExceeded: (universe, other) =>
        context.problem(
          'sources_exceeded',
          `universe ${universe}: ${cidText(other)} is one source too many (${MAX_SOURCES})`,
        ),
      onSources: (universe) => this.tellSource(universe),
    })
  }

  async open(): Promise<void> {
    const { options, context } = this
    const places = networkPlaces(options.interface)
    if (places.length === 0) {
      throw new Error(
        `there is no network${options.interface === undefined ? '' : ` at ${options.interface}`}: see "ip address"; is the cable plugged in?`,
      )
    }
    for (const entry of options.inputs) this.openInput(entry)
    this.network = await SacnNetwork.open({
      places,
      port: options.port,
      ttl: options.ttl,
      onMessage: (bytes, from) => this.receive(bytes, from),
      onError: (error) => this.lost(`UDP port ${options.port} failed: ${error.message}`),
      onUnsent: (error) => this.onUnsent(error),
    })
    this.openOutputs(this.network)
    this.announce()
    for (const { universe } of options.inputs) this.groups.add(universe)
    this.groups.add(DISCOVERY_UNIVERSE)
    await this.joinAll()
    this.timer = context.clock.timer(DISCOVERY_EVERY_MS, () => this.everyInterval())
    this.endWatch = watchPlaces(context.clock, options.interface, places, () =>
      this.lost('the addresses of this machine have changed: opened again with the new ones'),
    )
  }

  async stop(): Promise<void> {
    this.isStopped = true
    this.timer?.cancel()
    this.endWatch()
    this.inputFrames.stop()
    this.outputs?.stop(this.isBreak)
    this.sender?.stop(this.isBreak)
    await this.network?.close()
  }

  private get options(): SacnOptions {
    return this.context.options
  }

  /** What is lit stays lit until it is open again: that takes less than receivers wait. */
  private lost(reason: string): void {
    this.isBreak = true
    this.context.lost(new Error(reason))
  }

  private openInput(entry: SacnOptions['inputs'][number]): void {
    const { options, router, namespace, clock } = this.context
    const common = {
      settings: inputSettings(entry.universe, entry),
      scenes: options.scenes,
      periodMs: 1000 / options.inRate,
      // A source that has gone is the loss, which its universe notices by itself.
      lossMs: Number.POSITIVE_INFINITY,
      maxSources: MAX_SOURCES,
      isNormalized: options.normalize,
      router,
      time: clock,
      frames: this.inputFrames,
    }
    const input = new InputUniverse({
      ...common,
      namespace,
      onSources: () => this.onSources(input),
      onLevels: (levels, priority) => this.relay(entry.universe, levels, priority),
    })
    this.inputs.set(entry.universe, input)
    this.receiver.add(input, entry.slotPriorities, 'live')
    if (!options.preview) return
    const preview = new InputUniverse({ ...common, namespace: `${namespace}/preview` })
    this.receiver.add(preview, entry.slotPriorities, 'preview')
  }

  private openOutputs(network: SacnNetwork): void {
    const { context, options } = this
    const sender = new SacnSender({ options, cid: this.cid, network, clock: context.clock })
    this.sender = sender
    const outputs = new LightingOutputs({
      context,
      form: { first: 1, last: MAX_UNIVERSE },
      scale: options.scale,
      scenes: options.scenes,
      pace: { periodMs: 1000 / options.rate, keepAliveMs: options.keepAlive, repeats: REPEATS },
      outputs: options.outputs.map((entry) => outputSettings(entry.universe, entry)),
      send: (universe, levels) => sender.frame(universe, levels, this.outputs?.find(universe)),
      onRound: () => sender.endRound(),
      onKnown: (universe, channel) => this.inputs.get(universe)?.known(channel),
    })
    this.outputs = outputs
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

  private receive(bytes: Buffer, { address }: RemoteInfo): void {
    const packet = decodeSacn(bytes)
    if (typeof packet === 'string') {
      this.drop('malformed', `${bytes.length} bytes from ${address}: ${packet}`)
      return
    }
    if (packet.type === 'other' || packet.cid === this.cid) return
    if (packet.type === 'data') {
      // Other universes are others' business, late ones are not worth a word.
      if (!this.receiver.data(packet, () => sourceName(bytes))) this.context.counters.inDropped++
    } else if (packet.type === 'sync') {
      this.receiver.sync(packet)
    } else {
      if (!this.sources.heard(packet)) this.drop('sources_exceeded', `${address} is one source too many`)
      this.context.setPeers(this.sources.count)
    }
  }

  private onSources(input: InputUniverse): void {
    const { universe, onLoss } = input.settings
    if (!input.hasSignal) this.context.problem('source_lost', `universe ${universe} has no source any more: ${onLoss}`)
    this.tellSource(universe)
  }

  private tellSource(universe: number): void {
    const top = this.receiver.topSource(universe)
    const value: Value =
      top === undefined
        ? { type: 'null' }
        : {
            type: 'map',
            value: [
              ['cid', { type: 'string', value: cidText(top.cid) }],
              ['name', { type: 'string', value: top.name }],
              ['priority', { type: 'i64', value: top.priority }],
            ],
          }
    this.context.router.set(`${this.context.namespace}/${universe}/source`, value)
  }

  private relay(universe: number, levels: Uint8Array | null, priority: number): void {
    for (const { universe: target, relay } of this.options.outputs) {
      if (relay === universe) this.outputs?.find(target)?.relay(levels, priority)
    }
  }

  private everyInterval(): void {
    this.sender?.discover()
    this.sources.forget()
    this.context.setPeers(this.sources.count)
    void this.joinAll()
    this.timer = this.context.clock.timer(DISCOVERY_EVERY_MS, () => this.everyInterval())
  }

  private async join(universe: number): Promise<void> {
    this.groups.add(universe)
    await this.joinAll()
  }

  /** Those that could not be joined are tried again at each interval; unicast works meanwhile. */
  private async joinAll(): Promise<void> {
    const { network, context } = this
    if (network === null) return
    let problem: string | undefined
    for (const universe of this.groups) problem = (await network.join(universe)) ?? problem
    if (this.isStopped) return
    if (problem === undefined) context.tell('running')
    else context.tell('degraded', problem)
  }

  private onUnsent(error: Error | null): void {
    this.context.counters.outDropped++
    if (error !== null)
      this.context.problem('send', `${error.message}: is the network up, and does it allow multicast?`)
  }

  private drop(code: string, message: string): void {
    this.context.counters.inDropped++
    this.context.problem(code, message)
  }
}
