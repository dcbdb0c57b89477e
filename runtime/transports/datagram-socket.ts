import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import type { UdpCounters } from './udp.ts'

/** Room for a burst while the event loop is busy; the kernel grants what its limits allow. */
const RECEIVE_BUFFER_BYTES = 1_048_576

export type DatagramHandler = (bytes: Uint8Array, source: RemoteInfo) => void

/** One bound UDP socket. Sending never throws; what goes wrong is counted. */
export class DatagramSocket {
  readonly family: 'udp4' | 'udp6'
  readonly port: number
  private readonly socket: Socket
  private readonly counters: UdpCounters
  private isOpen = true

  private constructor(socket: Socket, family: 'udp4' | 'udp6', counters: UdpCounters) {
    this.socket = socket
    this.family = family
    this.port = socket.address().port
    this.counters = counters
    // Errors of single datagrams (ICMP, out of buffers). The socket stays usable.
    socket.on('error', () => {
      counters.sendErrors++
    })
  }

  /** Rejects with the system's error when the address cannot be bound. */
  static bind(
    family: 'udp4' | 'udp6',
    host: string | undefined,
    port: number,
    counters: UdpCounters,
  ): Promise<DatagramSocket> {
    return new Promise((resolve, reject) => {
      const socket = createSocket({
        type: family,
        ipv6Only: family === 'udp6',
        recvBufferSize: RECEIVE_BUFFER_BYTES,
        // All addresses here are numeric, and looking them up would put every datagram off to a later turn.
        lookup: (address, _options, callback) => callback(null, address, family === 'udp6' ? 6 : 4),
      })
      socket.once('error', (error) => {
        socket.close()
        reject(error)
      })
      socket.once('listening', () => {
        socket.removeAllListeners('error')
        resolve(new DatagramSocket(socket, family, counters))
      })
      socket.bind({ port, address: host, exclusive: true })
    })
  }

  onDatagram(handler: DatagramHandler): void {
    this.socket.on('message', handler)
  }

  /** Sends `bytes[start..end)` as one datagram. The bytes must not change before `holdsBytes` is false. */
  send(bytes: Uint8Array, start: number, end: number, port: number, address: string): void {
    if (!this.isOpen) return
    try {
      this.socket.send(bytes, start, end - start, port, address, this.sent)
      this.counters.sent++
    } catch {
      // Only for arguments that no received datagram can bring, such as port 0 of a forged source.
      this.counters.sendErrors++
    }
  }

  /** True while the kernel has not taken everything that was sent. */
  get holdsBytes(): boolean {
    return this.isOpen && this.socket.getSendQueueCount() > 0
  }

  close(): Promise<void> {
    if (!this.isOpen) return Promise.resolve()
    this.isOpen = false
    return new Promise((resolve) => {
      this.socket.close(() => resolve())
    })
  }

  private readonly sent = (error: Error | null): void => {
    if (error !== null) this.counters.sendErrors++
  }
}
