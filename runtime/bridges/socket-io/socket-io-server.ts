import { createServer } from 'node:http'
import { Server, type Socket } from 'socket.io'
import type { BridgeContext, RunningBridge } from '../bridge.ts'
import { isSameText } from '../same-text.ts'
import { openWebPlace } from '../web-place.ts'
import { EventMapping } from './event-mapping.ts'
import type { SocketIoOptions } from './socket-io-kind.ts'
import { SocketIoPeer } from './socket-io-peer.ts'

/** Requests of one client that are not answered yet, because it sends faster than is possible or does not read. */
const MAX_PENDING = 50_000
const MAX_PENDING_BYTES = 16_777_216
const CLOSE_MS = 300

/** Waits for clients. Rejects with an error that names port or path when somebody has it already. */
export async function serveSocketIo(context: BridgeContext<SocketIoOptions>): Promise<RunningBridge> {
  const { options, counters } = context
  const place = await openWebPlace(context, options)
  // Never listens: it is what the library attaches to, and gets the requests of the path.
  const inner = createServer()
  const io = new Server(inner, {
    path: options.path,
    serveClient: false,
    maxHttpBufferSize: options.maxMessage,
    cors: { origin: options.origins.length > 0 ? [...options.origins] : true },
    allowRequest: (request, answer) => {
      const { origin } = request.headers
      const isListed = options.origins.length === 0 || (origin !== undefined && options.origins.includes(origin))
      answer(isListed ? null : 'this origin is not listed', isListed)
    },
  })
  // A client that polls is waited for when it is closed, half a minute usually, and a stop may not take so long.
  io.engine.on('connection', ({ transport }: { transport: { closeTimeout?: number } }) => {
    transport.closeTimeout = CLOSE_MS
  })
  let count = 0
  const namespaces = options.sioNamespaces.length > 0 ? options.sioNamespaces : ['/']
  for (const name of namespaces) {
    const mapping = new EventMapping(context.namespace, name, options)
    const space = io.of(name)
    space.use((socket, next) => {
      const problem = refusalOf(socket, options, count)
      if (problem === undefined) return next()
      counters.inDropped++
      context.problem('refused', `${socket.handshake.address}: ${problem}`)
      next(new Error(problem))
    })
    space.on('connection', (socket) => {
      context.setPeers(++count)
      socket.once('disconnect', () => context.setPeers(--count))
      serve(socket, mapping, context)
    })
  }
  const giveUps: (() => void)[] = []
  try {
    giveUps.push(
      place.surface.route(options.path, (request, response, keepOpen) => {
        // A poll is answered when there is something to say.
        keepOpen()
        inner.emit('request', request, response)
      }),
    )
    giveUps.push(
      place.surface.upgrade(options.path, (request, socket, head) => inner.emit('upgrade', request, socket, head)),
    )
  } catch (error) {
    for (const giveUp of giveUps) giveUp()
    await place.stop()
    throw error
  }
  return {
    async stop() {
      for (const giveUp of giveUps) giveUp()
      io.disconnectSockets(true)
      io.engine.close()
      await place.stop()
    },
  }
}

function refusalOf(socket: Socket, { token, maxClients }: SocketIoOptions, count: number): string | undefined {
  const { token: shown } = socket.handshake.auth
  if (token !== undefined && !(typeof shown === 'string' && isSameText(shown, token)))
    return 'auth: {token} is missing or wrong'
  return count >= maxClients ? 'there are too many clients' : undefined
}

function serve(socket: Socket, mapping: EventMapping, context: BridgeContext<SocketIoOptions>): void {
  const { counters } = context
  const opened = context.openClient(`${context.id} ${socket.handshake.address}`).then((client) => {
    void client.closed.then(() => socket.disconnect(true))
    return { client, peer: new SocketIoPeer(socket, client, mapping, counters) }
  })
  let work: Promise<void> = opened.then(({ peer }) => peer.begin()).catch(() => void socket.disconnect(true))
  let pending = 0
  let pendingBytes = 0
  /** Of what arrived for the next event. */
  let bytes = 0
  socket.conn.on('data', (data: string | Uint8Array) => {
    bytes += data.length
  })
  socket.onAny((event: string, ...args: unknown[]) => {
    const cost = bytes
    bytes = 0
    pendingBytes += cost
    if (++pending > MAX_PENDING || pendingBytes > MAX_PENDING_BYTES) {
      counters.inDropped++
      socket.disconnect(true)
      return
    }
    work = work.then(() => take(event, args, cost)).catch(giveUp)
  })
  async function take(event: string, args: readonly unknown[], cost: number): Promise<void> {
    if (!socket.connected) return
    const { peer } = await opened
    await peer.room()
    pending--
    pendingBytes -= cost
    if (socket.connected) await peer.receive(event, args)
  }
  function giveUp(error: Error): void {
    context.problem('fault', `${socket.handshake.address}: ${error.message}`)
    socket.disconnect(true)
  }
  socket.once('disconnect', () => void opened.then(({ client }) => client.close()).catch(() => {}))
}
