import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Log } from '../router/log.ts'
import { withoutOffer } from './declined-offer.ts'
import type { WebRoutes } from './web-routes.ts'
import { plainResponse } from './websocket-handshake.ts'

/**
 * Answers one request, the body of which is still to be read. It must end the response, in time or after `keepOpen()`,
 * which lifts the deadline for an answer that goes on; the connection is closed afterwards.
 */
export type HttpRoute = (request: IncomingMessage, response: ServerResponse, keepOpen: () => void) => void

/** The owner of a socket, as HTTP sees it. */
export interface SocketOwner {
  /** Takes the socket over from HTTP; `head` came behind the request. */
  upgrade(request: IncomingMessage, head: Uint8Array): void
  /** Lifts the deadline of the connection. */
  keepOpen(): void
}

const PROBE_METHODS = ['GET', 'HEAD', 'POST', 'OPTIONS']

/**
 * HTTP on sockets that somebody else accepted: registered routes by exact path, WebSocket upgrades, and `200 ok` for all
 * the rest, which is what load balancers probe for (transport reference §3.2). Every connection serves one request, so
 * the caller's deadline for the connection bounds it.
 */
export class HttpSurface {
  private readonly server: Server
  private readonly routes: WebRoutes
  private readonly log: Log
  private readonly owners = new WeakMap<Socket, SocketOwner>()

  constructor(routes: WebRoutes, log: Log) {
    this.routes = routes
    this.log = log
    this.server = createServer((request, response) => this.answer(request, response))
    this.server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
      if (isWebSocketUpgrade(request)) return this.upgrade(request, socket, head)
      socket.unshift(withoutOffer(request, head))
      this.server.emit('connection', socket)
      socket.resume()
    })
    this.server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
      if (!socket.writable) return socket.destroy()
      const status = error.code === 'HPE_HEADER_OVERFLOW' ? '431 Request Header Fields Too Large' : '400 Bad Request'
      socket.end(plainResponse(status, 'this is not HTTP as the router understands it'))
    })
  }

  /** Takes over a paused socket; `first` was read from it already. The owner gets it back for a WebSocket. */
  adopt(socket: Socket, first: Uint8Array, owner: SocketOwner): void {
    this.owners.set(socket, owner)
    socket.unshift(first)
    this.server.emit('connection', socket)
    socket.resume()
  }

  private upgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    const owner = this.owners.get(socket)
    const route = this.routes.findUpgrade(pathOf(request))
    if (route === undefined) {
      owner?.upgrade(request, head)
      return
    }
    owner?.keepOpen()
    try {
      route(request, socket, head)
    } catch (error) {
      this.log.error('a WebSocket could not be opened', { url: request.url, error: (error as Error).message })
      socket.destroy()
    }
  }

  private answer(request: IncomingMessage, response: ServerResponse): void {
    response.shouldKeepAlive = false
    const route = this.routes.find(pathOf(request))
    if (route !== undefined) {
      this.run(route, request, response)
      return
    }
    request.resume()
    if (isWebSocketUpgrade(request)) {
      answerText(response, 400, 'a WebSocket needs the header Connection: Upgrade\n')
    } else if (PROBE_METHODS.includes(request.method ?? '')) {
      answerText(response, 200, 'ok\n')
    } else {
      response.setHeader('Allow', PROBE_METHODS.join(', '))
      answerText(response, 405, `${request.method} is not supported\n`)
    }
  }

  private run(route: HttpRoute, request: IncomingMessage, response: ServerResponse): void {
    try {
      route(request, response, () => this.owners.get(request.socket)?.keepOpen())
    } catch (error) {
      const { message, stack } = error as Error
      this.log.error('an HTTP request failed', { url: request.url, error: message, stack })
      if (response.headersSent) response.destroy()
      else answerText(response, 500, 'internal error\n')
    }
  }
}

function pathOf({ url = '' }: IncomingMessage): string {
  return url.split('?', 1)[0]
}

function isWebSocketUpgrade(request: IncomingMessage): boolean {
  return (request.headers.upgrade ?? '').toLowerCase() === 'websocket'
}

function answerText(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'Content-Type': 'text/plain', 'Content-Length': Buffer.byteLength(text) })
  response.end(text)
}
