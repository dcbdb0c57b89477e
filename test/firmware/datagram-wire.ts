import { randomBytes } from 'node:crypto'
import { createSocket, type Socket } from 'node:dgram'
import type { TestContext } from 'node:test'
import { Control, Field, FrameClass, HEAD_BYTES } from '../../firmware-protocol/link/constants.ts'
import {
  encodeDatagram,
  isAuthentic,
  readDatagramHead,
  type SessionKeys,
  sessionKeys,
} from '../../firmware-protocol/link/datagram.ts'
import { field } from './records.ts'

export interface DatagramWireOptions {
  /** 32 bytes. */
  secret?: Uint8Array
  host?: string
}

interface Challenge {
  hostNonce: Buffer
  cookie: Buffer
  /** Bytes of the datagram that it came in. */
  length: number
}

/** What a datagram says instead of what it should. */
export interface Forgery {
  token?: number
  counter?: number
  isSigned?: boolean
}

/** A device's datagrams: token, counter, keys and cookie. Every datagram that it sent can be sent again. */
export class DatagramWire {
  readonly mru = 1184
  uid = ''
  onFrame: (frame: Buffer) => void = () => {}
  token = 0
  /** Of the last datagram that was sent. */
  counter = 0
  nonce = randomBytes(8)
  readonly challenges: Challenge[] = []
  readonly sent: Buffer[] = []
  readonly received: Buffer[] = []
  /** With a MAC that is not right, or without one. */
  forged = 0
  /** Sees each datagram before it leaves; what it returns leaves instead. */
  outgoing: (datagram: Buffer) => readonly Buffer[] = (datagram) => [datagram]
  /** The same for what comes. */
  incoming: (datagram: Buffer) => readonly Buffer[] = (datagram) => [datagram]
  keys: SessionKeys | null = null
  private readonly secret: Uint8Array | null
  private readonly t: TestContext
  private readonly port: number
  private readonly host: string
  private socket: Socket

  private constructor(
    socket: Socket,
    port: number,
    t: TestContext,
    { secret, host = '127.0.0.1' }: DatagramWireOptions,
  ) {
    this.t = t
    this.port = port
    this.host = host
    this.secret = secret ?? null
    this.socket = socket
    this.listen(socket)
  }

  static async open(port: number, t: TestContext, options: DatagramWireOptions): Promise<DatagramWire> {
    return new DatagramWire(await bind(options.host ?? '127.0.0.1'), port, t, options)
  }

  /** From another port from now on, as behind a router that was restarted. */
  async move(): Promise<void> {
    this.socket.removeAllListeners('message')
    this.close()
    this.socket = await bind(this.host)
    this.listen(this.socket)
  }

  nonceField(): Buffer {
    return field(Field.nonce, this.nonce)
  }

  /** The fields of the ANNOUNCE that answers the newest CHALLENGE; from then on it is signed, where there is a key. */
  answerFields(): Buffer {
    const challenge = this.challenges.at(-1)
    if (challenge === undefined) throw new Error('there was no CHALLENGE')
    const { hostNonce, cookie } = challenge
    if (this.secret !== null) this.keys = sessionKeys(this.secret, this.nonce, hostNonce, this.uid)
    return Buffer.concat([this.nonceField(), field(Field.cookie, cookie), field(Field.hostNonce, hostNonce)])
  }

  /** A new start: other nonce, no session. */
  reboot(): void {
    this.nonce = randomBytes(8)
    this.token = 0
    this.counter = 0
    this.keys = null
  }

  setSession(): void {}

  send(frame: Uint8Array): void {
    for (const datagram of this.outgoing(this.encode(frame))) this.raw(datagram)
  }

  encode(frame: Uint8Array, forgery: Forgery = {}): Buffer {
    const { token = this.token, counter = ++this.counter, isSigned = this.keys !== null } = forgery
    const key = isSigned ? (this.keys?.toHost ?? null) : null
    return Buffer.from(encodeDatagram(frame, frame.length, { isShort: false, token, counter }, key))
  }

  /** Bytes as they are. */
  raw(datagram: Uint8Array): void {
    this.sent.push(Buffer.from(datagram))
    this.socket.send(datagram, this.port, this.host)
  }

  close(): void {
    try {
      this.socket.close()
    } catch {
      // It was closed before.
    }
  }

  private listen(socket: Socket): void {
    this.t.after(() => {
      if (this.socket === socket) this.close()
    })
    socket.on('message', (datagram) => {
      this.received.push(datagram)
      for (const one of this.incoming(datagram)) this.receive(one)
    })
  }

  private receive(datagram: Buffer): void {
    const head = readDatagramHead(datagram)
    if (head === null) throw new Error(`the router sent no datagram of the link: ${datagram.toString('hex')}`)
    const frame = datagram.subarray(head.start, head.end)
    const isBefore = head.token === 0
    if (!isBefore && this.keys !== null && !(head.isSigned && isAuthentic(datagram, head.end, this.keys.toDevice))) {
      this.forged++
      return
    }
    if (frame[0] === (FrameClass.control | Control.challenge)) {
      const body = frame.subarray(HEAD_BYTES)
      this.challenges.push({ hostNonce: body.subarray(0, 8), cookie: body.subarray(8), length: datagram.length })
    }
    if (frame[0] === (FrameClass.control | Control.welcome)) this.token = head.token
    this.onFrame(frame)
  }
}

async function bind(host: string): Promise<Socket> {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
  await new Promise<void>((resolve) => socket.bind(0, host, resolve))
  return socket
}
