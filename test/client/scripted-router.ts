import { createServer, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { WebSocketServer } from 'ws'
import { DecodeError } from '../../firmware-protocol/wire/errors.ts'
import { decodeFrame, encodeFrame } from '../../firmware-protocol/wire/frame.ts'
import type { Message } from '../../firmware-protocol/wire/message.ts'

export interface ScriptedPeer {
  send(...messages: Message[]): void
  close(): void
}

/** Answers one message; true when it did, otherwise the usual answer is given. */
export type Script = (message: Message, peer: ScriptedPeer) => boolean

export interface ScriptedRouter {
  url: string
  received: Message[]
  connections: number
  stop(): Promise<void>
}

/** Behaves as the router of the specification's tables does, unless the script knows better. */
function answer(message: Message, peer: ScriptedPeer): void {
  switch (message.type) {
    case 'HELLO':
      peer.send(
        { type: 'WELCOME', version: 1, features: ['param', 'event'], time: 1, session: 'session-1', name: 'scripted' },
        { type: 'SNAPSHOT', params: [] },
      )
      return
    case 'PING':
      peer.send({ type: 'PONG' })
      return
    case 'SET':
      peer.send({ type: 'ACK', address: message.address, revision: 1 })
  }
}

/** A router made of a script, over WebSocket; stops with the test. */
export async function scriptedRouter(t: TestContext, script: Script = () => false, port = 0): Promise<ScriptedRouter> {
  const server = new WebSocketServer({ host: '127.0.0.1', port })
  await new Promise((resolve) => server.once('listening', resolve))
  const address = server.address() as { port: number }
  const router: ScriptedRouter = {
    url: `ws://127.0.0.1:${address.port}/clasp`,
    received: [],
    connections: 0,
    async stop() {
      for (const socket of server.clients) socket.terminate()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  server.on('connection', (socket) => {
    router.connections++
    const peer: ScriptedPeer = {
      send: (...messages) => {
        for (const message of messages) socket.send(encodeFrame(message))
      },
      close: () => socket.close(1008, 'said the script'),
    }
    socket.on('message', (data: Buffer) => {
      const frame = decodeFrame(data)
      if (frame instanceof DecodeError) throw new Error(frame.reason)
      router.received.push(frame.message)
      if (!script(frame.message, peer)) answer(frame.message, peer)
    })
  })
  t.after(() => router.stop())
  return router
}

/** Accepts connections and hands them to the callback, or leaves them in silence. */
export async function rawServer(t: TestContext, onSocket: (socket: Socket) => void = () => {}): Promise<number> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    onSocket(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as { port: number }).port
}
