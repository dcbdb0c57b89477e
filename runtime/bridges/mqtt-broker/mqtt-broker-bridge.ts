import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { createServer as createTlsServer } from 'node:tls'
import { createWebSocketStream, WebSocketServer } from 'ws'
import { listening } from '../../transports/listening.ts'
import type { BridgeContext, OpenBridge } from '../bridge.ts'
import { Broker, MAX_MORE } from './broker.ts'
import { BrokerConnection } from './broker-connection.ts'
import type { MqttBrokerOptions } from './mqtt-broker-kind.ts'
import { SessionKeeper } from './session-keeper.ts'

const WEB_PROTOCOLS = ['mqtt', 'mqttv3.1']
/** For clients to read why. */
const GOODBYE_MS = 300
const HANDSHAKE_MS = 10_000
/** Bytes of a WebSocket message, which may have many packets. */
const MAX_WEB_MESSAGE = 1024 * 1024
/** Close code of WebSockets. */
const UNSUPPORTED_DATA = 1003

/** Rejects with an error that names the port that is taken, or the file that cannot be read. Source: bridges.md §10. */
export const openMqttBroker: OpenBridge<MqttBrokerOptions> = async (context) => {
  const { options } = context
  const { listen, tlsListen, host } = options
  const tls = tlsListen === 0 ? undefined : await tlsOptions(options)
  const client = await context.openClient(`${context.id} retained`)
  const keeper = keeperOf(context)
  const broker = new Broker(context, client, keeper)
  broker.restore((await keeper?.load()) ?? [])
  const sockets = new Set<Socket>()
  const servers: Server[] = []
  const closings: (() => Promise<unknown>)[] = []
  const stop = async () => {
    const closed = closings.map((close) => close())
    for (const server of servers) if (server.listening) closed.push(once(server, 'close'))
    for (const server of servers) server.close()
    broker.stop()
    const goodbye = context.clock.timer(GOODBYE_MS, () => {
      for (const socket of sockets) socket.destroy()
    })
    await Promise.all(closed)
    goodbye.cancel()
    await keeper?.stop()
    await client.close()
  }
  const accept = (socket: Socket) => {
    socket.setNoDelay(true)
    new BrokerConnection(broker, socket, `${socket.remoteAddress}:${socket.remotePort}`)
  }
  try {
    if (listen !== 0) {
      const server = createServer(accept)
      servers.push(server)
      watch(server, broker, sockets)
      await listening(server, { port: listen, host: host }, { port: 'listen', host: 'host' })
    }
    if (tls !== undefined) {
      const server = createTlsServer({ ...tls, handshakeTimeout: HANDSHAKE_MS }, accept)
      server.maxConnections = options.maxClients + MAX_MORE
      server.on('drop', () => broker.problem('refused', 'there are too many clients, a connection is refused'))
      watch(server, broker, sockets)
      server.on('tlsClientError', (error) => broker.problem('tls', `a client's TLS handshake failed: ${error.message}`))
      servers.push(server)
      await listening(server, { port: tlsListen, host: host }, { port: 'tlsListen', host: 'host' })
    }
    if (options.webPath !== '') closings.push(...serveWeb(context, broker))
  } catch (error) {
    // A port may be taken for days: its tries shall not wear out the disk.
    if (!servers.some((server) => server.listening)) keeper?.giveUp()
    await stop()
    throw error
  }
  return { stop }
}

function keeperOf({ folder, id, clock, problem }: BridgeContext<MqttBrokerOptions>): SessionKeeper | null {
  if (folder === undefined) return null
  const path = join(folder, `mqtt-broker-${id}.sessions`)
  return new SessionKeeper({ path, clock, onProblem: (message) => problem('sessions', message) })
}

/** Keeps what is to be ended with it: connections in the middle of their TLS handshake, too. */
function watch(server: Server, broker: Broker, sockets: Set<Socket>): void {
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    socket.on('error', () => {})
  })
  server.on('error', (error) => {
    // Before, it is the one who wants to listen who is told.
    if (server.listening) broker.problem('accept', `a client cannot be let in: ${error.message}`)
  })
}

/** MQTT in binary messages of WebSockets, of which the borders mean nothing. Source: MQTT 5.0 §6. */
function serveWeb(context: BridgeContext<MqttBrokerOptions>, broker: Broker): (() => Promise<unknown>)[] {
  const { options, web } = context
  const server = new WebSocketServer({
    noServer: true,
    maxPayload: Math.max(options.maxPacket, MAX_WEB_MESSAGE),
    perMessageDeflate: false,
    handleProtocols: (offered) => WEB_PROTOCOLS.find((name) => offered.has(name)) ?? false,
  })
  const giveUp = web.upgrade(options.webPath, (request, socket, head) => {
    server.handleUpgrade(request, socket, head, (webSocket) => {
      // MQTT 5.0 §6: only binary messages.
      webSocket.on('message', (_data, isBinary) => {
        if (!isBinary) webSocket.close(UNSUPPORTED_DATA)
      })
      const stream = createWebSocketStream(webSocket)
      new BrokerConnection(broker, stream, `${request.socket.remoteAddress}:${request.socket.remotePort}`)
    })
  })
  const close = () => {
    giveUp()
    server.close()
    const closed = [...server.clients].map(async (webSocket) => {
      const goodbye = context.clock.timer(GOODBYE_MS, () => webSocket.terminate())
      await new Promise((resolve) => webSocket.once('close', resolve))
      goodbye.cancel()
    })
    return Promise.all(closed)
  }
  return [close]
}

async function tlsOptions({ tlsCert = '', tlsKey = '', tlsClientCa }: MqttBrokerOptions) {
  const read = async (path: string, option: string) => {
    try {
      return await readFile(path)
    } catch (error) {
      const reason = (error as NodeJS.ErrnoException).code
      throw new Error(`${option}: ${path} cannot be read (${reason}): check its path and its permissions`)
    }
  }
  const [cert, key] = [await read(tlsCert, 'tlsCert'), await read(tlsKey, 'tlsKey')]
  if (tlsClientCa === undefined) return { cert, key }
  return { cert, key, ca: await read(tlsClientCa, 'tlsClientCa'), requestCert: true, rejectUnauthorized: true }
}
