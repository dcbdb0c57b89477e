import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { DecodeError } from '../../firmware-protocol/wire/errors.ts'
import { decodeFrame, encodeFrame } from '../../firmware-protocol/wire/frame.ts'
import type { Message } from '../../firmware-protocol/wire/message.ts'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import type { Authorizer } from '../../runtime/router/access.ts'
import { type Clock, systemClock } from '../../runtime/router/clock.ts'
import { type Log, silentLog } from '../../runtime/router/log.ts'
import { defaultRouterOptions, type RouterOptions } from '../../runtime/router/options.ts'
import { Router } from '../../runtime/router/router.ts'
import type { PeerAcceptor } from '../../runtime/transports/peer-acceptor.ts'
import { listenPort, type PortOptions } from '../../runtime/transports/port.ts'

const WAIT_MS = 10_000

export interface Setup {
  options?: Partial<RouterOptions>
  listen?: Partial<PortOptions>
  authorizer?: Authorizer
  clock?: Clock
  log?: Log
  /** What stands between the listener and the router. Default: nothing. */
  wrap?: (router: Router) => PeerAcceptor
}

/** A router behind a real port, and raw peers that speak to it frame by frame. Everything ends with `stop`. */
export class Bench {
  readonly router: Router
  readonly port: number
  private readonly peers: Peer[] = []
  private readonly end: () => Promise<void>

  private constructor(router: Router, port: number, end: () => Promise<void>) {
    this.router = router
    this.port = port
    this.end = end
  }

  static async start({ options, listen, authorizer, clock, log, wrap }: Setup = {}): Promise<Bench> {
    const router = new Router(
      { ...defaultRouterOptions, name: 'Test Router', ...options },
      { clock: clock ?? systemClock, log: log ?? silentLog, authorizer },
    )
    const aborter = new AbortController()
    const listener = await listenPort(
      { host: '127.0.0.1', port: 0, handshakeTimeoutMs: 10_000, ...listen },
      wrap?.(router) ?? router,
      log ?? silentLog,
      aborter.signal,
    )
    return new Bench(router, listener.port, async () => {
      router.stop()
      await listener.stop()
      aborter.abort()
    })
  }

  /** A connection that has not said HELLO. */
  async connect(): Promise<Peer> {
    const socket = connect(this.port, '127.0.0.1')
    const peer = new Peer(socket)
    this.peers.push(peer)
    await once(socket, 'connect')
    return peer
  }

  /** A session: HELLO sent, WELCOME and the first SNAPSHOT taken out of the way. */
  async join(name = 'test', token?: string): Promise<Peer> {
    const peer = await this.connect()
    peer.send({ type: 'HELLO', version: 1, features: ['param', 'event', 'stream'], name, token })
    const welcome = await peer.next('WELCOME')
    peer.session = welcome.session
    await peer.next('SNAPSHOT')
    return peer
  }

  async stop(): Promise<void> {
    for (const peer of this.peers) peer.close()
    await this.end()
  }
}

/** A client over length-prefixed TCP that keeps every message in the order of arrival. */
export class Peer {
  readonly socket: Socket
  readonly inbox: Message[] = []
  session = ''
  isClosed = false
  private rest = Buffer.alloc(0)
  private wake: () => void = () => {}

  constructor(socket: Socket) {
    this.socket = socket
    socket.setNoDelay(true)
    socket.on('data', (chunk) => this.read(chunk))
    socket.on('error', () => {})
    socket.on('close', () => {
      this.isClosed = true
      this.wake()
    })
  }

  send(message: Message): void {
    this.sendFrame(encodeFrame(message))
  }

  /** One transport unit, whatever it holds. */
  sendFrame(frame: Uint8Array): void {
    const prefix = Buffer.alloc(4)
    prefix.writeUInt32BE(frame.length)
    this.socket.write(Buffer.concat([prefix, frame]))
  }

  set(address: string, value: Value, fields: object = {}): void {
    this.send({ type: 'SET', address, value, ...fields })
  }

  subscribe(id: number, pattern: string, fields: object = {}): void {
    this.send({ type: 'SUBSCRIBE', id, pattern, types: [], ...fields })
  }

  /** The next message, which must be of this type. */
  async next<T extends Message['type']>(type: T): Promise<Extract<Message, { type: T }>> {
    await this.until(() => this.inbox.length > 0, type)
    const message = this.inbox.shift() as Message
    if (message.type !== type) throw new Error(`expected ${type}, got ${JSON.stringify(message, plain)}`)
    return message as Extract<Message, { type: T }>
  }

  /** Sends a PING and returns what came before its PONG: everything that the router had to say up to now. */
  async settle(): Promise<Message[]> {
    this.send({ type: 'PING' })
    await this.until(() => this.inbox.some(({ type }) => type === 'PONG'), 'PONG')
    const at = this.inbox.findIndex(({ type }) => type === 'PONG')
    const before = this.inbox.splice(0, at)
    this.inbox.shift()
    return before
  }

  /** Resolves when the router has closed the connection. */
  async closed(): Promise<void> {
    await this.until(() => this.isClosed, 'the end of the connection')
  }

  /** Waits until the condition holds for what has arrived. */
  async until(condition: () => boolean, what: string): Promise<void> {
    const deadline = Date.now() + WAIT_MS
    while (!condition()) {
      if (this.isClosed) throw new Error(`connection closed while waiting for ${what}`)
      if (Date.now() > deadline) throw new Error(`no ${what} within ${WAIT_MS} ms`)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 100)
        this.wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }

  close(): void {
    this.socket.destroy()
  }

  private read(chunk: Buffer): void {
    this.rest = Buffer.concat([this.rest, chunk])
    while (this.rest.length >= 4 && this.rest.length >= 4 + this.rest.readUInt32BE(0)) {
      const end = 4 + this.rest.readUInt32BE(0)
      const frame = decodeFrame(Uint8Array.from(this.rest.subarray(4, end)))
      if (frame instanceof DecodeError) throw new Error(`the router sent a bad frame: ${frame.reason}`)
      this.inbox.push(frame.message)
      this.rest = this.rest.subarray(end)
    }
    this.wake()
  }
}

export const int = (value: number): Value => ({ type: 'i64', value })
export const float = (value: number): Value => ({ type: 'f64', value })
export const text = (value: string): Value => ({ type: 'string', value })
export const bool = (value: boolean): Value => ({ type: 'bool', value })
export const nil: Value = { type: 'null' }
export const bytes = (length: number): Value => ({ type: 'bytes', value: new Uint8Array(length) })

function plain(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? `${value}` : value
}
