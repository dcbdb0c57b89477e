import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'node:test'
import { WebSocket } from 'ws'
import { parseConfig } from '../../runtime/config/load.ts'
import { BridgeScene } from './bridge-scene.ts'
import { freePort } from './free-port.ts'

const upgrade = (path: string) =>
  [
    `GET ${path} HTTP/1.1`,
    'Host: x',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    '\r\n',
  ].join('\r\n')

/** Says something, and resets the connection before there can be an answer. */
async function sayAndReset(port: number, text: string): Promise<void> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  await once(socket, 'connect')
  const closed = once(socket, 'close')
  socket.write(text, () => socket.resetAndDestroy())
  await closed
}

// An error of a socket to which nobody listens would end the process, and this test with it.
test('a peer that resets its connection while it is refused costs nobody else anything', async (t) => {
  const port = await freePort()
  const scene = await BridgeScene.start(
    t,
    `- {id: web, kind: websocket-json, listen: ${port}, host: 127.0.0.1, origins: ["http://a"]}`,
  )
  for (const path of ['/nothing', '/json']) {
    for (let i = 0; i < 40; i++) await sayAndReset(port, upgrade(path))
  }
  const page = new WebSocket(`ws://127.0.0.1:${port}/json`, { origin: 'http://a' })
  t.after(() => page.terminate())
  await once(page, 'open')
  assert.equal(scene.report('web').state, 'running')
})

test('at the port of the router no bridge takes the paths of its own clients away', async () => {
  const read = (kind: string, more: string) =>
    parseConfig(`bridges: [{id: web, kind: ${kind}, ${more}}]\n`, 'test.yaml')
  for (const [kind, path] of [
    ['websocket-json', '/'],
    ['websocket-json', '/clasp'],
    ['socket-io', '/clasp/'],
  ]) {
    await assert.rejects(read(kind, `path: ${path}`), /clients of the router/)
    await read(kind, `path: ${path}, listen: 8080`)
    await read(kind, 'path: /other/')
  }
})
