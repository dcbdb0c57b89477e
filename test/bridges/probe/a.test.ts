import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer as createHttp } from 'node:http'
import { connect, createServer } from 'node:net'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { WebSocket, WebSocketServer } from 'ws'
import { Server } from 'socket.io'
import { BridgeScene } from '../bridge-scene.ts'
import { freePort } from '../free-port.ts'
import { until } from '../../until.ts'
import { valueFromJson } from '../../../runtime/bridges/json-value.ts'

const upgrade = (path: string) =>
  `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`

function raw(port: number, text: string): Promise<void> {
  return new Promise((resolve) => {
    const s = connect(port, '127.0.0.1', () => {
      s.write(text, () => { s.resetAndDestroy() })
    })
    s.on('error', () => {})
    s.on('close', () => resolve())
  })
}

test('P1 reset after refused upgrade', async (t) => {
  const port = await freePort()
  await BridgeScene.start(t, `- {id: web, kind: websocket-json, listen: ${port}, host: 127.0.0.1}`)
  const errors: unknown[] = []
  const on = (e: unknown) => errors.push(e)
  process.on('uncaughtException', on)
  t.after(() => process.off('uncaughtException', on))
  for (let i = 0; i < 200; i++) await raw(port, upgrade('/nothing'))
  await sleep(100)
  console.log('P1', errors.length, String(errors[0]))
})

test('P1b reset after refused origin', async (t) => {
  const port = await freePort()
  await BridgeScene.start(t, `- {id: web, kind: websocket-json, listen: ${port}, host: 127.0.0.1, origins: ["http://a"]}`)
  const errors: unknown[] = []
  const on = (e: unknown) => errors.push(e)
  process.on('uncaughtException', on)
  t.after(() => process.off('uncaughtException', on))
  for (let i = 0; i < 200; i++) await raw(port, upgrade('/json'))
  await sleep(100)
  console.log('P1b', errors.length, String(errors[0]))
})

test('P2 path / with token and url //', async (t) => {
  const port = await freePort()
  await BridgeScene.start(t, `- {id: web, kind: websocket-json, listen: ${port}, host: 127.0.0.1, path: /, token: secret}`)
  const errors: unknown[] = []
  const on = (e: unknown) => errors.push(e)
  process.on('uncaughtException', on)
  t.after(() => process.off('uncaughtException', on))
  const s = connect(port, '127.0.0.1')
  s.on('error', () => {})
  s.write(upgrade('//'))
  await sleep(200)
  s.destroy()
  console.log('P2', errors.length, String(errors[0]))
})

test('P3 first message together with the handshake', async (t) => {
  const port = await freePort()
  const server = createServer((s) => {
    s.on('error', () => {})
    s.once('data', async (d) => {
      const { createHash } = await import('node:crypto')
      const key = /Sec-WebSocket-Key: (.*)\r\n/i.exec(d.toString())![1]
      const accept = createHash('sha1').update(key + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11').digest('base64')
      const msg = Buffer.from('{"address":"/ws/first","value":1}')
      s.write(Buffer.concat([Buffer.from(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`), Buffer.from([0x81, msg.length]), msg]))
    })
  }).listen(port, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const scene = await BridgeScene.start(t, `- {id: web, kind: websocket-json, mode: client, url: "ws://127.0.0.1:${port}"}`)
  await sleep(200)
  console.log('P3', scene.param('/ws/first'), scene.report('web'))
})

test('P4 socket.io server that speaks first', async (t) => {
  const http = createHttp()
  const io = new Server(http)
  io.on('connection', (s) => { s.emit('hello', 1) })
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  t.after(() => io.close())
  const port = (http.address() as { port: number }).port
  const scene = await BridgeScene.start(t, `- {id: web, kind: socket-io, mode: client, url: "http://127.0.0.1:${port}"}`)
  await sleep(300)
  console.log('P4', scene.param('/socketio/hello'))
})

test('P5 burst', async (t) => {
  const port = await freePort()
  const scene = await BridgeScene.start(t, `- {id: web, kind: websocket-json, listen: ${port}, host: 127.0.0.1}`)
  const ws = new WebSocket(`ws://127.0.0.1:${port}/json`)
  t.after(() => ws.terminate())
  let code = 0
  ws.on('close', (c) => { code = c })
  await once(ws, 'open')
  for (let i = 0; i < 10_000; i++) ws.send(`{"address":"/a","value":${i}}`)
  await sleep(1500)
  console.log('P5', code, scene.param('/a'))
})

test('P6 stop while opening', async (t) => {
  const server = createServer((s) => { s.on('error', () => {}) }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const sockets = new Set<import('node:net').Socket>()
  server.on('connection', (s) => sockets.add(s))
  t.after(() => { for (const s of sockets) s.destroy(); server.close() })
  const port = (server.address() as { port: number }).port
  for (const line of [`{id: web, kind: websocket-json, mode: client, url: "ws://127.0.0.1:${port}"}`, `{id: web, kind: socket-io, mode: client, url: "http://127.0.0.1:${port}"}`]) {
    const started = performance.now()
    const opening = BridgeScene.start(t, `- ${line}`)
    void opening
    const scene = await Promise.race([opening, sleep(300)])
    console.log('P6 open blocked', scene === undefined, performance.now() - started)
    const s = await opening
    console.log('P6 opened after', performance.now() - started, s.report('web').state)
    await s.host.stop()
  }
})

test('P7 surrogates in a webhook', async (t) => {
  const http = createHttp((req, res) => { console.log('P7 got', req.url); res.end() }).listen(0, '127.0.0.1')
  await once(http, 'listening')
  t.after(() => http.close())
  const port = (http.address() as { port: number }).port
  const wport = await freePort()
  await BridgeScene.start(t, `- {id: hook, kind: http-client, allowLocal: true, webhooks: [{match: "/a/**", url: "http://127.0.0.1:${port}/x?{value}"}]}
- {id: web, kind: websocket-json, listen: ${wport}, host: 127.0.0.1}`)
  const errors: unknown[] = []
  const on = (e: unknown) => errors.push(e)
  process.on('unhandledRejection', on)
  t.after(() => process.off('unhandledRejection', on))
  const ws = new WebSocket(`ws://127.0.0.1:${wport}/json`)
  t.after(() => ws.terminate())
  await once(ws, 'open')
  ws.send('{"address":"/a/b","value":"\\ud800"}')
  await sleep(300)
  console.log('P7', errors)
})

test('P9 reserved writes', async (t) => {
  const port = await freePort()
  const scene = await BridgeScene.start(t, `- {id: web, kind: websocket-json, listen: ${port}, host: 127.0.0.1}`)
  const ws = new WebSocket(`ws://127.0.0.1:${port}/json`)
  t.after(() => ws.terminate())
  ws.on('message', (m) => console.log('P9', String(m)))
  await once(ws, 'open')
  ws.send('{"type":"set","address":"/_clasp/x","value":1,"id":1}')
  ws.send('{"type":"batch","operations":[{"type":"set","address":"/_clasp/x","value":1}],"id":2}')
  ws.send('{"type":"get","address":"/a/*","id":3}')
  ws.send('{"type":"set","address":"/__proto__/toString","value":{"__proto__":{"a":1}},"id":4}')
  ws.send('{"type":"set","address":"not an address","value":1,"id":5}')
  ws.send('{"type":"snapshot","prefix":"/__proto__","id":{"__proto__":6}}')
  await sleep(300)
  console.log('P9', scene.param('/_clasp/x'))
})

test('P10 big json text', () => {
  for (const n of [1e5, 1e6, 8e6]) {
    const text = `{"a":1.5,"b":"${'x'.repeat(n)}"}`
    const started = performance.now()
    console.log('P10', n, valueFromJson(text)?.type, performance.now() - started)
    const e = `{"a":1.5,"b":"${'\\n'.repeat(n / 2)}"}`
    console.log('P10 escapes', n, valueFromJson(e)?.type)
  }
  const started = performance.now()
  console.log('P10 digits', valueFromJson('9'.repeat(262_000))?.type, performance.now() - started)
  console.log('P10 digits', valueFromJson('9'.repeat(16_000_000))?.type, performance.now() - started)
})
