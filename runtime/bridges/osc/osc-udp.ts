import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { isIP } from 'node:net'
import { explainListenFailure } from '../../transports/listen-error.ts'
import { remoteAddress } from '../../transports/remote-address.ts'
import { ownInterfaces } from '../own-interfaces.ts'
import type { OscBytes } from './osc-encoder.ts'
import type { OscLink } from './osc-peer.ts'

/** Room for a burst while the event loop is busy; the kernel grants what its limits allow. */
const RECEIVE_BUFFER_BYTES = 1_048_576
/** What the kernel has not taken yet; beyond it datagrams are dropped. */
const MAX_UNSENT_BYTES = 1_048_576
const MAX_DATAGRAM_BYTES = 65_507
/** IPv6 is off, or the machine has none. */
const NO_IPV6 = ['EAFNOSUPPORT', 'EADDRNOTAVAIL', 'EINVAL']

export interface OscUdpParts {
  /** Undefined: all addresses of IPv4 and IPv6. */
  readonly host: string | undefined
  readonly port: number
  onDatagram(bytes: Buffer, source: RemoteInfo): void
  /** A datagram was not sent; what happened and where. */
  onUnsent(problem: string): void
  /** A socket does not work any more. */
  onLost(error: Error): void
}

/** The sockets of one port, for both directions: answers come from where requests went. */
export class OscUdp {
  private readonly parts: OscUdpParts
  private v4: Socket | undefined
  private v6: Socket | undefined

  private constructor(parts: OscUdpParts) {
    this.parts = parts
  }

  /** Rejects with a ListenError when the port cannot be had. */
  static async open(parts: OscUdpParts): Promise<OscUdp> {
    const udp = new OscUdp(parts)
    const { host, port } = parts
    try {
      if (host === undefined || isIP(host) !== 6) udp.v4 = await udp.bind('udp4', host, port)
      if (host === undefined || isIP(host) === 6) {
        udp.v6 = await udp.bind('udp6', host, udp.port).catch((error: NodeJS.ErrnoException) => {
          const isOptional = host === undefined && (port === 0 || NO_IPV6.includes(error.code ?? ''))
          if (isOptional) return undefined
          throw error
        })
      }
    } catch (error) {
      await udp.close()
      throw await explainListenFailure(error, {
        protocol: 'udp',
        host,
        port,
        settings: { port: 'listen', host: 'host' },
      })
    }
    return udp
  }

  get port(): number {
    return this.v4?.address().port ?? this.v6?.address().port ?? this.parts.port
  }

  /** Whether there is a socket for this kind of numeric address. */
  reaches(host: string): boolean {
    return (host.includes(':') ? this.v6 : this.v4) !== undefined
  }

  /** Whether a datagram from there was sent here: broadcasts to the own port come back. */
  sends({ address, port }: RemoteInfo): boolean {
    const socket = address.includes(':') ? this.v6 : this.v4
    if (socket === undefined || port !== this.port) return false
    const own = socket.address().address
    if (own !== '0.0.0.0' && own !== '::') return address === own
    return Object.values(ownInterfaces()).some((all) => all?.some((one) => one.address === address))
  }

  send({ bytes, start, end }: OscBytes, port: number, host: string): void {
    const socket = host.includes(':') ? this.v6 : this.v4
    if (socket === undefined) {
      this.parts.onUnsent(`${host}: there is no socket for this kind of address; see host`)
    } else if (port === 0) {
      this.parts.onUnsent(`${host} gave no port to send to; see /clasp/reply`)
    } else if (end - start > MAX_DATAGRAM_BYTES) {
      this.parts.onUnsent(`${remoteAddress(host, port)}: ${end - start} bytes do not fit into a datagram; use tcp`)
    } else if (socket.getSendQueueSize() > MAX_UNSENT_BYTES) {
      this.parts.onUnsent(`${remoteAddress(host, port)}: the network does not take more`)
    } else socket.send(bytes, start, end - start, port, host, this.sent)
  }

  async close(): Promise<void> {
    const sockets = [this.v4, this.v6]
    this.v4 = undefined
    this.v6 = undefined
    await Promise.all(sockets.map((socket) => socket && new Promise<void>((resolve) => socket.close(() => resolve()))))
  }

  private bind(type: 'udp4' | 'udp6', host: string | undefined, port: number): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const socket = createSocket({
        type,
        ipv6Only: type === 'udp6',
        recvBufferSize: RECEIVE_BUFFER_BYTES,
        // Targets are looked up elsewhere; a look-up here would put every datagram off to a later turn.
        lookup: (address, _options, callback) => callback(null, address, type === 'udp6' ? 6 : 4),
      })
      socket.once('error', (error) => {
        socket.close()
        reject(error)
      })
      socket.once('listening', () => {
        socket.removeAllListeners('error')
        socket.on('error', (error) => this.parts.onLost(error))
        socket.on('message', this.parts.onDatagram)
        // Targets inside a network may be broadcast addresses.
        if (type === 'udp4') socket.setBroadcast(true)
        resolve(socket)
      })
      socket.bind({ port, address: host, exclusive: true })
    })
  }

  private readonly sent = (error: Error | null): void => {
    if (error !== null) this.parts.onUnsent(error.message)
  }
}

/** The way to one port of one host. */
export class UdpLink implements OscLink {
  private readonly udp: OscUdp
  private port: number
  /** Numeric; undefined: it is not known yet. */
  host: string | undefined

  constructor(udp: OscUdp, port: number, host?: string) {
    this.udp = udp
    this.port = port
    this.host = host
  }

  get isFull(): boolean {
    return this.host === undefined
  }

  send(packet: OscBytes): void {
    if (this.host !== undefined) this.udp.send(packet, this.port, this.host)
  }

  setPort(port: number): boolean {
    this.port = port
    return true
  }

  async close(): Promise<void> {
    this.host = undefined
  }
}
