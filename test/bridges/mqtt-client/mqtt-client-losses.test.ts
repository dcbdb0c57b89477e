import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import { SteppedClock } from '../../router/stepped-clock.ts'
import { until } from '../../until.ts'
import { BridgeScene } from '../bridge-scene.ts'
import { ScriptedBroker } from './scripted-broker.ts'

const text = (value: string): Value => ({ type: 'string', value })
const int = (value: number): Value => ({ type: 'i64', value })

async function start(t: TestContext, broker: ScriptedBroker, more = '') {
  const clock = new SteppedClock()
  const url = `mqtt://127.0.0.1:${broker.port}`
  const scene = await BridgeScene.start(
    t,
    `- {id: m, kind: mqtt, version: "5", url: "${url}", subscribe: [lab/#]${more}}`,
    { clock },
  )
  const again = async () => {
    const connects = broker.count('connect')
    broker.socket?.destroy()
    await until(() => scene.report('m').state === 'degraded', 'a report of the loss')
    clock.advance(40_000)
    await broker.hears('connect', connects + 1)
    await until(() => scene.report('m').state === 'running', 'the connection')
  }
  return { scene, clock, again }
}

test('a subscription that was not answered is made again, though the broker knows the session', async (t) => {
  const broker = await ScriptedBroker.start(t)
  broker.answersSubscribe = false
  const { scene, again } = await start(t, broker)
  broker.answersSubscribe = true
  broker.isSessionPresent = true
  await again()
  await broker.hears('subscribe', 2)
  broker.say({ cmd: 'publish', topic: 'lab/x', payload: '1', qos: 0, retain: false, dup: false })
  assert.deepEqual(await scene.untilParam('/mqtt/lab/x'), int(1))
})

test('messages of QoS 0 that a stuck connection did not take leave room for the next ones', async (t) => {
  const broker = await ScriptedBroker.start(t)
  const { scene, again } = await start(t, broker, ', maxQos: 0')
  await broker.hears('subscribe')
  broker.socket?.pause()
  const payload = 'x'.repeat(60_000)
  for (let i = 0; i < 200; i++) await scene.set(`/mqtt/big/${i}`, text(payload))
  await again()
  await scene.set('/mqtt/last', int(7))
  await until(() => broker.published('last').length > 0, 'what came afterwards')
  await until(() => broker.published('big/199').length > 0, 'what was stuck')
})

test('a broker that forgot the session is told again what it retained, unless it has something newer', async (t) => {
  const broker = await ScriptedBroker.start(t)
  const { scene, clock, again } = await start(t, broker)
  await broker.hears('subscribe')
  await scene.set('/mqtt/lab/a', int(1))
  await scene.set('/mqtt/lab/b', int(2))
  broker.say({ cmd: 'publish', topic: 'lab/theirs', payload: '3', qos: 0, retain: false, dup: false })
  await scene.untilParam('/mqtt/lab/theirs')
  await until(() => broker.published('lab/b').length === 1, 'both')
  await again()
  await broker.hears('subscribe', 2)
  broker.say({ cmd: 'publish', topic: 'lab/b', payload: '4', qos: 0, retain: true, dup: false })
  await scene.untilParam('/mqtt/lab/b', (value) => 'value' in value && value.value === 4)
  clock.advance(2000)
  await until(() => broker.published('lab/a').length === 2, 'the value again')
  assert.equal(broker.published('lab/b').length, 1)
  assert.equal(broker.published('lab/theirs').length, 0)
})

test('properties that are cut off or come twice do no harm', async (t) => {
  const broker = await ScriptedBroker.start(t)
  const { scene } = await start(t, broker)
  await broker.hears('subscribe')
  // PUBLISH at `lab`: response topic cut off, response topic twice, correlation data cut off, expiry twice.
  for (const properties of [
    '03 08 00ff',
    '08 08 0001 61 08 0001 62',
    '07 08 0001 61 09 00ff',
    '0a 02 00000001 02 00000002',
  ]) {
    const body = `0003 6c6162 ${properties}`.replaceAll(' ', '')
    broker.socket?.write(Buffer.from(`30${(body.length / 2).toString(16).padStart(2, '0')}${body}`, 'hex'))
  }
  broker.say({ cmd: 'publish', topic: 'lab/end', payload: '1', qos: 0, retain: false, dup: false })
  await scene.untilParam('/mqtt/lab/end')
  assert.equal(scene.report('m').state, 'running')
})
