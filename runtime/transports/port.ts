import { createServer, type Server, type Socket } from 'node:net'
import { type Clock, systemClock } from '../router/clock.ts'
import { CloseCode } from '../router/link.ts'
import type { Log } from '../router/log.ts'
import { Arrival, type ArrivalContext, type PortCounters, type Tls } from './arrival.ts'
import type { HttpSurface } from './http-surface.ts'
import { LinkSweep } from './link-sweep.ts'
import { ListenError } from './listen-error.ts'
import { listening } from './listening.ts'
import type { PeerAcceptor } from './peer-acceptor.ts'
import { WebRoutes } from './web-routes.ts'

/** Contents of the PEM files; the passphrase is that of an encrypted key. */
export interface TlsFiles {
  cert: Buffer | string
  key: Buffer | string
  passphrase?: string
}

export interface PortOptions {
  /** Address to listen on; default all, IPv6 and IPv4. */
  host?: string
  /** 0 takes any free one. */
  port: number
  /** PEM. With it, TLS is accepted on the same port. */
  tls?: TlsFiles
  /** From the accept until the protocol is known and, for HTTP, until the request is answered. Default 10 000. */
  handshakeTimeoutMs?: number
  /** A link that brings nothing for so long is closed; 0 = never. Default 300 000. */
  idleTimeoutMs?: number
  /** Between WebSocket pings; 0 = none. Default 30 000. */
  pingIntervalMs?: number
  /** Connections at a time, of all protocols; 0 = unlimited, the default. */
  maxConnections?: number
  /** What HTTP paths answer instead of `ok`. May be changed while listening. */
  routes?: WebRoutes
  /** Default: the system's. */
  clock?: Clock
}

const KEEP_ALIVE_MS = 30_000
/**
 * Connections that the kernel holds for us (it may allow fewer: net.core.somaxconn). Node accepts one per turn of the event
 * loop, and whoever finds the queue full tries again only after a second.
 */
const BACKLOG = 4096
/** Connections beyond `maxConnections` that are heard out for their protocol, to be refused in its terms. */
const MAX_REFUSALS_AT_A_TIME = 64

/** Listens until `stop` or the signal. Rejects with a ListenError when the port cannot be had. */
export async function listenPort(
  options: PortOptions,
  acceptor: PeerAcceptor,
  log: Log,
  signal: AbortSignal,
): Promise<PortListener> {
  signal.throwIfAborted()
  const tls = options.tls === undefined ? undefined : await loadTls(options.tls, options.port)
  const server = createServer({
    allowHalfOpen: true,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_MS,
  })
  const { host, port } = options
  await listening(server, { host, port, backlog: BACKLOG }, { port: 'listen.port', host: 'listen.host' })
  return new PortListener(server, options, tls, acceptor, log, signal)
}

async function loadTls(pem: TlsFiles, port: number): Promise<Tls> {
  // Loaded only where it is used: it costs memory.
  const { createSecureContext, TLSSocket } = await import('node:tls')
  try {
    return { context: createSecureContext(pem), TLSSocket }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const text = `the TLS certificate or key cannot be used: ${message}: check listen.tls`
    throw new ListenError(text, code ?? 'UNKNOWN', port)
  }
}

/**
 * One TCP port for every protocol, told apart by the first byte of each connection: `00` length-prefixed CLASP, `53` bare
 * CLASP frames, `16` TLS (and then again), an upper-case letter HTTP, and with it WebSocket.
 * Source: transport reference §15.1.
 */
export class PortListener {
  readonly port: number
  readonly counters: PortCounters = {
    accepted: 0,
    refused: 0,
    handshakeTimeouts: 0,
    byTransport: { websocket: 0, prefixed: 0, bare: 0, http: 0, tls: 0, unknown: 0 },
  }
  private readonly server: Server
  private readonly maxConnections: number
  private readonly log: Log
  private readonly signal: AbortSignal
  private readonly context: ArrivalContext
  private readonly arrivals = new Set<Arrival>()
  private refusing = 0
  private stopped: Promise<void> | undefined
  private allClosed: (() => void) | undefined

  constructor(
    server: Server,
    options: PortOptions,
    tls: Tls | undefined,
    acceptor: PeerAcceptor,
    log: Log,
    signal: AbortSignal,
  ) {
    const address = server.address()
    this.port = typeof address === 'object' && address !== null ? address.port : options.port
    this.server = server
    this.maxConnections = options.maxConnections ?? 0
    this.log = log
    this.signal = signal
    const { idleTimeoutMs = 300_000, pingIntervalMs = 30_000, clock = systemClock, routes = new WebRoutes() } = options
    const sweep = new LinkSweep(clock, [idleTimeoutMs, pingIntervalMs])
    let http: Promise<HttpSurface | undefined> | undefined
    this.context = {
      acceptor,
      log,
      clock,
      sweep,
      handshakeTimeoutMs: options.handshakeTimeoutMs ?? 10_000,
      idleTimeoutMs,
      pingIntervalMs,
      tls,
      counters: this.counters,
      // Many boards never see a browser: HTTP is loaded for the first connection that speaks it.
      http() {
        http ??= import('./http-surface.ts').then(
          ({ HttpSurface }) => new HttpSurface(routes, log),
          (error: Error) => {
            const remedy = 'restart clasp-edge, above all after an update'
            log.error(`WebSocket and HTTP cannot be served: ${remedy}`, { error: error.message })
            return undefined
          },
        )
        return http
      },
    }
    server.on('connection', (socket) => this.accept(socket))
    // Typically out of file descriptors. The connection is lost, the listener is not.
    server.on('error', (error) => log.warn('a connection could not be accepted', { error: error.message }))
    signal.addEventListener('abort', this.onAbort, { once: true })
    if (signal.aborted) this.onAbort()
  }

  /** Open connections, those included whose protocol is not known yet. */
  get connections(): number {
    return this.arrivals.size
  }

  /** Accepts nothing more, closes all links (1001), and resolves when every socket is gone, after a second at the latest. */
  stop(): Promise<void> {
    this.stopped ??= this.shutDown()
    return this.stopped
  }

  private readonly onAbort = (): void => {
    void this.stop()
  }

  private async shutDown(): Promise<void> {
    this.signal.removeEventListener('abort', this.onAbort)
    const socketsClosed = new Promise<void>((resolve) => {
      this.allClosed = resolve
      if (this.arrivals.size === 0) resolve()
    })
    const serverClosed = new Promise<void>((resolve) => {
      this.server.close(() => resolve())
    })
    for (const arrival of this.arrivals) arrival.close(CloseCode.goingAway, 'the router is stopping')
    await socketsClosed
    await serverClosed
  }

  private accept(raw: Socket): void {
    const isRefused = this.maxConnections > 0 && this.arrivals.size - this.refusing >= this.maxConnections
    const arrival = new Arrival(raw, isRefused, this.context)
    this.counters.accepted++
    this.arrivals.add(arrival)
    if (isRefused) {
      this.counters.refused++
      this.refusing++
      this.log.warn('connection refused: too many are open', { remote: arrival.remote, limit: this.maxConnections })
    }
    raw.on('close', () => {
      this.arrivals.delete(arrival)
      if (isRefused) this.refusing--
      if (this.arrivals.size === 0) this.allClosed?.()
    })
    if (isRefused && this.refusing > MAX_REFUSALS_AT_A_TIME) raw.destroy()
    else arrival.sniff()
  }
}
