import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { test } from 'node:test'
import { connect } from '../../runtime/client/connect.ts'
import { parseConfig } from '../../runtime/config/load.ts'
import { startEdge } from '../../runtime/edge.ts'
import { silentLog } from '../../runtime/router/log.ts'
import { freePort } from '../bridges/free-port.ts'
import { until } from '../until.ts'
import { int } from './rule-scene.ts'

const base = `
listen: {host: 127.0.0.1, port: 0, udp: false}
discovery: {mdns: false, broadcast: false}
journal: {enabled: false}
simulate: false
`

test('a reload replaces the routes of a running router, which tells of them in its status', async (t) => {
  const edge = await startEdge(await parseConfig(`${base}routes: [{match: /a, to: /b}]\n`, 'c.yaml'), {
    log: silentLog,
    version: 'test',
  })
  t.after(() => edge.stop())
  const client = await connect(`ws://127.0.0.1:${edge.port}`, { name: 'test' })
  t.after(() => client.close())
  const wait = async (address: string, wanted: number) => {
    let value: unknown
    await client.subscribe([address], (delivery) => {
      value = delivery.value
    })
    await until(() => (value as { value?: number } | undefined)?.value === wanted, `${wanted} at ${address}`)
  }
  const status = async () => {
    const response = await fetch(`http://127.0.0.1:${edge.port}/status`)
    return JSON.stringify(await response.json())
  }
  await client.set('/a', int(1))
  await wait('/b', 1)
  assert.match(await status(), /1 rule, 1 values written/)
  const next = await parseConfig(`${base}routes: [{match: /a, to: /c, transform: negate}]\n`, 'c.yaml')
  assert.deepEqual(edge.reload(next), { applied: ['routes'], needsRestart: [] })
  // What is there already is written, too.
  await wait('/c', -1)
  await client.set('/a', int(2))
  await wait('/c', -2)
  assert.deepEqual((await client.get('/b'))?.value, int(1))
})

test('reloads that follow each other closely end with what the last one wants', async (t) => {
  const port = await freePort()
  const read = (more: string) => parseConfig(`${base}${more}\n`, 'c.yaml')
  const bridge = (id: string) => `bridges: [{id: ${id}, kind: websocket-json, listen: ${port}, host: 127.0.0.1}]`
  const edge = await startEdge(await read(''), { log: silentLog, version: 'test' })
  t.after(() => edge.stop())
  const client = await connect(`ws://127.0.0.1:${edge.port}`, { name: 'test' })
  t.after(() => client.close())
  const configs = [`${bridge('one')}\nroutes: [{match: /a, to: /b}]`, bridge('two'), bridge('three')]
  for (const text of await Promise.all(configs.map(read))) edge.reload(text)
  const states = new Map<string, string>()
  await client.subscribe(['/_meta/bridges/*'], ({ address, value }) => {
    const members = value?.type === 'map' ? new Map(value.value) : undefined
    const state = members?.get('state')
    if (state?.type === 'string') states.set(address, state.value)
  })
  await until(() => states.get('/_meta/bridges/three') === 'running', 'the last one')
  assert.notEqual(states.get('/_meta/bridges/one'), 'running')
  assert.notEqual(states.get('/_meta/bridges/two'), 'running')
  await client.set('/a', int(1))
  assert.equal(await client.get('/b'), undefined)
})

test('a foreign side that never answers keeps the router neither from starting nor from stopping', async (t) => {
  const sockets = new Set<Socket>()
  const silent = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
  }).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    silent.close()
  })
  const { port } = silent.address() as { port: number }
  const bridges = `bridges:
  - {id: json, kind: websocket-json, mode: client, url: "ws://127.0.0.1:${port}"}
  - {id: sio, kind: socket-io, mode: client, url: "http://127.0.0.1:${port}"}`
  const startedMs = performance.now()
  const edge = await startEdge(await parseConfig(`${base}${bridges}\n`, 'c.yaml'), { log: silentLog, version: 'test' })
  const runningMs = performance.now()
  await edge.stop()
  assert.ok(sockets.size >= 2, 'both were trying')
  // Each would wait for ten seconds.
  assert.ok(runningMs - startedMs < 8000, `${runningMs - startedMs} ms to start`)
  assert.ok(performance.now() - runningMs < 1500, `${performance.now() - runningMs} ms to stop`)
})
