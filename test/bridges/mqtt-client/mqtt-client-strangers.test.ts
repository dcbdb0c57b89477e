import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import { until } from '../../until.ts'
import { BridgeScene } from '../bridge-scene.ts'
import { freePort } from '../free-port.ts'
import { certificates } from '../mqtt/certificates.ts'
import { missing } from '../mqtt/foreign-program.ts'
import { Mosquitto } from '../mqtt/mosquitto.ts'

const skip = missing(['mosquitto', 'mosquitto_pub', 'mosquitto_sub'], 'mosquitto mosquitto-clients')

/** Of `secret`, as mosquitto_passwd makes it. */
const HASHED_SECRET =
  '$7$101$teoJ7fmF12RwaGnl$04LEwpysRCNDLLEGQe0ZsSbwhWU/afAN+GYh1Qg7CnGJNSWewmHqXpssLIEK/jBlKtiUZWk2yHHlwH4dx+Fkqw=='

const text = (value: string): Value => ({ type: 'string', value })
const f64 = (value: number): Value => ({ type: 'f64', value })

function start(t: TestContext, broker: Mosquitto, more = ''): Promise<BridgeScene> {
  const usual = `id: m, kind: mqtt, url: "mqtt://127.0.0.1:${broker.port}", subscribe: [lab/#]`
  return BridgeScene.start(t, `- {${usual}${more}}`)
}

for (const version of ['5', '3.1.1'] as const) {
  test(`MQTT ${version}: what mosquitto has comes in, what is set goes out, nothing comes back`, {
    skip,
  }, async (t) => {
    const broker = await Mosquitto.start(t)
    await broker.publish('-r', '-t', 'lab/before', '-m', '21.5')
    const scene = await start(t, broker, `, version: "${version}"`)
    assert.equal(scene.report('m').state, 'running', scene.report('m').reason)
    assert.deepEqual(await scene.untilParam('/mqtt/lab/before'), f64(21.5))
    await broker.publish('-q', '2', '-t', 'lab/json', '-m', '{"a":[1,true]}')
    await scene.untilParam('/mqtt/lab/json', ({ type }) => type === 'map')
    const heard = await broker.subscribe('-V', '5', '-t', '#', '-F', '%r %q %t %p %P')
    await scene.set('/mqtt/lab/out', f64(5))
    await heard.says('lab/out 5')
    assert.equal(heard.output.includes('clasp-sig:param'), version === '5')
    await scene.event('/mqtt/lab/press', text('now'))
    await heard.says('lab/press now')
    const late = await broker.subscribe('-t', 'lab/#', '-F', '%r %t %p')
    await late.says('1 lab/out 5')
    assert.doesNotMatch(late.output, /lab\/press/, 'events are not retained')
    await broker.publish('-t', 'lab/end', '-m', 'end')
    await scene.untilParam('/mqtt/lab/end')
    assert.equal(scene.heard.filter(({ address }) => address === '/mqtt/lab/out').length, 1)
  })
}

test('$share: two bridges divide the messages between them', { skip }, async (t) => {
  const broker = await Mosquitto.start(t)
  const of = (id: string) =>
    `- {id: ${id}, kind: mqtt, namespace: /${id}, url: "mqtt://127.0.0.1:${broker.port}", subscribe: ["$share/g/lab/#"]}`
  const scene = await BridgeScene.start(t, `${of('one')}\n${of('two')}`)
  for (let i = 0; i < 10; i++) await broker.publish('-q', '1', '-t', `lab/${i}`, '-m', String(i))
  const got = () =>
    scene.heard.filter(({ address }) => /^\/(one|two)\/lab\//.test(address)).map(({ address }) => address)
  await until(() => got().length >= 10, 'ten messages')
  assert.equal(got().length, 10)
  assert.ok(got().some((address) => address.startsWith('/one/')))
  assert.ok(got().some((address) => address.startsWith('/two/')))
})

test('a broker that is restarted gets what was set meanwhile, and is heard again', { skip }, async (t) => {
  const broker = await Mosquitto.start(t)
  const scene = await start(t, broker)
  await broker.stop()
  await until(() => scene.report('m').state === 'degraded', 'a report of the loss')
  for (let i = 0; i < 50; i++) await scene.set('/mqtt/lab/level', f64(i))
  await scene.event('/mqtt/lab/press', text('while away'))
  await broker.run()
  const heard = await broker.subscribe('-q', '1', '-t', 'lab/#', '-v')
  await until(() => scene.report('m').state === 'running', 'the connection')
  await heard.says('lab/level 49')
  await heard.says('lab/press while away')
  assert.doesNotMatch(heard.output, /lab\/level 48/)
  await until(() => scene.report('m').state === 'running', 'the connection')
  await broker.publish('-q', '1', '-t', 'lab/again', '-m', 'yes')
  await scene.untilParam('/mqtt/lab/again')
})

test('it says online, and offline when it stops or is gone', { skip }, async (t) => {
  const broker = await Mosquitto.start(t)
  const scene = await start(t, broker, ', statusTopic: home/edge, willDelay: 0s')
  const heard = await broker.subscribe('-t', 'home/edge', '-v')
  await heard.says('home/edge online')
  await scene.apply('[]')
  await heard.says('home/edge offline')
})

test('TLS and a password: the right ones are let in, wrong ones are told what is wrong', { skip }, async (t) => {
  const { ca, cert, key } = certificates(t)
  const broker = await Mosquitto.start(t, (folder) => {
    const passwords = join(folder, 'passwords')
    writeFileSync(passwords, `edge:${HASHED_SECRET}\n`, { mode: 0o600 })
    return `certfile ${cert}\nkeyfile ${key}\nallow_anonymous false\npassword_file ${passwords}\nuser root`
  })
  const url = `mqtts://localhost:${broker.port}`
  const of = (id: string, more: string) => `- {id: ${id}, kind: mqtt, namespace: /${id}, url: "${url}", ${more}}`
  const scene = await BridgeScene.start(
    t,
    [
      of('right', `tlsCa: ${ca}, username: edge, password: secret`),
      of('wrong', `tlsCa: ${ca}, username: edge, password: guess`),
      of('distrust', 'username: edge, password: secret'),
    ].join('\n'),
  )
  assert.equal(scene.report('right').state, 'running', scene.report('right').reason)
  assert.match(scene.report('wrong').reason, /refuses the connection.*check username and password/)
  assert.match(scene.report('distrust').reason, /cannot be reached.*check tlsCa/)
})

test('a broker that is not there is named, with what to do', { skip }, async (t) => {
  const port = await freePort()
  const scene = await BridgeScene.start(t, `- {id: m, kind: mqtt, url: "mqtt://127.0.0.1:${port}"}`)
  assert.match(scene.report('m').reason, new RegExp(`nobody listens at mqtt://127.0.0.1:${port}`))
})
