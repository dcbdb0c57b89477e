import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { createWebSocketStream, WebSocketServer } from 'ws'
import { explainListenFailure } from '../../transports/listen-error.ts'
import type { BridgeContext, OpenBridge } from '../bridge.ts'
import { Broker } from './broker.ts'
import { BrokerConnection } from './broker-connection.ts'
import type { MqttBrokerOptions } from './mqtt-broker-kind.ts'

const WEB_PROTOCOLS = ['mqtt', 'mqttv3.1']
/** For clients to read why. */
const GOODBYE_MS = 300

/** Rejects with an error that names the port that is taken, or the file that cannot be read. Source: bridges.md §10. */
export const openMqttBroker: OpenBridge<MqttBrokerOptions> = async (context) => {
  const { options } = context
  const { listen, tlsListen, host } = options
  const tls = tlsListen === 0 ? undefined : await tlsOptions(options)
  const client = await context.openClient(`${context.id} retained`)
  const broker = new Broker(context, client)
  const sockets = new Set<Socket>()
  const servers: Server[] = []
  const closings: (() => void)[] = []
  const stop = async () => {
    for (const close of closings) close()
    const closed = servers.filter(({ listening }) => listening).map((server) => once(server, 'close'))
    for (const server of servers) server.close()
    broker.stop()
    const goodbye = context.clock.timer(GOODBYE_MS, () => {
      for (const socket of sockets) socket.destroy()
    })
    await Promise.all(closed)
    goodbye.cancel()
    await client.close()
  }
  const accept = (socket: Socket) => {
    socket.setNoDelay(true)
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    new BrokerConnection(broker, socket, `${socket.remoteAddress}:${socket.remotePort}`)
  }
  try {
    if (listen !== 0) {
      const server = createServer(accept)
      servers.push(server)
      await listening(server, listen, host, 'listen')
    }
    if (tls !== undefined) {
      const server = createTlsServer(tls, accept)
      server.on('tlsClientError', (error) => broker.problem('tls', `a client's TLS handshake failed: ${error.message}`))
      servers.push(server)
      await listening(server, tlsListen, host, 'tlsListen')
    }
    if (options.webPath !== '') closings.push(...serveWeb(context, broker))
  } catch (error) {
    await stop()
    throw error
  }
  return { stop }
}

/** MQTT in binary messages of WebSockets, of which the borders mean nothing. Source: MQTT 5.0 §6. */
function serveWeb(context: BridgeContext<MqttBrokerOptions>, broker: Broker): (() => void)[] {
  const { options, web } = context
  const server = new WebSocketServer({
    noServer: true,
    maxPayload: options.maxPacket,
    perMessageDeflate: false,
    handleProtocols: (offered) => WEB_PROTOCOLS.find((name) => offered.has(name)) ?? false,
  })
  const giveUp = web.upgrade(options.webPath, (request, socket, head) => {
    server.handleUpgrade(request, socket, head, (webSocket) => {
      const stream = createWebSocketStream(webSocket)
      new BrokerConnection(broker, stream, `${request.socket.remoteAddress}:${request.socket.remotePort}`)
    })
  })
  const closeAll = () => {
    server.close()
    for (const webSocket of server.clients) {
      const goodbye = context.clock.timer(GOODBYE_MS, () => webSocket.terminate())
      webSocket.once('close', () => goodbye.cancel())
    }
  }
  return [giveUp, closeAll]
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

async function listening(server: Server, port: number, host: string | undefined, setting: string): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen({ port, host }, () => {
        server.removeListener('error', reject)
        resolve()
      })
    })
  } catch (error) {
    throw await explainListenFailure(error, { protocol: 'tcp', host, port, settings: { port: setting, host: 'host' } })
  }
}
