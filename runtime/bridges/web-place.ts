import { readFile } from 'node:fs/promises'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { Socket } from 'node:net'
import { object, optional, required, text, whole } from '../config/fields.ts'
import { secret } from '../config/secret.ts'
import { listening } from '../transports/listening.ts'
import { WebRoutes } from '../transports/web-routes.ts'
import type { BridgeContext, WebSurface } from './bridge.ts'

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
    object('TLS, with a port of its own.', {
      cert: required(text({ description: 'File with the certificate chain, PEM.', fallback: '' })),
      key: required(text({ description: 'File with the private key, PEM.', fallback: '' })),
      passphrase: optional(secret({ description: 'Passphrase of an encrypted private key.' })),
    }),
  ),
}

export interface WebPlaceOptions {
  readonly listen: number
  readonly host: string | undefined
  readonly tls: { readonly cert: string; readonly key: string; readonly passphrase: string | undefined } | undefined
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
  { web, log }: Pick<BridgeContext, 'web' | 'log'>,
  { listen, host, tls }: WebPlaceOptions,
): Promise<WebPlace> {
  if (listen === 0) {
    if (tls === undefined) return { surface: web, port: 0, stop: async () => {} }
    throw new Error("tls needs a port of its own: set listen, or leave tls out; the router's own port has listen.tls")
  }
  const routes = new WebRoutes()
  const sockets = new Set<Socket>()
  const server = await createPlaceServer(tls, (request, response) => {
    const route = routes.find((request.url ?? '').split('?', 1)[0])
    if (route !== undefined) {
      route(request, response, () => {})
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
    const route = routes.findUpgrade((request.url ?? '').split('?', 1)[0])
    if (route !== undefined) route(request, socket, head)
    else socket.end('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
  })
  await listening(server, { port: listen, host }, { port: 'listen', host: 'host' })
  // Such as too many open files: the next one may be accepted.
  server.on('error', (error) => log.warn('a connection could not be accepted', { port: listen, error: error.message }))
  return {
    surface: routes,
    port: listen,
    async stop() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

async function createPlaceServer(tls: WebPlaceOptions['tls'], onRequest: RequestListener): Promise<Server> {
  const settings = { keepAliveTimeout: KEEP_ALIVE_MS }
  if (tls === undefined) return createServer(settings, onRequest)
  const { cert, key, passphrase } = tls
  const files = { cert: await readPem(cert), key: await readPem(key), passphrase }
  // Loaded only where it is used: it costs memory.
  const https = await import('node:https')
  try {
    return https.createServer({ ...settings, ...files }, onRequest)
  } catch (error) {
    throw new Error(`${cert} and ${key} cannot be used (${(error as Error).message}): check tls`)
  }
}

async function readPem(path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (error) {
    throw new Error(`${path} cannot be read (${(error as NodeJS.ErrnoException).code}): tls needs a readable PEM file`)
  }
}
