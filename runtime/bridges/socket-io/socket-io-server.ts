import { createServer, type IncomingMessage } from 'node:http'
import { Server, type Socket } from 'socket.io'
import { plainResponse } from '../../transports/websocket-handshake.ts'
import type { BridgeContext, RunningBridge } from '../bridge.ts'
import { loopMessage } from '../mirror-guard.ts'
import { pageProblem } from '../page-trust.ts'
import { type Scopes, ScopeTable } from '../scopes.ts'
import { openWebPlace } from '../web-place.ts'
import { EventMapping } from './event-mapping.ts'
import type { SocketIoOptions } from './socket-io-kind.ts'
import { SocketIoPeer } from './socket-io-peer.ts'

/** Requests of one client that are not answered yet, because it sends faster than is possible or does not read. */
const MAX_PENDING = 50_000
const MAX_PENDING_BYTES = 16_777_216
const CLOSE_MS = 300

type Connection = Socket['conn']

/** At one connection, for the next event of whichever namespace: connections outlive namespaces, and have several. */
interface Arrived {
  bytes: number
}

/** Waits for clients. Rejects with an error that names port or path when somebody has it already. */
export async function serveSocketIo(context: BridgeContext<SocketIoOptions>): Promise<RunningBridge> {
  const { options, counters } = context
  const access = new ScopeTable(options, options.token)
  const rules = { ...options, isGuarded: access.isGuarded }
  const place = await openWebPlace(context, options)
  // Never listens: it is what the library attaches to, and gets the requests of the path.
  const inner = createServer()
  const io = new Server(inner, {
    path: options.path,
    serveClient: false,
    maxHttpBufferSize: options.maxMessage,
    // Pages that may not connect do not come as far as that.
    cors: { origin: true },
  })
  // A client that polls is waited for when it is closed, half a minute usually, and a stop may not take so long.
  const arrived = new WeakMap<Connection, Arrived>()
  io.engine.on('connection', (conn: Connection) => {
    Object.assign(conn.transport, { closeTimeout: CLOSE_MS })
    const bytesOf: Arrived = { bytes: 0 }
    arrived.set(conn, bytesOf)
    conn.on('data', (data: string | Uint8Array) => {
      bytesOf.bytes += data.length
    })
  })
  const admitted = new WeakMap<Socket, Scopes>()
  let count = 0
  const namespaces = options.sioNamespaces.length > 0 ? options.sioNamespaces : ['/']
  for (const name of namespaces) {
    const mapping = new EventMapping(context.namespace, name, options)
    const space = io.of(name)
    space.use((socket, next) => {
      const scopes = access.find(shownToken(socket))
      if (scopes !== undefined) admitted.set(socket, scopes)
      const problem = guestProblem(scopes, options, count)
      if (problem === undefined) return next()
      counters.inDropped++
      context.problem('refused', `${socket.handshake.address}: ${problem}`)
      next(new Error(problem))
    })
    space.on('connection', (socket) => {
      context.setPeers(++count)
      socket.once('disconnect', () => context.setPeers(--count))
      serve(socket, mapping, admitted.get(socket) as Scopes, arrived.get(socket.conn) ?? { bytes: 0 }, context)
    })
  }
  const refusalOf = (request: IncomingMessage) => {
    const problem = pageProblem(request, rules)
    if (problem === undefined) return undefined
    counters.inDropped++
    context.problem('refused', `${request.socket.remoteAddress}: ${problem}`)
    return problem
  }
  const giveUps: (() => void)[] = []
  try {
    giveUps.push(
      // The library would check only the first request of a session.
      place.surface.route(options.path, (request, response, keepOpen) => {
        const refusal = refusalOf(request)
        if (refusal !== undefined) {
          response.writeHead(403, { 'Content-Type': 'text/plain' }).end(`${refusal}\n`)
          return
        }
        // A poll is answered when there is something to say.
        keepOpen()
        inner.emit('request', request, response)
      }),
    )
    giveUps.push(
      place.surface.upgrade(options.path, (request, socket, head) => {
        const refusal = refusalOf(request)
        if (refusal === undefined) inner.emit('upgrade', request, socket, head)
        else socket.end(plainResponse('403 Forbidden', refusal))
      }),
    )
  } catch (error) {
    for (const giveUp of giveUps) giveUp()
    await place.stop()
    throw error
  }
  return {
    async stop() {
      for (const giveUp of giveUps) giveUp()
      // Clients that are told to disconnect would not come back.
      io.engine.close()
      await place.stop()
    },
  }
}

function guestProblem(scopes: Scopes | undefined, { maxClients }: SocketIoOptions, count: number): string | undefined {
  if (scopes === undefined) return 'auth: {token} is missing or wrong'
  return count >= maxClients ? 'there are too many clients' : undefined
}

function shownToken({ handshake }: Socket): string | undefined {
  const { token } = handshake.auth
  return typeof token === 'string' ? token : undefined
}

function serve(
  socket: Socket,
  mapping: EventMapping,
  scopes: Scopes,
  arrived: Arrived,
  context: BridgeContext<SocketIoOptions>,
): void {
  const { counters } = context
  const opened = context.openClient(`${context.id} ${socket.handshake.address}`).then((client) => {
    void client.closed.then(() => leave())
    const onLoop = (address: string) => context.problem('loop', loopMessage(address))
    return {
      client,
      peer: new SocketIoPeer({ socket, client, mapping, scopes, counters, mirrors: context.mirrors, onLoop }),
    }
  })
  let work: Promise<void> = opened.then(({ peer }) => peer.begin()).catch(leave)
  let pending = 0
  let pendingBytes = 0
  socket.onAny((event: string, ...args: unknown[]) => {
    const cost = arrived.bytes
    arrived.bytes = 0
    pendingBytes += cost
    if (++pending > MAX_PENDING || pendingBytes > MAX_PENDING_BYTES) {
      counters.inDropped++
      socket.disconnect(true)
      return
    }
    work = work.then(() => take(event, args, cost)).catch(giveUp)
  })
  /** It comes back, as far as it is still there. */
  function leave(): void {
    if (socket.connected) socket.conn.close(true)
  }
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
