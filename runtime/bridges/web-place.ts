import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import type { Socket } from 'node:net'
import { checkedText, list, object, optional, required, text, whole } from '../config/fields.ts'
import { secret } from '../config/secret.ts'
import { withoutOffer } from '../transports/declined-offer.ts'
import { listening } from '../transports/listening.ts'
import { WebRoutes } from '../transports/web-routes.ts'
import type { BridgeContext, WebSurface } from './bridge.ts'
import { CertificateFiles, type CertificatePaths } from './certificate-files.ts'

/** Options of bridges that answer HTTP or WebSockets: at the router's own port, or at one of their own. */
export const webPlaceOptions = {
  listen: whole({
    description: 'Port of its own; 0 = the port of the router.',
    fallback: 0,
    min: 0,
    max: 65_535,
  }),
  host: optional(
    text({ description: 'Address to listen on, with a port of its own; all when left out.', fallback: '' }),
  ),
  tls: optional(
    object('TLS, with a port of its own. Files that are renewed are taken up within a minute.', {
      cert: required(text({ description: 'File with the certificate chain, PEM.', fallback: '' })),
      key: required(text({ description: 'File with the private key, PEM.', fallback: '' })),
      passphrase: optional(secret({ description: 'Passphrase of an encrypted private key.' })),
    }),
  ),
  hosts: list({
    description:
      'Names of this node that browsers may ask for without TLS, such as node.example.org. IP addresses, its host name, names without a dot and those below .local, .localhost, .internal and .home.arpa need not be listed.',
    of: checkedText({
      description: 'A name.',
      fallback: '',
      expected: 'a name such as node.example.org',
      check: (value) =>
        /^[\w-]+(?:\.[\w-]+)*$/.test(value) ? undefined : 'it has no scheme, port, path, wildcard or final dot',
    }),
  }),
}

export interface WebPlaceOptions {
  readonly listen: number
  readonly host: string | undefined
  readonly tls: CertificatePaths | undefined
}

/** What is wrong with a path for WebSockets there; undefined: nothing. */
export function placeProblem({ listen }: Pick<WebPlaceOptions, 'listen'>, path: string): string | undefined {
  if (listen !== 0 || (path !== '/' && !/^\/clasp\/?$/.test(path))) return undefined
  return `path ${path} is where clients of the router connect: take another path, or a port of its own (listen)`
}

export interface WebPlace {
  readonly surface: WebSurface
  /** The port of its own; 0: it is at the router's. */
  readonly port: number
  /** Every socket is gone when it resolves. */
  stop(): Promise<void>
}

const KEEP_ALIVE_MS = 5000

/** Rejects with a ListenError that names port and remedy, or an error that names the file for TLS. */
export async function openWebPlace(
  { web, log, clock, problem }: Pick<BridgeContext, 'web' | 'log' | 'clock' | 'problem'>,
  { listen, host, tls }: WebPlaceOptions,
): Promise<WebPlace> {
  if (listen === 0) {
    if (tls === undefined) return { surface: web, port: 0, stop: async () => {} }
    throw new Error("tls needs a port of its own: set listen, or leave tls out; the router's own port has listen.tls")
  }
  const routes = new WebRoutes()
  const sockets = new Set<Socket>()
  const { server, files } = await createPlaceServer(tls, (request, response) => {
    const route = routes.find((request.url ?? '').split('?', 1)[0])
    if (route !== undefined) {
      try {
        route(request, response, () => {})
      } catch (error) {
        log.error('an HTTP request failed', { url: request.url, error: (error as Error).message })
        response.destroy()
      }
      return
    }
    response.writeHead(404, { 'Content-Type': 'text/plain' })
    response.end('there is nothing here\n')
  })
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  server.on('upgrade', (request, socket: Socket, head) => {
    // HTTP listens no more, and whoever takes it over does not yet: a reset would end the process.
    socket.on('error', () => socket.destroy())
    if (!isWebSocketUpgrade(request)) {
      socket.unshift(withoutOffer(request, head))
      server.emit(tls === undefined ? 'connection' : 'secureConnection', socket)
      return
    }
    const route = routes.findUpgrade((request.url ?? '').split('?', 1)[0])
    if (route === undefined) {
      socket.end('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
      return
    }
    try {
      route(request, socket, head)
    } catch (error) {
      log.error('a WebSocket could not be opened', { url: request.url, error: (error as Error).message })
      socket.destroy()
    }
  })
  await listening(server, { port: listen, host }, { port: 'listen', host: 'host' })
  // Such as too many open files: the next one may be accepted.
  server.on('error', (error) => log.warn('a connection could not be accepted', { port: listen, error: error.message }))
  files?.watch(clock, (message) => problem('tls', message))
  return {
    surface: routes,
    port: listen,
    async stop() {
      files?.stop()
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

async function createPlaceServer(
  tls: WebPlaceOptions['tls'],
  onRequest: RequestListener,
): Promise<{ server: Server; files: CertificateFiles | null }> {
  const settings = { keepAliveTimeout: KEEP_ALIVE_MS }
  if (tls === undefined) return { server: createServer(settings, onRequest), files: null }
  // Loaded only where it is used: it costs memory.
  const https = await import('node:https')
  const server = https.createServer(settings, onRequest)
  const files = new CertificateFiles(tls, (contents) => server.setSecureContext(contents))
  await files.load()
  return { server, files }
}

function isWebSocketUpgrade({ headers }: IncomingMessage): boolean {
  return headers.upgrade?.toLowerCase() === 'websocket'
}
