import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { isIPv6 } from 'node:net'

/** More datagrams than these never wait in the process: they are dropped. */
const MAX_QUEUED = 512
const BUFFER_BYTES = 1_048_576

export interface UdpPortOptions {
  readonly address: string
  readonly port: number
  onMessage(bytes: Buffer, from: RemoteInfo): void
  /** The socket failed and is closed. */
  onError(error: Error): void
}

/** A UDP socket that others on this machine can share the port with. */
export class UdpPort {
  readonly socket: Socket
  private isClosed = false

  private constructor(socket: Socket) {
    this.socket = socket
  }

  /** Rejects with words for the operator. */
  static open({ address, port, onMessage, onError }: UdpPortOptions): Promise<UdpPort> {
    return new Promise((resolve, reject) => {
      // Addresses are numeric: the system's resolver would only cost a turn for each datagram.
      const family = isIPv6(address) ? 6 : 4
      const socket = createSocket({
        type: `udp${family}`,
        reuseAddr: true,
        ipv6Only: family === 6,
        lookup: (host, _options, done) => done(null, host, family),
      })
      const opened = new UdpPort(socket)
      socket.once('error', (error: NodeJS.ErrnoException) => {
        opened.close()
        reject(new Error(openingProblem(error, address, port)))
      })
      socket.bind(port, address, () => {
        socket.removeAllListeners('error')
        socket.on('error', (error) => {
          opened.close()
          onError(error)
        })
        socket.setBroadcast(true)
        enlarge(socket)
        socket.on('message', onMessage)
        resolve(opened)
      })
    })
  }

  get port(): number {
    return this.socket.address().port
  }

  /** `bytes` stay as they are until the end of the turn. `done` hears what went wrong, or null. False: too many wait, and this one is dropped. */
  send(bytes: Uint8Array, port: number, address: string, done: (error: Error | null) => void): boolean {
    if (this.isClosed || this.socket.getSendQueueCount() > MAX_QUEUED) return false
    this.socket.send(bytes, port, address, done)
    return true
  }

  async close(): Promise<void> {
    if (this.isClosed) return
    this.isClosed = true
    // What was sent in this turn leaves the process at its end.
    await new Promise((resolve) => setImmediate(resolve))
    await new Promise<void>((resolve) => this.socket.close(() => resolve()))
  }
}

/** 32 universes at once are 20 KB and arrive within a millisecond. */
function enlarge(socket: Socket): void {
  try {
    socket.setRecvBufferSize(BUFFER_BYTES)
  } catch {
    // The usual size then.
  }
}

function openingProblem({ code, message }: NodeJS.ErrnoException, address: string, port: number): string {
  const place = `UDP port ${port} at ${address}`
  if (code === 'EADDRINUSE')
    return `${place} is taken: stop the program that has it to itself (ss -lunp), or bind another address`
  if (code === 'EACCES') return `${place} is not permitted: ports below 1024 need CAP_NET_BIND_SERVICE`
  if (code === 'EADDRNOTAVAIL')
    return `${place}: this machine has no such address (ip address); is the cable plugged in?`
  return `${place} cannot be opened: ${message}`
}
