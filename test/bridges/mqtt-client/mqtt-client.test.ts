import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { connectAsync, type IPublishPacket, type MqttClient } from 'mqtt'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import { Outbox, type OutgoingMessage } from '../../../runtime/bridges/mqtt-client/outbox.ts'
import { SteppedClock } from '../../router/stepped-clock.ts'
import { until } from '../../until.ts'
import { BridgeScene } from '../bridge-scene.ts'
import { freePort } from '../free-port.ts'

const text = (value: string): Value => ({ type: 'string', value })
const int = (value: number): Value => ({ type: 'i64', value })
const bool = (value: boolean): Value => ({ type: 'bool', value })

interface Heard {
  topic: string
  text: string
  packet: IPublishPacket
}

/** A broker of ours at `/broker`, a bridge to it at `/mqtt`, and a stranger that listens to all. */
async function start(t: TestContext, more: string) {
  const port = await freePort()
  const broker = `- {id: broker, kind: mqtt-broker, namespace: /broker, listen: ${port}, host: 127.0.0.1}`
  const scene = await BridgeScene.start(t, broker)
  const mqtt: MqttClient = await connectAsync(`mqtt://127.0.0.1:${port}`, { protocolVersion: 5, reconnectPeriod: 0 })
  t.after(() => mqtt.endAsync(true))
  const heard: Heard[] = []
  mqtt.on('message', (topic, payload, packet) => heard.push({ topic, text: payload.toString(), packet }))
  await mqtt.subscribeAsync('#', { qos: 1, rap: true })
  const bridge = `- {id: m, kind: mqtt, url: "mqtt://127.0.0.1:${port}", ${more}}`
  await scene.apply(`${broker}\n${bridge}`)
  assert.equal(scene.report('m').state, 'running', scene.report('m').reason)
  const hears = async (topic: string, isWanted: (one: Heard) => boolean = () => true) => {
    await until(() => heard.some((one) => one.topic === topic && isWanted(one)), `a message at ${topic}`)
    return heard.find((one) => one.topic === topic && isWanted(one)) as Heard
  }
  return { scene, mqtt, heard, hears, broker, bridge }
}

for (const version of ['5', '3.1.1']) {
  test(`MQTT ${version}: a broker and a client of it in one router do not make a loop`, async (t) => {
    const { scene, mqtt, heard, hears } = await start(t, `version: "${version}", subscribe: ["#"]`)
    await scene.set('/mqtt/lamp', int(1))
    await hears('lamp')
    await scene.untilParam('/broker/lamp')
    await scene.set('/broker/lamp', int(2))
    await scene.untilParam('/mqtt/lamp', (value) => 'value' in value && value.value === 2)
    await mqtt.publishAsync('other', '7', { qos: 1 })
    await scene.untilParam('/mqtt/other')
    await mqtt.publishAsync('end', '1', { qos: 1 })
    await scene.untilParam('/mqtt/end')
    assert.deepEqual(
      heard.filter(({ topic }) => topic === 'lamp').map((one) => one.text),
      ['1', '2'],
    )
    assert.equal(heard.filter(({ topic }) => topic === 'other').length, 1)
  })
}

test('values that go round between two routers, of which each has a bridge to the other, come to rest', async (t) => {
  const [here, there] = [await freePort(), await freePort()]
  const broker = (port: number) => `- {id: b, kind: mqtt-broker, listen: ${port}, host: 127.0.0.1}`
  const client = (port: number) => `- {id: m, kind: mqtt, url: "mqtt://127.0.0.1:${port}", subscribe: ["#"]}`
  const one = await BridgeScene.start(t, broker(here))
  const two = await BridgeScene.start(t, `${broker(there)}\n${client(here)}`)
  await one.apply(`${broker(here)}\n${client(there)}`)
  const mqtt = await connectAsync(`mqtt://127.0.0.1:${here}`, { protocolVersion: 5, reconnectPeriod: 0 })
  t.after(() => mqtt.endAsync(true))
  await mqtt.publishAsync('x', '1', { qos: 1 })
  const errors = () => `${one.report('m').lastError} ${two.report('m').lastError}`
  await until(() => /values go round in circles at x/.test(errors()), 'a report')
  const count = () => [one, two].flatMap(({ heard }) => heard).filter(({ address }) => address === '/mqtt/x').length
  const pass = async (topic: string) => {
    await mqtt.publishAsync(topic, '1', { qos: 1 })
    await two.untilParam(`/mqtt/${topic}`)
  }
  await pass('y')
  const before = count()
  await pass('z')
  assert.equal(count(), before)
})

test('exposed addresses have topics, are set by them, and say in version 5 what they are', async (t) => {
  const { scene, mqtt, hears } = await start(t, 'expose: [/dev/**], subscribe: [lab/#]')
  await scene.set('/dev/relay/state', bool(true))
  const { packet } = await hears('clasp/dev/relay/state')
  assert.equal(packet.retain, true)
  assert.equal(packet.properties?.contentType, 'text/plain')
  assert.equal(packet.properties?.userProperties?.['clasp-sig'], 'param')
  await mqtt.publishAsync('clasp/dev/relay/state/set', 'false', { qos: 1 })
  assert.deepEqual(await scene.untilParam('/dev/relay/state', (value) => 'value' in value && !value.value), bool(false))
  await hears('clasp/dev/relay/state', (one) => one.text === 'false')
  await mqtt.publishAsync('clasp/secret/set', '1', { qos: 1 })
  await until(() => scene.report('m').inDropped > 0, 'a refusal')
  assert.equal(scene.param('/secret'), undefined)
})

test('an empty request with a response topic is answered with the param', async (t) => {
  const { scene, mqtt, hears } = await start(t, 'subscribe: [lab/#]')
  await mqtt.publishAsync('lab/level', '0.25', { qos: 1 })
  await scene.untilParam('/mqtt/lab/level')
  const correlationData = Buffer.from('12')
  await mqtt.publishAsync('lab/level', '', { qos: 1, properties: { responseTopic: 'answers/me', correlationData } })
  const answer = await hears('answers/me')
  assert.equal(answer.text, '0.25')
  assert.deepEqual(answer.packet.properties?.correlationData, correlationData)
})

test('Home Assistant is told of announced signals when it starts', async (t) => {
  const { scene, mqtt, hears } = await start(t, 'homeAssistant: true, expose: [/dev/**]')
  await scene.send({
    type: 'ANNOUNCE',
    namespace: '/dev',
    signals: [
      { address: '/dev/relay/state', type: 'param', datatype: 'bool', access: 'rw' },
      { address: '/dev/air/temperature', type: 'param', datatype: 'f64', access: 'r', meta: { unit: 'Cel' } },
      { address: '/dev/lamp/level', type: 'param', datatype: 'f64', access: 'rw', meta: { unit: 'normalized' } },
    ],
  })
  await mqtt.publishAsync('homeassistant/status', 'online', { qos: 1 })
  const relay = JSON.parse((await hears('homeassistant/switch/clasp_m/dev_relay_state/config')).text)
  assert.equal(relay.state_topic, 'clasp/dev/relay/state')
  assert.equal(relay.command_topic, 'clasp/dev/relay/state/set')
  assert.equal(relay.availability_topic, 'clasp/m/status')
  const air = await hears('homeassistant/sensor/clasp_m/dev_air_temperature/config')
  assert.equal(air.packet.retain, true)
  assert.equal(JSON.parse(air.text).unit_of_measurement, '°C')
  const lamp = JSON.parse((await hears('homeassistant/number/clasp_m/dev_lamp_level/config')).text)
  assert.deepEqual([lamp.min, lamp.max], [0, 1])
})

test('Home Assistant gets units and ranges as they were announced; where there are none, the name is a hint', async (t) => {
  const { scene, mqtt, hears } = await start(t, 'homeAssistant: true, expose: [/dev/**]')
  await scene.send({
    type: 'ANNOUNCE',
    namespace: '/dev',
    signals: [
      { address: '/dev/air/value', type: 'param', datatype: 'f64', access: 'r', meta: { unit: 'hPa' } },
      {
        address: '/dev/fan/level',
        type: 'param',
        datatype: 'f64',
        access: 'rw',
        meta: { unit: '%', range: [20, 100] },
      },
      { address: '/dev/tank/temperature', type: 'param', datatype: 'f64', access: 'r', meta: { description: 'Tank' } },
    ],
  })
  await mqtt.publishAsync('homeassistant/status', 'online', { qos: 1 })
  const config = async (topic: string) => JSON.parse((await hears(`homeassistant/${topic}/config`)).text)
  const air = await config('sensor/clasp_m/dev_air_value')
  assert.deepEqual([air.unit_of_measurement, air.device_class], ['hPa', 'pressure'])
  const fan = await config('number/clasp_m/dev_fan_level')
  assert.deepEqual([fan.unit_of_measurement, fan.min, fan.max], ['%', 20, 100])
  const tank = await config('sensor/clasp_m/dev_tank_temperature')
  assert.deepEqual([tank.name, tank.unit_of_measurement], ['Tank', '°C'])
})

test('what the broker retains counts more than what was in the router before', async (t) => {
  const { scene, mqtt, heard, broker, bridge, hears } = await start(t, 'subscribe: [lab/#]')
  await mqtt.publishAsync('lab/a', 'new', { qos: 1, retain: true })
  await scene.untilParam('/mqtt/lab/a')
  await scene.apply(broker)
  await scene.set('/mqtt/lab/a', text('old'))
  await scene.set('/mqtt/lab/b', text('only here'))
  await scene.apply(`${broker}\n${bridge}`)
  await hears('lab/b')
  assert.deepEqual(scene.param('/mqtt/lab/a'), text('new'))
  assert.ok(!heard.some((one) => one.topic === 'lab/a' && one.text === 'old'))
})

test('a topic that the broker refuses is told, and others work', async (t) => {
  const port = await freePort()
  const users = 'users: [{name: u, password: p, read: ["#"], write: ["lab/#"]}]'
  const broker = `- {id: broker, kind: mqtt-broker, namespace: /broker, listen: ${port}, host: 127.0.0.1, ${users}}`
  const rights = 'username: u, password: p, statusTopic: lab/status'
  const bridge = `- {id: m, kind: mqtt, url: "mqtt://127.0.0.1:${port}", ${rights}}`
  const scene = await BridgeScene.start(t, `${broker}\n${bridge}`)
  await until(() => scene.report('m').state === 'running', 'the connection after a second try')
  await scene.set('/mqtt/other', int(1))
  await until(() => /does not take other: .*Not authorized/.test(scene.report('m').lastError), 'a reason')
  await scene.set('/mqtt/lab/x', int(1))
  await scene.untilParam('/broker/lab/x')
})

test('while the broker is away the last value of a param waits, and events for a while', () => {
  const clock = new SteppedClock()
  let dropped = 0
  const outbox = new Outbox({ clock, maxEntries: 3, eventAgeMs: 60_000, onDropped: () => dropped++ })
  const message = (topic: string, payload: string, isState: boolean): OutgoingMessage => ({
    topic,
    payload: Buffer.from(payload),
    qos: 1,
    isRetained: false,
    isState,
    properties: undefined,
  })
  const rest = () => {
    const topics: string[] = []
    for (let next = outbox.shift(); next !== undefined; next = outbox.shift())
      topics.push(`${next.topic} ${next.payload}`)
    return topics
  }
  outbox.push(message('level', '1', true))
  outbox.push(message('press', 'old', false))
  clock.advance(50_000)
  outbox.push(message('press', 'new', false))
  outbox.push(message('level', '2', true))
  clock.advance(11_000)
  assert.deepEqual(rest(), ['press new', 'level 2'])
  assert.equal(dropped, 1)
  for (const topic of ['a', 'b', 'c']) outbox.push(message(topic, '1', topic !== 'b'))
  outbox.push(message('d', '1', false))
  assert.deepEqual(rest(), ['a 1', 'c 1', 'd 1'])
})
