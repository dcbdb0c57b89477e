import { createServer, type Server, type Socket } from 'node:net'
import { explainListenFailure } from '../../transports/listen-error.ts'
import { remoteAddress } from '../../transports/remote-address.ts'

/** A tablet that leaves the network says nothing: its connection must not be counted for ever. */
export const KEEP_ALIVE = { keepAlive: true, keepAliveInitialDelay: 30_000 }

export interface OscServer {
  readonly port: number
  /** All connections are closed when it resolves. */
  stop(): Promise<void>
}

/** Waits for OSC programs over TCP. Rejects with a ListenError when the port cannot be had. */
export async function openOscServer(
  { listen, host, maxClients }: { listen: number; host: string | undefined; maxClients: number },
  onSocket: (socket: Socket, name: string) => void,
  onRefused: (name: string) => void,
): Promise<OscServer> {
  const sockets = new Set<Socket>()
  const server = createServer({ ...KEEP_ALIVE, noDelay: true, allowHalfOpen: true }, (socket) => {
    const name = remoteAddress(socket.remoteAddress, socket.remotePort)
    if (sockets.size >= maxClients) {
      socket.destroy()
      onRefused(name)
      return
    }
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    onSocket(socket, name)
  })
  try {
    await listening(server, listen, host)
  } catch (error) {
    const settings = { port: 'tcp.listen', host: 'host' }
    throw await explainListenFailure(error, { protocol: 'tcp', host, port: listen, settings })
  }
  return {
    port: (server.address() as { port: number }).port,
    stop: () => new Promise((resolve) => server.close(() => resolve())),
  }
}

function listening(server: Server, port: number, host: string | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ port, host, exclusive: true }, () => {
      server.off('error', reject)
      resolve()
    })
  })
}
