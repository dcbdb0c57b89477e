import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { test } from 'node:test'
import type { Plain } from '../../devices/device.ts'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import { connect } from '../../runtime/client/connect.ts'
import { parseConfig } from '../../runtime/config/load.ts'
import { plainOf } from '../../runtime/devices/wire-value.ts'
import { type Edge, startEdge } from '../../runtime/edge.ts'
import { silentLog } from '../../runtime/router/log.ts'
import { until } from '../until.ts'

test('totals and outputs that are to go on do so after a restart of the router, others are safe', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'clasp-restored-'))
  const config = await parseConfig(
    `listen: {host: 127.0.0.1, port: 0, udp: false}
discovery: {mdns: false, broadcast: false}
journal: {enabled: true, folder: ${folder}}
simulate: false
devices:
  - {name: light, kind: relay, line: A, initial: last, simulate: true}
  - {name: pump, kind: relay, line: B, simulate: true}
  - {name: water, kind: counter, line: C, simulate: true}
`,
    'test.yaml',
  )
  let edge: Edge | undefined
  t.after(async () => {
    await edge?.stop()
    rmSync(folder, { recursive: true, force: true })
  })
  const start = async () => {
    const started = await startEdge(config, { log: silentLog, version: 'test', programs: resolve('dist') })
    edge = started
    const client = await connect(`tcp://127.0.0.1:${started.port}`, { name: 'test' })
    const params = new Map<string, Plain | undefined>()
    await client.subscribe(['/relay/**', '/counter/**'], ({ address, value }) => {
      if (value !== undefined) params.set(address, plainOf(value))
    })
    return { client, params }
  }
  const before = await start()
  const on: Value = { type: 'bool', value: true }
  await before.client.set('/relay/light', on)
  await before.client.set('/relay/pump', on)
  await before.client.set('/counter/water', { type: 'i64', value: 1234 })
  await until(() => before.params.get('/relay/pump/actual') === true, 'outputs that are on')
  before.client.close()
  await edge?.stop()
  const { client, params } = await start()
  t.after(() => client.close())
  await until(() => params.get('/relay/light/actual') === true, 'the light')
  assert.deepEqual(
    ['/relay/light', '/relay/pump', '/relay/pump/actual', '/counter/water'].map((address) => params.get(address)),
    [true, false, false, 1234],
  )
})
