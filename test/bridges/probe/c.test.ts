import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { io as ioClient } from 'socket.io-client'
import { BridgeScene } from '../bridge-scene.ts'
import { freePort } from '../free-port.ts'

const errors: unknown[] = []
process.on('uncaughtException', (e) => errors.push(e))
process.on('unhandledRejection', (e) => errors.push(e))

test('C1 stop while everything is busy', async (t) => {
  for (let round = 0; round < 6; round++) {
    const [p1, p2, p3] = [await freePort(), await freePort(), await freePort()]
    const scene = await BridgeScene.start(t, `- {id: h, kind: http, listen: ${p1}, host: 127.0.0.1, requestsPerSecond: 100000, burst: 100000}
- {id: w, kind: websocket-json, listen: ${p2}, host: 127.0.0.1}
- {id: s, kind: socket-io, listen: ${p3}, host: 127.0.0.1}`)
    const clients = [0, 1, 2].map(() => ioClient(`http://127.0.0.1:${p3}`, { forceNew: true }))
    for (const c of clients) c.onAny(() => {})
    const raws = [0, 1, 2, 3, 4, 5].map((i) => {
      const s = connect(p1, '127.0.0.1', () => s.write(`GET /v1/events?snapshot=1&pattern=/p/** HTTP/1.1\r\nHost: x\r\n\r\n`))
      s.on('error', () => {})
      if (i % 2) s.pause(); else s.resume()
      return s
    })
    const ws = [0, 1, 2].map(() => new WebSocket(`ws://127.0.0.1:${p2}/json`))
    for (let i = 0; i < 500; i++) void scene.set(`/p/${i}`, { type: 'string', value: 'x'.repeat(3000) })
    await sleep(60)
    for (let i = 0; i < 500; i++) { void scene.set(`/p/${i}`, { type: 'string', value: 'y'.repeat(3000) }); for (const w of ws) if (w.readyState === 1) w.send('{"type":"snapshot"}'); for (const c of clients) c.emit('clasp:snapshot', '/**', () => {}) }
    if (round % 2) { for (const r of raws) r.resetAndDestroy(); for (const w of ws) w.close() ; await sleep(5) }
    const started = performance.now()
    await scene.host.stop()
    console.log('C1 stop', round, Math.round(performance.now() - started), errors.length)
    for (const c of clients) c.disconnect()
    for (const r of raws) r.destroy()
    for (const w of ws) w.close()
  }
  await sleep(600)
  console.log('C1', errors.length, (errors[0] as Error)?.stack)
})

test('C2 router closes', async (t) => {
  const [p1, p2, p3] = [await freePort(), await freePort(), await freePort()]
  const scene = await BridgeScene.start(t, `- {id: h, kind: http, listen: ${p1}, host: 127.0.0.1}
- {id: w, kind: websocket-json, listen: ${p2}, host: 127.0.0.1}
- {id: s, kind: socket-io, listen: ${p3}, host: 127.0.0.1}`)
  const c = ioClient(`http://127.0.0.1:${p3}`, { forceNew: true, transports: ['websocket'] })
  const ws = new WebSocket(`ws://127.0.0.1:${p2}/json`)
  await sleep(200)
  for (let i = 0; i < 50; i++) { ws.send(`{"address":"/a","value":${i}}`); c.emit('x', i) }
  const r = fetch(`http://127.0.0.1:${p1}/v1/state/a`).then((x) => x.status, String)
  scene.router.stop()
  ws.send(`{"type":"get","address":"/a"}`)
  await sleep(300)
  console.log('C2', await r, await fetch(`http://127.0.0.1:${p1}/v1/state/a`).then((x) => x.status, String), errors.length, (errors[0] as Error)?.stack)
  c.disconnect(); ws.close()
  void once
})
