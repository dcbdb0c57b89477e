/** Many devices at once on one router. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import { until } from '../until.ts'
import { portFolder, Runtime } from './runtime-fixture.ts'
import { SimulatedNode } from './simulated-node.ts'

const SERIAL = 32
const UDP = 100
const SIGNALS = ['number,i32,out', 'lamp,bool,in']

test(`${SERIAL} devices on serial lines and ${UDP} over UDP are all online, and each is heard and reached`, async (t) => {
  const pty = join(portFolder(t), 'tty')
  const serial = await SimulatedNode.start({ pty, count: SERIAL, name: 's', signals: SIGNALS }, t)
  const ports = Array.from({ length: SERIAL }, (_, i) => ({ port: `${pty}${i + 1}` }))
  const runtime = await Runtime.start(t, { serial: ports, udp: true })
  const startedAt = performance.now()
  const router = `127.0.0.1:${runtime.port}`
  const udp = await SimulatedNode.start(
    { udp: router, count: UDP, name: 'u', uid: 'a000000000000000', signals: SIGNALS },
    t,
  )
  await runtime.online(SERIAL + UDP, 30_000)
  t.diagnostic(`all online after ${(performance.now() - startedAt).toFixed(0)} ms`)
  const client = await runtime.client()
  const numbers = new Map<string, Value | undefined>()
  await client.subscribe(['/dev/*/number'], ({ address, value }) => numbers.set(address, value))
  for (const [node, name, count] of [
    [serial, 's', SERIAL],
    [udp, 'u', UDP],
  ] as const) {
    for (let i = 1; i <= count; i++) await node.command(`@${i} set number ${i * 10}`)
    const isHere = (i: number) => {
      const value = numbers.get(`/dev/${name}${i}/number`)
      return value !== undefined && 'value' in value && value.value === i * 10
    }
    const all = Array.from({ length: count }, (_, i) => i + 1)
    await until(() => all.every(isHere), `${count} numbers`)
    for (const i of all)
      client.send({ type: 'SET', address: `/dev/${name}${i}/lamp`, value: { type: 'bool', value: true } })
    const isLit = (i: number) =>
      node.happened.some((one) => one.node === i && one.input === 'lamp' && one.value === true)
    await until(() => all.every(isLit), `${count} lamps`)
  }
  const { devices } = await runtime.report()
  assert.equal(devices.length, SERIAL + UDP)
  assert.equal(
    devices.reduce((sum, { counters }) => sum + counters.losses, 0),
    0,
  )
})
