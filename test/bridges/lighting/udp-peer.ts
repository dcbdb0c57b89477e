import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import type { TestContext } from 'node:test'

/** Gear or a console at an address of its own, until the end of the test, and what it has got. */
export async function udpPeer(t: TestContext, ip: string, port: number) {
  const socket = createSocket({ type: 'udp4', reuseAddr: true })
  const got: Buffer[] = []
  socket.on('message', (bytes) => got.push(bytes))
  socket.bind(port, ip)
  await once(socket, 'listening')
  t.after(() => socket.close())
  return { socket, got }
}
