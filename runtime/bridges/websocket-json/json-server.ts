import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { type WebSocket, WebSocketServer } from 'ws'
import { plainResponse } from '../../transports/websocket-handshake.ts'
import type { BridgeContext, RunningBridge } from '../bridge.ts'
import { loopMessage } from '../mirror-guard.ts'
import { type PageRules, pageProblem } from '../page-trust.ts'
import { ScopeTable } from '../scopes.ts'
import { openWebPlace } from '../web-place.ts'
import { jsonCodec, messagePackCodec } from './json-codec.ts'
import { JsonPeer } from './json-peer.ts'
import { PacedSocket } from './paced-socket.ts'
import type { WebsocketJsonOptions } from './websocket-json-kind.ts'

const PROTOCOLS = ['clasp-json', 'clasp-msgpack']
const PING_EVERY_MS = 20_000
const GONE_AFTER_MS = 10_000
/** With so many requests that are not answered yet nothing more is read of a peer, until there are few. */
const PAUSE_AT = 256
const RESUME_AT = 32

/** Waits for clients at a path. Rejects with an error that names port or path when somebody has it already. */
export async function serveJson(context: BridgeContext<WebsocketJsonOptions>): Promise<RunningBridge> {
  const { options, counters } = context
  const access = new ScopeTable(options, options.token)
  const peers = new Set<WebSocket>()
  const server = new WebSocketServer({
    noServer: true,
    maxPayload: options.maxMessage,
    perMessageDeflate: false,
    handleProtocols: (offered) => PROTOCOLS.find((name) => offered.has(name)) ?? false,
  })
  const place = await openWebPlace(context, options)
  const upgrade = (request: IncomingMessage, socket: Socket, head: Buffer) => {
    // A page that shows a token is no stranger's, also where something goes without one.
    const isGuarded = access.isGuarded || access.find(shownToken(request))?.owner !== undefined
    const refusal = refusalOf(request, { ...options, isGuarded }, peers.size)
    if (refusal !== undefined) {
      counters.inDropped++
      context.problem('refused', `${request.socket.remoteAddress}: ${refusal.reason}`)
      socket.end(plainResponse(refusal.status, refusal.reason))
      return
    }
    server.handleUpgrade(request, socket, head, (webSocket) => {
      peers.add(webSocket)
      context.setPeers(peers.size)
      webSocket.once('close', () => {
        peers.delete(webSocket)
        context.setPeers(peers.size)
      })
      serve(webSocket, request, access, context)
    })
  }
  let giveUp: () => void
  try {
    giveUp = place.surface.upgrade(options.path, upgrade)
  } catch (error) {
    await place.stop()
    throw error
  }
  return {
    async stop() {
      giveUp()
      const closed = [...peers].map((peer) => closing(peer))
      await Promise.all(closed)
      server.close()
      await place.stop()
    },
  }
}

/** Undefined: it is welcome. */
function refusalOf(
  request: IncomingMessage,
  rules: PageRules & Pick<WebsocketJsonOptions, 'maxClients'>,
  count: number,
): { status: string; reason: string } | undefined {
  const reason = pageProblem(request, rules)
  if (reason !== undefined) return { status: '403 Forbidden', reason }
  if (count < rules.maxClients) return undefined
  return { status: '503 Service Unavailable', reason: `there are ${count} clients already (maxClients)` }
}

function serve(
  webSocket: WebSocket,
  request: IncomingMessage,
  access: ScopeTable,
  context: BridgeContext<WebsocketJsonOptions>,
): void {
  const { counters, clock, namespace } = context
  const socket = new PacedSocket(webSocket, clock, () => counters.outDropped++)
  const codec = webSocket.protocol === 'clasp-msgpack' ? messagePackCodec : jsonCodec
  // Whatever it sends before the router has said hello waits for it, and then each for the one before.
  let pending = 0
  const remote = `${request.socket.remoteAddress}:${request.socket.remotePort}`
  const opened = context.openClient(`${context.id} ${remote}`).then((client) => {
    const peer = new JsonPeer({
      client,
      namespace,
      codec,
      access,
      shown: shownToken(request),
      send: (message, key) => {
        if (webSocket.readyState === webSocket.OPEN) socket.send(message, key)
      },
      room: () => socket.room(),
      mirrors: context.mirrors,
      onLoop: (address) => context.problem('loop', loopMessage(address)),
      close: (code, reason) => webSocket.close(code, reason),
      onReceived: () => counters.in++,
      onSent: () => counters.out++,
      onRefused: () => counters.inDropped++,
    })
    void client.closed.then(() => webSocket.close(1001, 'the router has closed the session'))
    return { client, peer }
  })
  let work: Promise<void> = opened
    .then(({ peer }) => peer.begin())
    .catch(() => webSocket.close(1011, 'no session at the router'))
  webSocket.on('message', (data: Buffer, isBinary: boolean) => {
    if (++pending === PAUSE_AT) webSocket.pause()
    const message = isBinary ? new Uint8Array(data) : data.toString('utf8')
    work = work.then(() => take(message)).catch(giveUp)
  })
  async function take(message: string | Uint8Array): Promise<void> {
    await socket.room()
    if (webSocket.readyState === webSocket.OPEN) await (await opened).peer.receive(message)
    if (--pending === RESUME_AT) webSocket.resume()
  }
  function giveUp(error: Error): void {
    context.problem('fault', `${remote}: ${error.message}`)
    webSocket.close(1011, 'the bridge has failed')
  }
  // The library closes the socket itself; without a listener the process would end.
  webSocket.on('error', (error) => context.problem('socket', `${remote}: ${error.message}`))
  let isAlive = true
  let timer = clock.timer(PING_EVERY_MS, ping)
  webSocket.on('pong', () => {
    isAlive = true
  })
  function ping(): void {
    void opened.then(({ peer }) => peer.isWelcome || webSocket.close(1008, 'it did not say who it is')).catch(() => {})
    isAlive = false
    webSocket.ping()
    timer = clock.timer(GONE_AFTER_MS, () => {
      if (isAlive) timer = clock.timer(PING_EVERY_MS - GONE_AFTER_MS, ping)
      else webSocket.terminate()
    })
  }
  webSocket.once('close', () => {
    timer.cancel()
    socket.stop()
    void opened.then(({ client }) => client.close()).catch(() => {})
  })
}

function shownToken({ headers, url = '' }: IncomingMessage): string | undefined {
  const bearer = /^Bearer +(\S+) *$/i.exec(headers.authorization ?? '')?.[1]
  return bearer ?? new URLSearchParams(url.split('?', 2)[1]).get('token') ?? undefined
}

/** Says goodbye; who does not answer within a second is cut off. */
function closing(webSocket: WebSocket): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => webSocket.terminate(), 500)
    webSocket.once('close', () => {
      clearTimeout(timer)
      resolve()
    })
    webSocket.close(1001, 'the router is stopping')
  })
}
