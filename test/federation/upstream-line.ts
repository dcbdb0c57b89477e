import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { type WebSocket, WebSocketServer } from 'ws'

/** One transport connection at the hub. */
export interface UpstreamLine {
  /** Bytes that the kernel has not taken yet. */
  readonly waitingBytes: number
  send(frame: Uint8Array, written: () => void): void
  /** Stops and starts reading: what the peer sends then waits in the sockets. */
  pause(): void
  resume(): void
  close(): void
  /** Cuts the connection without a farewell. */
  cut(): void
}

export interface UpstreamLineOwner {
  onFrame(frame: Uint8Array): void
  onEnd(): void
}

export interface UpstreamListener {
  readonly port: number
  stop(): Promise<void>
}

type Accept = (line: UpstreamLine) => UpstreamLineOwner

const LENGTH_BYTES = 4
const MAX_TCP_FRAME_BYTES = 65_536

/** One frame per binary message; text is ignored, and plain HTTP is told `ok` (router.md §1.2). */
export async function listenWebSocket(port: number, accept: Accept): Promise<UpstreamListener> {
  const http = createHttpServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/plain', connection: 'close' }).end('ok\n')
  })
  const server = new WebSocketServer({
    server: http,
    perMessageDeflate: false,
    handleProtocols: (offered) => (offered.has('clasp') ? 'clasp' : false),
  })
  server.on('connection', (socket) => {
    const owner = accept(new WebSocketLine(socket))
    socket.on('message', (data: Buffer, isBinary) => {
      if (isBinary) owner.onFrame(Uint8Array.from(data))
    })
    socket.on('error', () => {})
    socket.on('close', () => owner.onEnd())
  })
  return listening(http, port)
}

/** A length of four bytes before each frame; a larger one than the limit ends the connection (router.md §1.3). */
export function listenTcp(port: number, accept: Accept): Promise<UpstreamListener> {
  const server = createServer((socket) => {
    socket.setNoDelay(true)
    const owner = accept(new TcpLine(socket))
    let rest = Buffer.alloc(0)
    socket.on('data', (chunk) => {
      rest = Buffer.concat([rest, chunk])
      while (rest.length >= LENGTH_BYTES) {
        const length = rest.readUInt32BE(0)
        if (length > MAX_TCP_FRAME_BYTES) {
          socket.destroy()
          return
        }
        if (rest.length < LENGTH_BYTES + length) return
        owner.onFrame(Uint8Array.from(rest.subarray(LENGTH_BYTES, LENGTH_BYTES + length)))
        rest = rest.subarray(LENGTH_BYTES + length)
      }
    })
    socket.on('error', () => {})
    socket.on('close', () => owner.onEnd())
  })
  return listening(server, port)
}

/** On loopback; `stop` also ends what has not become a connection of the hub yet. */
async function listening(server: Server, port: number): Promise<UpstreamListener> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    stop: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
}

class WebSocketLine implements UpstreamLine {
  private readonly socket: WebSocket

  constructor(socket: WebSocket) {
    this.socket = socket
  }

  get waitingBytes(): number {
    return this.socket.bufferedAmount
  }

  send(frame: Uint8Array, written: () => void): void {
    this.socket.send(frame, { binary: true }, written)
  }

  pause(): void {
    this.socket.pause()
  }

  resume(): void {
    this.socket.resume()
  }

  close(): void {
    this.socket.close()
  }

  cut(): void {
    this.socket.terminate()
  }
}

class TcpLine implements UpstreamLine {
  private readonly socket: Socket

  constructor(socket: Socket) {
    this.socket = socket
  }

  get waitingBytes(): number {
    return this.socket.writableLength
  }

  send(frame: Uint8Array, written: () => void): void {
    const unit = Buffer.alloc(LENGTH_BYTES + frame.length)
    unit.writeUInt32BE(frame.length)
    unit.set(frame, LENGTH_BYTES)
    this.socket.write(unit, written)
  }

  pause(): void {
    this.socket.pause()
  }

  resume(): void {
    this.socket.resume()
  }

  close(): void {
    this.socket.end()
  }

  cut(): void {
    this.socket.destroy()
  }
}
