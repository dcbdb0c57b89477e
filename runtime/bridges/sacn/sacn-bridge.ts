import type { RemoteInfo } from 'node:dgram'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import type { Timer } from '../../router/clock.ts'
import type { BridgeContext, OpenBridge } from '../bridge.ts'
import { type NetworkBridgeCore, openOnNetwork } from '../lighting/network-bridge.ts'
import { networkPlaces, networkPlaces6 } from '../lighting/network-places.ts'
import { NetworkUniverses } from '../lighting/network-universes.ts'
import { loadCid } from './sacn-identity.ts'
import type { SacnOptions } from './sacn-kind.ts'
import { SacnNetwork, type SacnPlace } from './sacn-network.ts'
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
  const cid = cidFromText(options.cid?.toLowerCase() ?? (await loadCid(context.folder, id, onProblem)))
  return openOnNetwork<SacnPlace>({
    context,
    core: new SacnCore(context, cid),
    places: () => [
      ...(options.ip === 'v6' ? [] : networkPlaces(options.interface)),
      ...(options.ip === 'v4' ? [] : networkPlaces6(options.interface)),
    ],
    missing: `there is no ${options.ip === 'v6' ? 'IPv6 ' : ''}network${options.interface === undefined ? '' : ` at ${options.interface}`}: see "ip address"; is the cable plugged in?`,
  })
}

class SacnCore implements NetworkBridgeCore<SacnPlace> {
  private readonly context: BridgeContext<SacnOptions>
  private readonly cid: string
  private readonly universes: NetworkUniverses
  private readonly receiver: SacnReceiver
  private readonly sources: SacnSources
  private readonly sender: SacnSender
  private readonly groups = new Set<number>()
  private network: SacnNetwork | null = null
  private timer: Timer | null = null
  private isStopped = false
  /** The bridge is about to be opened again. */
  private isBreak = false

  constructor(context: BridgeContext<SacnOptions>, cid: string) {
    this.context = context
    this.cid = cid
    const { clock, options, router, namespace } = context
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
    const network = {
      send: (bytes: Uint8Array, ip: string) => this.network?.send(bytes, ip),
      multicast: (bytes: Uint8Array, universe: number) => this.network?.multicast(bytes, universe),
    }
    this.sender = new SacnSender({ options, cid, network, clock })
    this.universes = new NetworkUniverses({
      context,
      form: { first: 1, last: MAX_UNIVERSE },
      maxSources: MAX_SOURCES,
      // A source that has gone is the loss, which its universe notices by itself.
      lossMs: Number.POSITIVE_INFINITY,
      repeats: REPEATS,
      onSources: ({ settings }) => this.tellSource(settings.universe),
      send: (universe, levels) => this.sender.frame(universe, levels, this.universes.output(universe)),
      onRound: () => this.sender.endRound(),
    })
    this.groups.add(DISCOVERY_UNIVERSE)
    for (const entry of options.inputs) {
      this.groups.add(entry.universe)
      const input = this.universes.inputs.get(entry.universe)
      if (input !== undefined) this.receiver.add(input, entry.slotPriorities, 'live')
      if (!options.preview) continue
      const preview = this.universes.openInput(entry, `${namespace}/preview`)
      this.receiver.add(preview, entry.slotPriorities, 'preview')
    }
  }

  async attach(places: readonly SacnPlace[]): Promise<void> {
    const { options, clock } = this.context
    this.network = await SacnNetwork.open({
      places,
      port: options.port,
      ttl: options.ttl,
      onMessage: (bytes, from) => this.receive(bytes, from),
      onError: (error) => this.lost(`UDP port ${options.port} failed: ${error.message}`),
      onUnsent: (error) => this.onUnsent(error),
    })
    this.universes.open()
    await this.joinAll()
    this.timer = clock.timer(DISCOVERY_EVERY_MS, () => this.everyInterval())
  }

  async detach(): Promise<void> {
    this.timer?.cancel()
    const { network } = this
    this.network = null
    await network?.close()
  }

  async stop(): Promise<void> {
    this.isStopped = true
    this.universes.stop(this.isBreak)
    // Without a network nobody hears goodbyes: receivers know the source as it was.
    this.sender.stop(this.isBreak || this.network === null)
    await this.detach()
  }

  private lost(reason: string): void {
    this.isBreak = true
    this.context.lost(new Error(reason))
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

  private everyInterval(): void {
    this.sender.discover()
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
    if (this.isStopped || network !== this.network) return
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
