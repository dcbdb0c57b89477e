import { lookup } from 'node:dns/promises'
import { connect, isIP, type Socket } from 'node:net'
import { BackOff } from '../../client/back-off.ts'
import type { Timer } from '../../router/clock.ts'
import type { BridgeContext } from '../bridge.ts'
import { BundledLink } from './bundled-link.ts'
import type { OscBytes, OscEncoder } from './osc-encoder.ts'
import type { OnPacket } from './osc-framing.ts'
import type { OscOptions, OscTargetOptions } from './osc-kind.ts'
import type { OscLink, OscPeer } from './osc-peer.ts'
import type { OscPeers } from './osc-peers.ts'
import { KEEP_ALIVE } from './osc-server.ts'
import { OscStream } from './osc-stream.ts'
import { type OscUdp, UdpLink } from './osc-udp.ts'

const CONNECT_WITHIN_MS = 5000
/** Where a name is not known at all: the network may come up later than this. */
const FIND_EVERY_MS = 5000

export interface TargetParts {
  readonly context: BridgeContext<OscOptions>
  readonly peers: OscPeers
  readonly udp: OscUdp
  readonly encoder: OscEncoder
  /** Addresses of all params with a value. */
  params(): Iterable<string>
  packetsOf(peer: OscPeer): OnPacket
  /** Why it cannot be reached; undefined: it can. */
  onTrouble(target: OscTargetOptions, reason: string | undefined): void
}

export interface OscTarget {
  stop(): void
}

export function openTarget(options: OscTargetOptions, parts: TargetParts): OscTarget {
  return options.protocol === 'tcp' ? new TcpTarget(options, parts) : new UdpTarget(options, parts)
}

function linkOf(link: OscLink, { bundle, latency }: OscTargetOptions, { encoder, context }: TargetParts): OscLink {
  return bundle ? new BundledLink(link, encoder, context.clock, latency) : link
}

/** Datagrams to a host, of which the name is looked up again from time to time. */
class UdpTarget implements OscTarget {
  private readonly options: OscTargetOptions
  private readonly parts: TargetParts
  private readonly link: UdpLink
  private readonly peer: OscPeer
  private timer: Timer | null = null
  private isStopped = false

  constructor(options: OscTargetOptions, parts: TargetParts) {
    this.options = options
    this.parts = parts
    this.link = new UdpLink(parts.udp, options.port)
    this.peer = parts.peers.target(options, linkOf(this.link, options, parts))
    if (isIP(options.host) === 0) void this.find()
    else this.reach(options.host)
  }

  stop(): void {
    this.isStopped = true
    this.timer?.cancel()
  }

  private async find(): Promise<void> {
    const { host } = this.options
    try {
      const addresses = (await lookup(host, { all: true })).filter(({ address }) => this.parts.udp.reaches(address))
      // Most OSC programs know nothing but IPv4.
      const [first] = addresses.sort((a, b) => a.family - b.family)
      if (first === undefined) throw Object.assign(new Error(), { code: 'no address of the kind of host' })
      if (!this.isStopped) this.reach(first.address)
    } catch (error) {
      const reason = `${host} is not known (${(error as NodeJS.ErrnoException).code}): check the name or give an address`
      if (!this.isStopped && this.link.host === undefined) this.parts.onTrouble(this.options, reason)
    }
    if (this.isStopped) return
    const { clock, options } = this.parts.context
    const everyMs = this.link.host === undefined ? Math.min(FIND_EVERY_MS, options.lookupEvery) : options.lookupEvery
    this.timer = clock.timer(everyMs, () => void this.find())
  }

  private reach(host: string): void {
    if (host === this.link.host) return
    const isFirst = this.link.host === undefined
    this.link.host = host
    this.parts.peers.locate(this.peer, host, this.options.port)
    this.parts.onTrouble(this.options, undefined)
    // Another host knows nothing yet.
    if (!isFirst) this.peer.refreshAll(this.parts.params())
    this.peer.resume()
  }
}

/** A connection that is opened again, later and later, whenever it ends. */
class TcpTarget implements OscTarget, OscLink {
  private readonly options: OscTargetOptions
  private readonly parts: TargetParts
  private readonly peer: OscPeer
  private readonly backOff: BackOff
  private socket: Socket | null = null
  private stream: OscStream | null = null
  private timer: Timer | null = null
  private isStopped = false

  constructor(options: OscTargetOptions, parts: TargetParts) {
    this.options = options
    this.parts = parts
    this.backOff = new BackOff({ baseMs: 1000, capMs: 30_000, random: parts.context.random })
    this.peer = parts.peers.target(options, linkOf(this, options, parts))
    this.dial()
  }

  get isFull(): boolean {
    return this.stream?.isFull ?? true
  }

  send(packet: OscBytes): void {
    this.stream?.send(packet)
  }

  async close(): Promise<void> {
    await this.stream?.close()
  }

  stop(): void {
    this.isStopped = true
    this.timer?.cancel()
    if (this.stream === null) this.socket?.destroy()
  }

  private dial(): void {
    const { host, port, framing } = this.options
    const { clock } = this.parts.context
    const socket = connect({ ...KEEP_ALIVE, host, port, noDelay: true })
    this.socket = socket
    const deadline = clock.timer(CONNECT_WITHIN_MS, () => socket.destroy(new Error('it does not answer')))
    let failure: Error | undefined
    const onError = (error: Error) => {
      failure = error
    }
    const onClose = () => {
      deadline.cancel()
      this.again(failure)
    }
    socket.once('error', onError)
    socket.once('close', onClose)
    socket.once('connect', () => {
      deadline.cancel()
      socket.off('close', onClose)
      this.backOff.reset()
      this.parts.onTrouble(this.options, undefined)
      this.stream = new OscStream(socket, {
        framing,
        clock,
        onPacket: this.parts.packetsOf(this.peer),
        onDrained: () => this.peer.resume(),
        onBroken: () => this.parts.context.problem('framing', `${this.peer.name}: this is not ${framing}: see framing`),
        onClosed: (error) => this.again(error),
      })
      if (socket.remoteAddress !== undefined) this.parts.peers.locate(this.peer, socket.remoteAddress, port)
      this.peer.refreshAll(this.parts.params())
      this.peer.resume()
    })
  }

  private again(error: Error | undefined): void {
    this.stream = null
    if (this.isStopped) return
    const { host, port } = this.options
    const what = error?.message ?? 'it closed the connection'
    this.parts.onTrouble(this.options, `target ${host}:${port}: ${what}: is it running, and is the port right?`)
    this.timer = this.parts.context.clock.timer(this.backOff.next(), () => this.dial())
  }
}
