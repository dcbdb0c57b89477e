import { createServer, type Socket } from 'node:net'
import { listening } from '../../transports/listening.ts'
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
  await listening(server, { port: listen, host, exclusive: true }, { port: 'tcp.listen', host: 'host' })
  return {
    port: (server.address() as { port: number }).port,
    stop: () => new Promise((resolve) => server.close(() => resolve())),
  }
}
