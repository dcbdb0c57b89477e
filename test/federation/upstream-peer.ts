import { once } from 'node:events'
import { connect } from 'node:net'
import { WebSocket } from 'ws'
import { fromHex, toHex } from '../firmware-protocol/vectors.ts'
import { Peer } from '../router/fixture.ts'
import { until } from '../until.ts'
import type { UpstreamHub } from './upstream-hub.ts'

/** A client on the TCP side of the scripted hub that has not said HELLO. */
export async function connectPeer(t: { after(end: () => void): void }, hub: UpstreamHub): Promise<Peer> {
  const { hostname, port } = new URL(hub.tcpUrl)
  const peer = new Peer(connect(Number(port), hostname))
  t.after(() => peer.close())
  await once(peer.socket, 'connect')
  return peer
}

/** A session, WELCOME and the first SNAPSHOT taken out of the way; with namespaces a federation session. */
export async function joinPeer(
  t: { after(end: () => void): void },
  hub: UpstreamHub,
  { name = 'leaf', token, namespaces }: { name?: string; token?: string; namespaces?: string[] } = {},
): Promise<Peer> {
  const peer = await connectPeer(t, hub)
  const features = ['param', 'event', 'stream', 'gesture', 'timeline']
  if (namespaces !== undefined) features.push('federation')
  peer.send({ type: 'HELLO', version: 1, features, name, token })
  peer.session = (await peer.next('WELCOME')).session
  await peer.next('SNAPSHOT')
  if (namespaces !== undefined) {
    peer.send({ type: 'FEDERATION_SYNC', op: 'declare_namespaces', patterns: namespaces, revisions: [], origin: name })
    await peer.next('ACK')
  }
  return peer
}

/** A WebSocket on which frames go in and out as hexadecimal text. */
export class HexPeer {
  readonly frames: string[] = []
  readonly socket: WebSocket
  isClosed = false

  constructor(t: { after(end: () => void): void }, url: string) {
    this.socket = new WebSocket(url, 'clasp')
    t.after(() => this.socket.terminate())
    this.socket.on('message', (data: Buffer) => this.frames.push(toHex(data)))
    this.socket.on('error', () => {})
    this.socket.on('close', () => {
      this.isClosed = true
    })
  }

  static async open(t: { after(end: () => void): void }, hub: UpstreamHub): Promise<HexPeer> {
    const peer = new HexPeer(t, hub.url)
    await once(peer.socket, 'open')
    return peer
  }

  send(hex: string): void {
    this.socket.send(fromHex(hex))
  }

  /** The next frames, as many as asked for. */
  async take(count: number): Promise<string[]> {
    await until(() => this.frames.length >= count, `${count} frames, only ${this.frames.join(' ')}`)
    return this.frames.splice(0, count)
  }
}
