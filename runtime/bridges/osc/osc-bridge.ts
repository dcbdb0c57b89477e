import type { RemoteInfo } from 'node:dgram'
import type { Socket } from 'node:net'
import { Pattern } from '../../../firmware-protocol/wire/pattern.ts'
import type { Timer } from '../../router/clock.ts'
import { remoteAddress } from '../../transports/remote-address.ts'
import type { BridgeContext, OpenBridge, RunningBridge } from '../bridge.ts'
import { isSameText } from '../same-text.ts'
import { LocalNetworks } from './local-networks.ts'
import { OscControl } from './osc-control.ts'
import { OscDecoder } from './osc-decoder.ts'
import { OscDirectory } from './osc-directory.ts'
import { EXACT } from './osc-encoder.ts'
import type { OnPacket } from './osc-framing.ts'
import { OscInbound } from './osc-inbound.ts'
import type { OscOptions, OscTargetOptions } from './osc-kind.ts'
import { OscOutbound } from './osc-outbound.ts'
import type { OscPacket } from './osc-packet.ts'
import type { OscLink, OscPeer } from './osc-peer.ts'
import { OscPeers } from './osc-peers.ts'
import { type OscServer, openOscServer } from './osc-server.ts'
import { OscStream } from './osc-stream.ts'
import { type OscTarget, openTarget } from './osc-targets.ts'
import { OscUdp, UdpLink } from './osc-udp.ts'
import { UnprovenLink } from './unproven-link.ts'

const ANNOUNCE_EVERY_MS = 5000
const TYPES = ['param', 'event', 'stream', 'gesture'] as const

/** OSC over UDP and TCP. Source: bridges.md §3. */
export const openOsc: OpenBridge<OscOptions> = async (context) => {
  const bridge = new OscBridge(context)
  try {
    await bridge.open()
  } catch (error) {
    await bridge.stop()
    throw error
  }
  return bridge
}

class OscBridge implements RunningBridge {
  private readonly context: BridgeContext<OscOptions>
  private readonly directory: OscDirectory
  private readonly outbound: OscOutbound
  private readonly peers: OscPeers
  private readonly inbound: OscInbound
  private readonly decoder: OscDecoder
  private readonly localNetworks: LocalNetworks
  private udp: OscUdp | undefined
  private server: OscServer | undefined
  private readonly targets: OscTarget[] = []
  private readonly troubles = new Map<OscTargetOptions, string>()
  private announceTimer: Timer | null = null
  private announced = ''
  private isStopped = false

  constructor(context: BridgeContext<OscOptions>) {
    const { namespace, options } = context
    this.context = context
    const below = Pattern.parse(`${namespace}/**`)
    const announced = () => (below instanceof Pattern ? context.announced(below) : [])
    this.directory = new OscDirectory(namespace, options.signals, announced, context.clock)
    this.outbound = new OscOutbound(context, this.directory)
    this.peers = new OscPeers(context, this.outbound, (peer) => this.inbound.left(peer))
    const control = new OscControl(context, this.directory, this.outbound, () => this.peers.changed())
    this.inbound = new OscInbound(context, this.directory, this.outbound, control)
    this.decoder = new OscDecoder(options)
    this.localNetworks = new LocalNetworks(context.clock)
  }

  async open(): Promise<void> {
    const { context, outbound, directory, peers } = this
    const { options, router, namespace } = context
    this.udp = await OscUdp.open({
      host: options.host,
      port: options.listen,
      onDatagram: (bytes, source) => this.onDatagram(bytes, source),
      onUnsent: (problem) => {
        context.counters.outDropped++
        context.problem('send', problem)
      },
      onLost: (error) => context.lost(error),
    })
    if (options.tcp.listen > 0) {
      this.server = await openOscServer(
        { ...options.tcp, host: options.host },
        (socket, name) => this.onSocket(socket, name),
        (name) => context.problem('refused', `${name}: ${options.tcp.maxClients} connections are open already`),
      )
    }
    const parts = {
      context,
      peers,
      udp: this.udp,
      encoder: outbound.encoder,
      params: () => directory.params(),
      packetsOf: (peer: OscPeer) => this.packetsOf(peer),
      onTrouble: (target: OscTargetOptions, reason: string | undefined) => this.onTrouble(target, reason),
    }
    for (const target of options.targets) this.targets.push(openTarget(target, parts))
    for (const pattern of patternsOf(namespace, options.alsoSend)) {
      router.subscribe(pattern, (update) => outbound.onUpdate(update), { types: TYPES, includesOwn: true })
    }
    this.announce()
  }

  async stop(): Promise<void> {
    this.isStopped = true
    this.announceTimer?.cancel()
    for (const target of this.targets) target.stop()
    this.outbound.stop()
    const closed = this.peers.stop()
    this.inbound.stop()
    await Promise.all([closed, this.server?.stop()])
    await this.udp?.close()
  }

  private onDatagram(bytes: Buffer, source: RemoteInfo): void {
    // Connections may take their time to close.
    if (this.isStopped) return
    const { address, port } = source
    const known = this.peers.find(address, port)
    if (known !== undefined) {
      const { link } = known
      const wasFull = link.isFull
      link.heard?.(bytes.length)
      this.receive(known, bytes, 0, bytes.length)
      if (wasFull) known.resume()
      return
    }
    if (this.udp?.sends(source)) return
    const name = remoteAddress(address, port)
    if (!this.peers.isAllowed(address)) {
      this.drop('refused', `${name} is not in allow`)
      return
    }
    const packet = this.decoder.decode(bytes, 0, bytes.length)
    if (packet.kind === 'fault') {
      this.drop('packet', `${name}: ${packet.problem}`)
    } else if (this.udp !== undefined && this.isWelcome(packet, name)) {
      const link = this.linkTo(new UdpLink(this.udp, port, address), address, name)
      link.heard?.(bytes.length)
      this.accept(this.peers.learn(address, port, link), packet)
    }
  }

  /** The way to a sender that was not known. */
  private linkTo(link: OscLink, host: string, name: string): OscLink {
    const { options, counters } = this.context
    const { mustProve, allow, token } = options
    const isTrusted = allow.length > 0 || token !== undefined || this.localNetworks.includes(host)
    if (mustProve === 'nobody' || (mustProve === 'strangers' && isTrusted)) return link
    return new UnprovenLink({
      link,
      challenge: (number) => this.outbound.encoder.message('/clasp/challenge', { type: 'i64', value: number }, EXACT),
      onHeldBack: () => {
        counters.outDropped++
        this.context.problem('unproven', `${name} gets little until it answers /clasp/challenge; see mustProve, allow`)
      },
    })
  }

  private onSocket(socket: Socket, name: string): void {
    const { remoteAddress: host = '' } = socket
    const { tcp } = this.context.options
    if (!this.peers.isAllowed(host)) {
      socket.destroy()
      this.drop('refused', `${name} is not in allow`)
      return
    }
    const stream: OscStream = new OscStream(socket, {
      framing: tcp.framing,
      clock: this.context.clock,
      onPacket: (bytes, start, end) => {
        if (peer.isWelcome) {
          this.receive(peer, bytes, start, end)
          return
        }
        const packet = this.decoder.decode(bytes, start, end)
        if (packet.kind === 'fault') this.drop('packet', `${name}: ${packet.problem}`)
        else if (this.isWelcome(packet, name)) {
          peer.isWelcome = true
          this.peers.changed()
          this.accept(peer, packet)
          peer.refreshAll(this.directory.params())
        }
      },
      onDrained: () => peer.resume(),
      onBroken: () => this.drop('framing', `${name}: this is not ${tcp.framing}: see tcp.framing`),
      onClosed: () => this.peers.remove(peer),
    })
    const peer = this.peers.connected(name, host, stream, this.context.options.token === undefined)
    peer.refreshAll(this.directory.params())
  }

  private packetsOf(peer: OscPeer): OnPacket {
    return (bytes, start, end) => this.receive(peer, bytes, start, end)
  }

  private receive(peer: OscPeer, bytes: Buffer, start: number, end: number): void {
    const packet = this.decoder.decode(bytes, start, end)
    if (packet.kind === 'fault') {
      this.drop('packet', `${peer.name}: ${packet.problem}`)
      return
    }
    this.accept(peer, packet)
  }

  private accept(peer: OscPeer, packet: OscPacket): void {
    peer.heardAt = this.context.clock.now()
    this.inbound.receive(peer, packet)
    this.announceTimer ??= this.context.clock.timer(ANNOUNCE_EVERY_MS, () => this.announce())
  }

  /** Where a token is asked for, the first packet of a sender shows it. */
  private isWelcome(packet: OscPacket, name: string): boolean {
    const { token } = this.context.options
    if (token === undefined) return true
    const isRight =
      packet.kind === 'message' &&
      packet.address === '/clasp/auth' &&
      packet.value.type === 'string' &&
      isSameText(packet.value.value, token)
    if (!isRight) this.drop('refused', `${name} has not shown the token: /clasp/auth comes first`)
    return isRight
  }

  private onTrouble(target: OscTargetOptions, reason: string | undefined): void {
    if (reason === undefined && !this.troubles.delete(target)) return
    if (reason !== undefined) {
      this.troubles.set(target, reason)
      this.context.problem('target', reason)
    }
    const [first] = this.troubles.values()
    if (first === undefined) this.context.tell('running')
    else this.context.tell('degraded', first)
  }

  /** The signals below the namespace, when there are others than before. */
  private announce(): void {
    this.announceTimer = null
    const { router, namespace } = this.context
    const signals = this.directory.announcement()
    const text = JSON.stringify(signals)
    if (text === this.announced) return
    this.announced = text
    router.announce(namespace, signals)
  }

  private drop(code: string, message: string): void {
    this.context.counters.inDropped++
    this.context.problem(code, message)
  }
}

/** What to subscribe to; nothing twice, for events would be sent twice. */
function patternsOf(namespace: string, alsoSend: readonly string[]): Iterable<string> {
  const covers = (text: string) => {
    const pattern = Pattern.parse(text)
    return pattern instanceof Pattern && pattern.matches(`${namespace}/a`) && pattern.matches(`${namespace}/a/b`)
  }
  const own = `${namespace}/**`
  return new Set(alsoSend.some(covers) ? alsoSend : [own, ...alsoSend])
}
