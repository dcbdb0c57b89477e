import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { test } from 'node:test'
import WebSocket from 'ws'
import { silentLog } from '../../runtime/router/log.ts'
import { helloFrame } from '../../runtime/transports/datagram-frame.ts'
import { listenPort } from '../../runtime/transports/port.ts'
import { listenUdp } from '../../runtime/transports/udp.ts'
import { PING, pongAcceptor, RawClient, until } from './fixture.ts'

/** Sockets, listeners and timers of this process; a file of its own, so that nothing else is running. */
function handles(): string[] {
  return process.getActiveResourcesInfo().filter((kind) => /TCP|UDP|Timeout|TLS/.test(kind))
}

test('aborting the signal stops listeners with their links, and leaves no socket and no timer', async (t) => {
  const before = handles()
  const controller = new AbortController()
  const acceptor = pongAcceptor()
  const port = await listenPort({ host: '127.0.0.1', port: 0 }, acceptor, silentLog, controller.signal)
  const udp = await listenUdp({ ports: [0] }, acceptor, silentLog, controller.signal)
  const client = await RawClient.dial(t, port.port)
  client.send(PING)
  const silent = await RawClient.dial(t, port.port)
  const socket = new WebSocket(`ws://127.0.0.1:${port.port}`)
  const datagrams = createSocket('udp4')
  datagrams.send(helloFrame('x'), udp.ports[0], '127.0.0.1')
  await until(() => acceptor.links.length === 3 && port.connections === 3, 'the links')
  controller.abort()
  await Promise.all([port.stop(), udp.stop()])
  assert.ok(acceptor.links.every((attached) => attached.closed === 'the router is stopping'))
  datagrams.close()
  await until(() => client.isClosed && silent.isClosed && socket.readyState === WebSocket.CLOSED, 'the clients')
  // Closed handles are gone some turns of the event loop later: how many differs between versions of Node.
  for (let turn = 0; turn < 100 && handles().length > before.length; turn++) {
    await new Promise((resolve) => setImmediate(resolve))
  }
  assert.deepEqual(handles(), before)
})
