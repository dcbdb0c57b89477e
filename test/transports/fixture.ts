import { connect, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import type { Link, LinkAcceptor, LinkHandler } from '../../runtime/router/link.ts'
import { silentLog } from '../../runtime/router/log.ts'
import type { PeerAcceptor } from '../../runtime/transports/peer-acceptor.ts'
import { listenPort, type PortListener, type PortOptions } from '../../runtime/transports/port.ts'

export const PING = Uint8Array.of(0x53, 1, 0, 1, 0x41)
export const PONG = Uint8Array.of(0x53, 1, 0, 1, 0x42)

/** What came over one link. */
export interface Attached {
  link: Link
  /** Transport units, copied, as hex. */
  units: string[]
  alive: number
  drains: number
  closed: string | undefined
}

/** Stands in for the router: records everything, and answers each unit with `reply`. */
export class RecordingAcceptor implements LinkAcceptor {
  readonly links: Attached[] = []
  private readonly reply: (unit: Uint8Array, link: Link) => Uint8Array | undefined

  constructor(reply: (unit: Uint8Array, link: Link) => Uint8Array | undefined = () => undefined) {
    this.reply = reply
  }

  attach(link: Link): LinkHandler {
    const attached: Attached = { link, units: [], alive: 0, drains: 0, closed: undefined }
    this.links.push(attached)
    return {
      onFrame: (bytes, start, end) => {
        const unit = bytes.slice(start, end)
        attached.units.push(hex(unit))
        const answer = this.reply(unit, link)
        if (answer === undefined) return
        putFrame(link, answer)
        setImmediate(() => link.flush())
      },
      onAlive: () => {
        attached.alive++
      },
      onDrain: () => {
        attached.drains++
      },
      onClose: (reason) => {
        if (attached.closed !== undefined) throw new Error('onClose came twice')
        attached.closed = reason
      },
    }
  }

  /** Every unit of every link, in the order of the links. */
  get units(): string[] {
    return this.links.flatMap((attached) => attached.units)
  }
}

/** Answers as the router answers PING, and only the first frame of a unit. */
export function pongAcceptor(): RecordingAcceptor {
  return new RecordingAcceptor((unit) => (unit[4] === 0x41 ? PONG : undefined))
}

export function echoAcceptor(): RecordingAcceptor {
  return new RecordingAcceptor((unit) => unit)
}

export function putFrame(link: Link, frame: Uint8Array): void {
  const { output, framing } = link
  const at = output.reserve(framing.headerBytes(frame.length))
  framing.putHeader(output.bytes, at, frame.length)
  output.length = at + framing.headerBytes(frame.length)
  output.append(frame, 0, frame.length)
}

/** A listener on a free loopback port that is stopped when the test ends. */
export async function startPort(
  t: TestContext,
  acceptor: PeerAcceptor,
  options: Partial<PortOptions> = {},
): Promise<PortListener> {
  const listener = await listenPort(
    { host: '127.0.0.1', port: 0, ...options },
    acceptor,
    silentLog,
    new AbortController().signal,
  )
  t.after(() => listener.stop())
  return listener
}

export class RawClient {
  readonly socket: Socket
  received = ''
  hasEnded = false
  isClosed = false

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk: Buffer) => {
      this.received += chunk.toString('hex')
    })
    socket.on('end', () => {
      this.hasEnded = true
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      this.isClosed = true
    })
  }

  static async dial(t: TestContext, port: number, { allowHalfOpen = false } = {}): Promise<RawClient> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen })
    t.after(() => socket.destroy())
    const client = new RawClient(socket)
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
    })
    return client
  }

  send(bytes: Uint8Array | string): void {
    this.socket.write(typeof bytes === 'string' ? unhex(bytes) : bytes)
  }

  get text(): string {
    return Buffer.from(this.received, 'hex').toString()
  }
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

/** Bytes of `00 00 05 …`; spaces do not matter. */
export function unhex(text: string): Buffer {
  return Buffer.from(text.replaceAll(/\s/g, ''), 'hex')
}

/** Waits for a condition with a wide limit. */
export async function until(condition: () => boolean, what: string, limitMs = 10_000): Promise<void> {
  const deadline = performance.now() + limitMs
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`waited in vain for: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}
