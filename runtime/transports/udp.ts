import type { RemoteInfo } from 'node:dgram'
import { BlockList, isIP } from 'node:net'
import { MAGIC } from '../../firmware-protocol/wire/constants.ts'
import { type Clock, systemClock } from '../router/clock.ts'
import { CloseCode } from '../router/link.ts'
import type { Log } from '../router/log.ts'
import { frameBytes, helloFrame, isDiscoveryProbe, isHello } from './datagram-frame.ts'
import { DatagramSocket } from './datagram-socket.ts'
import { LinkSweep } from './link-sweep.ts'
import { explainListenFailure } from './listen-error.ts'
import type { PeerAcceptor } from './peer-acceptor.ts'
import { plainAddress, remoteAddress } from './remote-address.ts'
import { UdpLink } from './udp-link.ts'
import { WelcomeBudget } from './welcome-budget.ts'

export interface UdpOptions {
  /** Numeric address to listen on; default all, IPv6 and IPv4. */
  host?: string
  /** Each gets its own sockets; 0 takes any free one. */
  ports: readonly number[]
  /** A source that is silent for so long is forgotten; 0 = never. Default 30 000. */
  idleTimeoutMs?: number
  /** A source that is silent for so long is sent a PING; 0 = never. Default 10 000. */
  pingAfterMs?: number
  /** Default 256. */
  maxSessions?: number
  /** WELCOMEs a second to one address and in total. Default 10 and 100. */
  welcomesPerSource?: number
  welcomesInTotal?: number
  /**
   * Networks (`192.0.2.0/24`, `2001:db8::/32`, or one address) whose devices get a session without HELLO: sensors that
   * send and forget. Throws a RangeError for anything else.
   */
  implicit?: readonly string[]
  /** The WELCOME frame that answers a discovery probe. Without it, probes are ignored. */
  probeReply?: () => Uint8Array
  /** Datagrams of the microcontroller link, which start with 0C. */
  onLinkDatagram?: (bytes: Uint8Array, source: RemoteInfo, reply: (bytes: Uint8Array) => void) => void
  /** Default: the system's. */
  clock?: Clock
}

/** Counters only grow. */
export interface UdpCounters {
  received: number
  sent: number
  /** Neither a frame nor a link datagram, or a frame that is not complete. */
  malformed: number
  /** Frames from a source that has no session. */
  unknownSource: number
  probes: number
  /** HELLOs and probes that were not answered because too many came. */
  rateLimited: number
  /** HELLOs that were not answered because all sessions are taken. */
  refused: number
  /** Frames above 1200 bytes, which are not sent. */
  oversize: number
  /** Batches of frames dropped because the source never validated its address. */
  dropped: number
  sendErrors: number
}

const LINK_DATAGRAM = 0x0c

/** Listens until `stop` or the signal. Rejects with a ListenError when a port cannot be had. */
export async function listenUdp(
  options: UdpOptions,
  acceptor: PeerAcceptor,
  log: Log,
  signal: AbortSignal,
): Promise<UdpListener> {
  signal.throwIfAborted()
  const listener = new UdpListener(options, acceptor, log, signal)
  try {
    for (const port of options.ports) await listener.open(port)
  } catch (error) {
    await listener.stop()
    throw error
  }
  return listener
}

/**
 * Plain CLASP frames in datagrams. A session belongs to a source address and port on one of our sockets; HELLO creates it,
 * silence ends it. Nothing but a WELCOME goes to an address before a second datagram came from it.
 * Source: transport reference §5.1, §12.3.
 */
export class UdpListener {
  readonly counters: UdpCounters = {
    received: 0,
    sent: 0,
    malformed: 0,
    unknownSource: 0,
    probes: 0,
    rateLimited: 0,
    refused: 0,
    oversize: 0,
    dropped: 0,
    sendErrors: 0,
  }
  private readonly options: UdpOptions
  private readonly acceptor: PeerAcceptor
  private readonly log: Log
  private readonly signal: AbortSignal
  private readonly clock: Clock
  private readonly sweep: LinkSweep
  private readonly budget: WelcomeBudget
  private readonly implicit: BlockList
  private readonly sockets: DatagramSocket[] = []
  /** By socket, address and port. */
  private readonly links = new Map<string, UdpLink>()
  private stopped: Promise<void> | undefined

  constructor(options: UdpOptions, acceptor: PeerAcceptor, log: Log, signal: AbortSignal) {
    this.options = options
    this.acceptor = acceptor
    this.log = log
    this.signal = signal
    this.clock = options.clock ?? systemClock
    this.sweep = new LinkSweep(this.clock, [this.idleTimeoutMs, this.pingAfterMs])
    this.budget = new WelcomeBudget(options.welcomesPerSource ?? 10, options.welcomesInTotal ?? 100)
    this.implicit = networks(options.implicit ?? [])
    signal.addEventListener('abort', this.onAbort, { once: true })
  }

  /** The ports that are open, in the order of the options. */
  get ports(): number[] {
    return [...new Set(this.sockets.map((socket) => socket.port))]
  }

  get sessions(): number {
    return this.links.size
  }

  /** Opens the sockets of one port: IPv4 and, where the machine has it, IPv6. */
  async open(port: number): Promise<void> {
    const { host } = this.options
    try {
      if (host !== undefined) {
        await this.bind(isIP(host) === 6 ? 'udp6' : 'udp4', host, port)
        return
      }
      const socket = await this.bind('udp4', undefined, port)
      await this.bind('udp6', undefined, socket.port).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'EAFNOSUPPORT' && error.code !== 'EADDRNOTAVAIL') throw error
        this.log.debug('no UDP over IPv6 on this machine', { port: socket.port })
      })
    } catch (error) {
      const settings = { port: 'listen.udp.ports', host: 'listen.host' }
      throw await explainListenFailure(error, { protocol: 'udp', host, port, settings })
    }
  }

  /** Closes all links and sockets. */
  stop(): Promise<void> {
    this.stopped ??= this.shutDown()
    return this.stopped
  }

  private readonly onAbort = (): void => {
    void this.stop()
  }

  private async shutDown(): Promise<void> {
    this.signal.removeEventListener('abort', this.onAbort)
    for (const link of this.links.values()) link.close(CloseCode.goingAway, 'the router is stopping')
    // The links' handlers hear of it in the next turn.
    await new Promise((resolve) => setImmediate(resolve))
    await Promise.all(this.sockets.map((socket) => socket.close()))
  }

  private get idleTimeoutMs(): number {
    return this.options.idleTimeoutMs ?? 30_000
  }

  private get pingAfterMs(): number {
    return this.options.pingAfterMs ?? 10_000
  }

  private async bind(family: 'udp4' | 'udp6', host: string | undefined, port: number): Promise<DatagramSocket> {
    const socket = await DatagramSocket.bind(family, host, port, this.counters)
    const index = this.sockets.push(socket) - 1
    socket.onDatagram((bytes, source) => this.receive(socket, index, bytes, source))
    return socket
  }

  private receive(socket: DatagramSocket, index: number, buffer: Uint8Array, source: RemoteInfo): void {
    if (this.stopped !== undefined) return
    this.counters.received++
    // A plain view, as from the stream transports.
    const bytes = new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength)
    if (bytes[0] !== MAGIC || frameBytes(bytes, 0, bytes.length) === 0) {
      if (bytes[0] === LINK_DATAGRAM && this.options.onLinkDatagram !== undefined) {
        this.options.onLinkDatagram(bytes, source, (reply) =>
          socket.send(reply, 0, reply.length, source.port, source.address),
        )
      } else {
        this.counters.malformed++
      }
      return
    }
    const key = `${index} ${source.port} ${source.address}`
    const link = this.links.get(key)
    if (isHello(bytes)) this.hello(socket, key, link, bytes, source)
    else if (link !== undefined) {
      link.validate()
      link.receive(bytes, false)
    } else this.implicitSession(socket, key, bytes, source)
  }

  private hello(
    socket: DatagramSocket,
    key: string,
    known: UdpLink | undefined,
    bytes: Uint8Array,
    source: RemoteInfo,
  ): void {
    const isProbe = isDiscoveryProbe(bytes)
    if (isProbe) {
      this.counters.probes++
      if (this.options.probeReply === undefined) return
    }
    if (!this.mayWelcome(source)) return
    if (isProbe) {
      const reply = this.options.probeReply?.() ?? EMPTY
      socket.send(reply, 0, reply.length, source.port, source.address)
    } else {
      const link = known ?? this.create(socket, key, source)
      link?.receive(bytes, true)
    }
  }

  private implicitSession(socket: DatagramSocket, key: string, bytes: Uint8Array, source: RemoteInfo): void {
    const address = plainAddress(source.address).split('%', 1)[0]
    if (!this.implicit.check(address, address.includes(':') ? 'ipv6' : 'ipv4')) {
      this.counters.unknownSource++
      return
    }
    if (!this.mayWelcome(source)) return
    const link = this.create(socket, key, source)
    link?.receive(helloFrame(`udp:${remoteAddress(source.address, source.port)}`), true)
    if (link?.isOpen === true) link.receive(bytes, false)
  }

  private mayWelcome(source: RemoteInfo): boolean {
    if (this.budget.take(source.address, this.clock.now())) return true
    this.counters.rateLimited++
    return false
  }

  private create(socket: DatagramSocket, key: string, source: RemoteInfo): UdpLink | undefined {
    if (this.links.size >= (this.options.maxSessions ?? 256)) {
      this.counters.refused++
      this.log.warn('UDP session refused: too many are open', { remote: source.address })
      return undefined
    }
    const link = new UdpLink({
      socket,
      address: source.address,
      port: source.port,
      remote: remoteAddress(source.address, source.port),
      idleTimeoutMs: this.idleTimeoutMs,
      pingAfterMs: this.pingAfterMs,
      clock: this.clock,
      counters: this.counters,
      onGone: (gone) => {
        this.links.delete(key)
        this.sweep.remove(gone)
      },
    })
    this.links.set(key, link)
    this.sweep.add(link)
    link.start(this.acceptor)
    return link
  }
}

const EMPTY = new Uint8Array(0)

function networks(texts: readonly string[]): BlockList {
  const list = new BlockList()
  for (const text of texts) {
    const [address, prefix] = text.split('/')
    const family = isIP(address)
    const bits = prefix === undefined ? (family === 6 ? 128 : 32) : Number.parseInt(prefix, 10)
    if (family === 0 || !Number.isInteger(bits) || bits < 0 || bits > (family === 6 ? 128 : 32)) {
      throw new RangeError(`"${text}" is not a network: expected for example 192.168.1.0/24`)
    }
    list.addSubnet(address, bits, family === 6 ? 'ipv6' : 'ipv4')
  }
  return list
}
