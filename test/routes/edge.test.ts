import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect } from '../../runtime/client/connect.ts'
import { parseConfig } from '../../runtime/config/load.ts'
import { startEdge } from '../../runtime/edge.ts'
import { silentLog } from '../../runtime/router/log.ts'
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
